"""The exported two-sentence model: raw strings in; classes, similarities and vectors out."""

from kerasrec.backend import tf
from kerasrec.nn.cosine import cosine
from kerasrec.nn.heads import mean_of_sides
from kerasrec.nn.inference_encoder import InferenceEncoder
from kerasrec.sentence_pair.run import Trained
from kerasrec.serving.saved_model import signature
from kerasrec.serving.text_signatures import ServedEncoder

_SIDES = [None, None], tf.string


class ServedPairModel(ServedEncoder):
    """A two-sentence model with its tokenizer, as functions over raw strings.

    `encode` and `similarity` are those of `ServedEncoder`. A side of a pair is a row of sentences; as many sentences
    are read as in training, and blank sentences are skipped.

    Args:
        trained: The trained model.
    """

    def __init__(self, trained: Trained):
        encoder = InferenceEncoder(trained.model.encoder, normalize=False)
        super().__init__(encoder, trained.tokenizer, trained.max_length)
        self._top_n = trained.top_n

    def warmup(self) -> dict:
        sides = tf.constant([["a sentence", "another"], ["one alone", ""]])
        [name] = self.signatures().keys() & {"classify", "compare"}
        return super().warmup() | {name: {"left": sides, "right": sides}}

    def _side(self, sentences):
        """Mean of the vectors of each row's sentences, float32 [B, H], and whether the row has sentences, bool [B]."""
        real = ~self._tokenizer.blank(sentences)
        if self._top_n is not None:
            real &= tf.cumsum(tf.cast(real, tf.int32), axis=1) <= self._top_n
        places = tf.where(real)
        rows = self._tokenizer.rows(tf.gather_nd(sentences, places), self._max_length)
        vectors = mean_of_sides(self._encoder(rows), tf.cast(places[:, 0], tf.int32), tf.shape(sentences)[0])
        return vectors, tf.reduce_any(real, axis=1)


class ServedPairClassifier(ServedPairModel):
    """A two-sentence model with classes; it has `classify`.

    Attributes:
        class_names: Names of the classes, string [N]; code that loads the export reads them.
    """

    def __init__(self, trained: Trained):
        super().__init__(trained)
        classifier, classes = trained.model.classifier, trained.classes
        assert classifier is not None and classes is not None  # `served_pair_model` has made sure
        self._classifier_weights = classifier.variables
        self._classifier = classifier.call
        self.class_names = tf.Variable(classes.names, trainable=False)
        self._labels = tf.constant(["", *classes.names])

    def signatures(self) -> dict:
        classify = self.classify
        return super().signatures() | {"serving_default": classify, "classify": classify}

    @signature(left=_SIDES, right=_SIDES)
    def classify(self, left, right):
        """Classes of pairs of sides.

        Args:
            left: The sentences of one side, string [B, N], padded with "".
            right: The sentences of the other side, string [B, M], padded with "".

        Returns:
            `probabilities` float32 [B, classes], `classes` int32 [B] and their names, `labels` string [B]; 0, -1 and ""
            if a side has no sentence.
        """
        (u, some_left), (v, some_right) = self._side(left), self._side(right)
        both = some_left & some_right
        probabilities = tf.nn.softmax(self._classifier((u, v), training=False))
        classes = tf.where(both, tf.argmax(probabilities, axis=1, output_type=tf.int32), -1)
        return {
            "probabilities": tf.where(both[:, tf.newaxis], probabilities, 0.0),
            "classes": classes,
            "labels": tf.gather(self._labels, classes + 1),
        }


class ServedPairScorer(ServedPairModel):
    """A two-sentence model of scores; it has `compare`."""

    def signatures(self) -> dict:
        return super().signatures() | {"compare": self.compare}

    @signature(left=_SIDES, right=_SIDES)
    def compare(self, left, right):
        """Cosines, float32 [B], of pairs of sides as in `classify`; NaN if a side has no sentence."""
        (u, some_left), (v, some_right) = self._side(left), self._side(right)
        return {"cosines": tf.where(some_left & some_right, cosine(u, v), float("nan"))}


def served_pair_model(trained: Trained) -> ServedPairModel:
    """The functions of a trained model.

    A model of scores must not have `classify`: TensorFlow traces all functions of a module when it saves the module.
    """
    return ServedPairScorer(trained) if trained.model.classifier is None else ServedPairClassifier(trained)
