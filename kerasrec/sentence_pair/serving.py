"""What a model server gets of the two-sentence model: raw strings in, classes, similarities and vectors out."""

from kerasrec.backend import tf
from kerasrec.data.tokenizer import WordPieceTokenizer
from kerasrec.nn.heads import mean_of_sides
from kerasrec.nn.lean_encoder import LeanEncoder
from kerasrec.sentence_pair.model import SentencePairModel
from kerasrec.serving.export import signature
from kerasrec.serving.texts import ServedEncoder

_SIDES = [None, None], tf.string


class ServedPairModel(ServedEncoder):
    """A two-sentence model with its tokenizer, as functions over raw strings.

    `encode` and `similarity` are those of `ServedEncoder`. A model with a classifier also has `classify`.

    Args:
        model: The trained model.
        tokenizer: Its vocabulary.
        max_length: Longest row of a sentence.
    """

    def __init__(self, model: SentencePairModel, tokenizer: WordPieceTokenizer, max_length: int):
        super().__init__(LeanEncoder(model.encoder, normalize=False), tokenizer, max_length)
        self._classifier = model.classifier
        if model.classifier is not None:
            self._classifier_weights = model.classifier.variables
            self._classifier = model.classifier.call

    def signatures(self) -> dict:
        signatures = super().signatures()
        if self._classifier is not None:
            classify = self.classify
            signatures |= {"serving_default": classify, "classify": classify}
        return signatures

    def warmup(self) -> dict:
        requests = super().warmup()
        if self._classifier is not None:
            sides = tf.constant([["a sentence", "another"], ["one alone", ""]])
            requests["classify"] = {"left": sides, "right": sides}
        return requests

    @signature(left=_SIDES, right=_SIDES)
    def classify(self, left, right):
        """Classes of pairs of sides.

        Args:
            left: The sentences of one side, string [B, N], padded with "".
            right: Those of the other, string [B, M], padded with "".

        Returns:
            `probabilities` float32 [B, classes] and `classes` int32 [B].
        """
        probabilities = tf.nn.softmax(self._classifier((self._side(left), self._side(right)), training=False))
        return {"probabilities": probabilities, "classes": tf.argmax(probabilities, axis=1, output_type=tf.int32)}

    def _side(self, sentences):
        """Mean of the vectors of each row's sentences, float32 [B, H]."""
        real = tf.where(sentences != "")
        rows = self._tokenizer.rows(tf.gather_nd(sentences, real), self._max_length)
        return mean_of_sides(self._encoder(rows), tf.cast(real[:, 0], tf.int32), tf.shape(sentences)[0])
