"""What a model server gets of a text encoder: raw strings in, vectors and similarities out."""

from kerasrec.backend import tf
from kerasrec.data.text.tokenizer import WordPieceTokenizer
from kerasrec.nn.inference_encoder import InferenceEncoder
from kerasrec.serving.saved_model import signature
from kerasrec.serving.tokenization import GraphTokenizer

_TEXTS = [None], tf.string


class ServedEncoder(tf.Module):
    """An encoder with its tokenizer, as functions over raw strings.

    The export loads without Keras and kerasrec; the tokenizer needs the operations of tensorflow-text.

    Args:
        encoder: Gives rows their vectors, which are scaled to length 1 here.
        tokenizer: The vocabulary.
        max_length: Longest row, L.
    """

    def __init__(self, encoder: InferenceEncoder, tokenizer: WordPieceTokenizer, max_length: int):
        super().__init__()
        self._encoder = encoder
        self._tokenizer = GraphTokenizer(tokenizer)
        self._max_length = max_length

    def signatures(self) -> dict:
        """The functions that a server offers, by signature name."""
        encode = self.encode
        return {"serving_default": encode, "encode": encode, "similarity": self.similarity}

    def warmup(self) -> dict:
        """A request for each signature, for `kerasrec.serving.saved_model.export`."""
        texts = tf.constant(["a text", "another text"])
        return {"encode": {"texts": texts}, "similarity": {"left": texts, "right": texts}}

    @signature(texts=_TEXTS)
    def encode(self, texts):
        """Vectors of length 1, float32 [B, H], of texts, string [B]; longer ones are cut."""
        return {"vectors": self._vectors(texts)}

    @signature(left=_TEXTS, right=_TEXTS)
    def similarity(self, left, right):
        """Cosines, float32 [B], of the texts on the left and on the right, string [B] each."""
        return {"cosines": tf.reduce_sum(self._vectors(left) * self._vectors(right), axis=-1)}

    def _vectors(self, texts):
        return tf.math.l2_normalize(self._encoder(self._tokenizer.rows(texts, self._max_length)), axis=-1)
