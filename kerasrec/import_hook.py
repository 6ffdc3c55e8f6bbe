"""Run a function right after a package has been imported, whoever imports it; imports no TensorFlow."""

import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType

from kerasrec.errors import KerasrecError


def after_import_of(package: str, run: Callable[[ModuleType], None]) -> None:
    """Have a function called with the package, before anybody can take a name from it or from its modules.

    The function runs while the package is imported for the first time. An error of its own is an error of the import.

    Raises:
        KerasrecError: the package has been imported already.
    """
    if any(isinstance(finder, _Finder) and finder.package == package for finder in sys.meta_path):
        return
    if sys.modules.get(package) is not None:
        raise KerasrecError(
            f"{package} was imported before kerasrec.backend, and code that runs with it would go wrong without a "
            "word: start Python (the notebook's kernel) again and import kerasrec.backend first"
        )
    sys.meta_path.insert(0, _Finder(package, run))


class _Finder:
    """Finds one package as the other finders do, and adds to how it is executed."""

    def __init__(self, package: str, run: Callable[[ModuleType], None]):
        self.package = package
        self._run = run
        self._has_run = False

    def find_spec(self, name, path=None, target=None) -> ModuleSpec | None:
        if name != self.package:
            return None
        others = (finder for finder in sys.meta_path if finder is not self and hasattr(finder, "find_spec"))
        spec = next((found for finder in others if (found := finder.find_spec(name, path, target))), None)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                if module.__name__ == self.package and not self._has_run:  # a loader may be shared
                    self._run(module)
                    self._has_run = True

            spec.loader.exec_module = exec_module
        return spec
