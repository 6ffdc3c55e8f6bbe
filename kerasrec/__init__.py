"""kerasrec: from raw behaviour logs and raw text to served BERT models, on TensorFlow/Keras and bert4keras."""

import importlib
from typing import TYPE_CHECKING

from kerasrec.errors import KerasrecError
from kerasrec.extras import missing_package

if TYPE_CHECKING:
    from kerasrec.anime.api import Anime
    from kerasrec.colarec.api import ColaRec
    from kerasrec.console import log_to_stdout
    from kerasrec.recall.api import ItemRecall
    from kerasrec.sentence_pair.api import SentencePair
    from kerasrec.serving.loading import load
    from kerasrec.siamese.api import SiameseBert

__version__ = "0.1.0"

_PUBLIC = {
    "ItemRecall": "kerasrec.recall.api",
    "SiameseBert": "kerasrec.siamese.api",
    "SentencePair": "kerasrec.sentence_pair.api",
    "Anime": "kerasrec.anime.api",
    "ColaRec": "kerasrec.colarec.api",
    "load": "kerasrec.serving.loading",
    "log_to_stdout": "kerasrec.console",
}

__all__ = [
    "Anime",
    "ColaRec",
    "ItemRecall",
    "KerasrecError",
    "SentencePair",
    "SiameseBert",
    "__version__",
    "load",
    "log_to_stdout",
]


def __getattr__(name: str) -> object:
    """Import a public name when it is first used, because most of them load TensorFlow."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(importlib.import_module(_PUBLIC[name]), name)
    except ModuleNotFoundError as error:
        raise missing_package(error, _PUBLIC[name].split(".")[1]) from None
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
