"""Packages that only some systems need, and the extras that install them."""

from kerasrec.errors import KerasrecError

EXTRAS = {
    "faiss": "text",
    "safetensors": "text",
    "sentencepiece": "text",
    "tensorflow_text": "text",
    "tokenizers": "text",
    "k_means_constrained": "colarec",
    "optuna": "tune",
    "httpx": "anime",
    "rapidfuzz": "anime",
}
"""The extra of `setup.cfg` that installs a package, by the name with which the package is imported."""

_EXTRAS_OF_SYSTEMS = {"colarec": "colarec"}
"""The extra that installs all that a system needs, where it includes other extras."""


def missing_package(error: ModuleNotFoundError, system: str = "") -> KerasrecError | ModuleNotFoundError:
    """The error for a package that is not installed: it names the command that installs it.

    Args:
        error: The error of the import; it is returned if no extra of kerasrec installs the package.
        system: The package of kerasrec that was being imported; an extra with all that it needs is named.

    Example:
        >>> missing_package(ModuleNotFoundError(name="faiss"))
        KerasrecError('the package faiss is not installed: pip install "kerasrec[text]"')
    """
    package = (error.name or "").partition(".")[0]
    if package not in EXTRAS:
        return error
    extra = _EXTRAS_OF_SYSTEMS.get(system, EXTRAS[package])
    return KerasrecError(f'the package {package} is not installed: pip install "kerasrec[{extra}]"')
