"""The signatures of a served text encoder: from raw strings to vectors and similarities."""

from kerasrec.backend import tf
from kerasrec.data.text.tokenizer import WordPieceTokenizer
from kerasrec.nn.inference_encoder import InferenceEncoder
from kerasrec.serving.saved_model import signature
from kerasrec.serving.tokenization import GraphTokenizer

_TEXTS = [None], tf.string


class ServedEncoder(tf.Module):
    """An encoder and its tokenizer, as functions of raw strings.

    The export loads without Keras and kerasrec, but it needs the operations of tensorflow-text.

    Args:
        encoder: The encoder; its vectors are scaled to length 1 here.
        tokenizer: The tokenizer with its vocabulary.
        max_length: Longest row, L; longer texts are truncated.
    """

    def __init__(self, encoder: InferenceEncoder, tokenizer: WordPieceTokenizer, max_length: int):
        super().__init__()
        self._encoder = encoder
        self._tokenizer = GraphTokenizer(tokenizer)
        self._max_length = max_length

    def signatures(self) -> dict:
        """The signatures of the export, by name."""
        encode = self.encode
        return {"serving_default": encode, "encode": encode, "similarity": self.similarity}

    def warmup(self) -> dict:
        """The inputs of a warm-up request for each signature, for `kerasrec.serving.saved_model.export`."""
        texts = tf.constant(["a text", "another text"])
        return {"encode": {"texts": texts}, "similarity": {"left": texts, "right": texts}}

    @signature(texts=_TEXTS)
    def encode(self, texts):
        """Vectors of length 1, float32 [B, H], of texts, string [B]; long texts are truncated."""
        return {"vectors": self._vectors(texts)}

    @signature(left=_TEXTS, right=_TEXTS)
    def similarity(self, left, right):
        """Cosines, float32 [B], of pairs of texts, string [B] each."""
        return {"cosines": tf.reduce_sum(self._vectors(left) * self._vectors(right), axis=-1)}

    def _vectors(self, texts):
        return tf.math.l2_normalize(self._encoder(self._tokenizer.rows(texts, self._max_length)), axis=-1)
