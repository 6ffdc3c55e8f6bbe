"""Packages that only some systems need, and the extras that install them."""

from kerasrec.errors import KerasrecError

EXTRAS = {
    "faiss": "text",
    "safetensors": "text",
    "sentencepiece": "text",
    "tensorflow_text": "text",
    "tokenizers": "text",
    "k_means_constrained": "colarec",
    "httpx": "anime",
    "rapidfuzz": "anime",
}
"""The extra of `setup.cfg` that installs a package, by the name with which the package is imported."""


def missing_package(error: ModuleNotFoundError) -> KerasrecError | ModuleNotFoundError:
    """The error for a package that is not installed: it names the command that installs it.

    Args:
        error: The error of the import; it is returned if no extra of kerasrec installs the package.

    Example:
        >>> missing_package(ModuleNotFoundError(name="faiss"))
        KerasrecError('the package faiss is not installed: pip install "kerasrec[text]"')
    """
    package = (error.name or "").partition(".")[0]
    if package not in EXTRAS:
        return error
    return KerasrecError(f'the package {package} is not installed: pip install "kerasrec[{EXTRAS[package]}]"')
