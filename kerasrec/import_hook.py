"""Run a function right after a package is imported; this module imports no TensorFlow."""

import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType

from kerasrec.errors import KerasrecError


def after_import_of(package: str, run: Callable[[ModuleType], None]) -> None:
    """Call a function with the package before other code can use the package or its modules.

    The function runs during the first import of the package. If the function raises an error, the import fails.

    Args:
        package: The name of the package.
        run: The function.

    Raises:
        KerasrecError: the package is already imported.
    """
    if any(isinstance(finder, _Finder) and finder.package == package for finder in sys.meta_path):
        return
    if sys.modules.get(package) is not None:
        raise KerasrecError(
            f"{package} was imported before kerasrec.backend, so its patches are missing and results would be "
            "wrong: restart Python (the notebook's kernel) and import kerasrec.backend first"
        )
    sys.meta_path.insert(0, _Finder(package, run))


class _Finder:
    """Finds one package with the other finders and calls the function after the package's own code has run."""

    def __init__(self, package: str, run: Callable[[ModuleType], None]):
        self.package = package
        self._run = run
        self._has_run = False
        self._is_searching = False

    def find_spec(self, name, path=None, target=None) -> ModuleSpec | None:
        if name != self.package or self._is_searching:  # other finders may ask all finders, and so this one
            return None
        others = [finder for finder in sys.meta_path if finder is not self and hasattr(finder, "find_spec")]
        self._is_searching = True
        try:
            spec = next((found for finder in others if (found := finder.find_spec(name, path, target))), None)
        finally:
            self._is_searching = False
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                if module.__name__ == self.package and not self._has_run:  # several modules may share a loader
                    self._run(module)
                    self._has_run = True

            spec.loader.exec_module = exec_module
        return spec
