import importlib
import sys
from importlib.machinery import PathFinder

import pytest

from kerasrec.errors import KerasrecError
from kerasrec.import_hook import after_import_of


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Create a package with a module, which is not imported yet; return its name."""
    name = "package_of_the_import_hook"
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("version = 3\n")
    (tmp_path / name / "inner.py").write_text("def answer():\n    return 'original'\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    yield name
    for module in (f"{name}.inner", name):
        sys.modules.pop(module, None)


def test_names_imported_from_a_module_are_patched(package):
    versions = []

    def patch(module):
        versions.append(module.version)
        importlib.import_module(f"{package}.inner").answer = lambda: "patched"

    after_import_of(package, patch)
    after_import_of(package, patch)
    assert importlib.util.find_spec(package) is not None and versions == []
    namespace = {}
    exec(f"from {package}.inner import answer\nfrom {package} import version", namespace)
    assert (namespace["answer"](), versions) == ("patched", [3])
    importlib.reload(sys.modules[package])
    assert versions == [3]


def test_an_error_of_the_function_fails_every_import(package):
    def refuse(module):
        raise KerasrecError("another version")

    after_import_of(package, refuse)
    for _ in range(2):
        with pytest.raises(KerasrecError, match="another version"):
            importlib.import_module(f"{package}.inner")
    assert package not in sys.modules


class Delegating:
    """A finder that asks all others, as tools that measure coverage do."""

    def find_spec(self, name, path=None, target=None):
        others = [finder for finder in sys.meta_path if finder is not self]
        return next((found for finder in others if (found := finder.find_spec(name, path, target))), None)


@pytest.mark.parametrize("is_first", [True, False])
def test_a_finder_that_asks_all_others(package, is_first):
    sys.meta_path[:] = [PathFinder]  # two such finders would ask each other for ever
    versions = []
    after_import_of(package, lambda module: versions.append(module.version))
    sys.meta_path.insert(0 if is_first else 1, Delegating())
    importlib.import_module(package)
    assert versions == [3]


def test_an_already_imported_package_is_refused(package):
    importlib.import_module(package)
    with pytest.raises(KerasrecError, match=f"{package} was imported before kerasrec.backend"):
        after_import_of(package, print)


def test_a_package_that_is_not_installed():
    after_import_of("package_that_does_not_exist", print)
    try:
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module("package_that_does_not_exist")
    finally:
        sys.meta_path[:] = [
            finder for finder in sys.meta_path if getattr(finder, "package", "") != "package_that_does_not_exist"
        ]
