import importlib
import sys

import pytest

from kerasrec.errors import KerasrecError
from kerasrec.import_hook import after_import_of


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with a module, which nobody has imported; its name."""
    name = "package_of_the_import_hook"
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("version = 3\n")
    (tmp_path / name / "inner.py").write_text("def answer():\n    return 'as it was'\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    yield name
    for module in (f"{name}.inner", name):
        sys.modules.pop(module, None)


def test_names_imported_from_a_module_are_patched(package):
    seen = []

    def mend(module):
        seen.append(module.version)
        importlib.import_module(f"{package}.inner").answer = lambda: "mended"

    after_import_of(package, mend)
    after_import_of(package, mend)
    assert importlib.util.find_spec(package) is not None and seen == []
    namespace = {}
    exec(f"from {package}.inner import answer\nfrom {package} import version", namespace)
    assert (namespace["answer"](), seen) == ("mended", [3])
    importlib.reload(sys.modules[package])
    assert seen == [3]


def test_an_error_fails_the_import_and_is_raised_again(package):
    def refuse(module):
        raise KerasrecError("another version")

    after_import_of(package, refuse)
    for _ in range(2):
        with pytest.raises(KerasrecError, match="another version"):
            importlib.import_module(f"{package}.inner")
    assert package not in sys.modules


def test_a_package_that_is_already_imported(package):
    importlib.import_module(package)
    with pytest.raises(KerasrecError, match=f"{package} was imported before kerasrec.backend"):
        after_import_of(package, print)


def test_a_package_that_is_not_installed():
    after_import_of("package_that_nobody_has", print)
    try:
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module("package_that_nobody_has")
    finally:
        sys.meta_path[:] = [
            finder for finder in sys.meta_path if getattr(finder, "package", "") != "package_that_nobody_has"
        ]
