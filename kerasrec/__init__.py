"""kerasrec: from raw behaviour logs and raw text to served BERT models, on TensorFlow/Keras and bert4keras."""

from kerasrec.errors import KerasrecError

__version__ = "0.1.0"

__all__ = ["KerasrecError", "__version__"]
