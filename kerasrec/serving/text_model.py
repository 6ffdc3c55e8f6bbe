"""An exported text model in Python."""

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from kerasrec.backend import tf
from kerasrec.data.inputs.frames import require_columns
from kerasrec.data.text.frames import sides_of
from kerasrec.errors import KerasrecError, require
from kerasrec.serving.arguments import ragged, strings
from kerasrec.serving.text_search import TextSearch
from kerasrec.serving.tokenization import load_tensorflow_text
from kerasrec.serving.versions import load_version

_ROWS = 256
"""Texts per call; it bounds the memory of padded rows."""


class TextModel(TextSearch):
    """An exported siamese BERT or two-sentence model. It is thread-safe.

    Args:
        path: A version's folder, or the folder of versions, of which the highest is taken.

    Attributes:
        path: The version's folder.

    Raises:
        KerasrecError: there is no export, a file of it is missing or damaged, it is not a text model, or
            tensorflow-text is not installed.
    """

    def __init__(self, path: str | Path):
        load_tensorflow_text()  # registers the operations of the export
        self.path, self._module = load_version(path, "kerasrec siamese export")
        if not hasattr(self._module, "encode"):
            raise KerasrecError(f"{self.path} is not a text model: name an export of SiameseBert or SentencePair")

    def similarity(self, left: Iterable[str], right: Iterable[str]) -> np.ndarray:
        """Cosines, float32 [N], of N texts on the left with N texts on the right.

        Raises:
            KerasrecError: the arguments are not two lists of strings of the same length.
        """
        left, right = strings(left, "left"), strings(right, "right")
        require(len(left) == len(right), "right", f"{len(right)} texts", f"as long as left, {len(left)}")
        return (self.encode(left) * self.encode(right)).sum(axis=1)

    def predict(self, pairs: pd.DataFrame) -> pd.DataFrame:
        """Classes or cosines of pairs, with an export of `SentencePair`.

        Args:
            pairs: DataFrame(text_a, text_b); several sentences of a side are joined by `||`.

        Returns:
            One row per pair, with the index of `pairs`: text_a, text_b, and either predicted and `probability_CLASS`
            for each class, or cosine for a model of scores.

        Raises:
            KerasrecError: the pairs have another form, or the model does not compare pairs.
        """
        if not self._compares_pairs:
            raise KerasrecError(f"{self.path} has no signature for pairs: export a SentencePair model")
        require_columns(pairs, ["text_a", "text_b"], "pairs")
        left, right = (sides_of(pairs[side], f"pairs.{side}") for side in ("text_a", "text_b"))
        answers = [
            self._compare(left[start : start + _ROWS], right[start : start + _ROWS])
            for start in range(0, len(left), _ROWS)
        ]
        answer = pd.concat(answers, ignore_index=True).set_axis(pairs.index)
        return pd.concat([pairs[["text_a", "text_b"]], answer], axis=1)

    def _vectors(self, texts: list[str]) -> np.ndarray:
        starts = range(0, max(1, len(texts)), _ROWS)
        rows = (tf.constant(texts[start : start + _ROWS], tf.string) for start in starts)
        return np.concatenate([self._module.encode(row)["vectors"].numpy() for row in rows])

    @property
    def _compares_pairs(self) -> bool:
        return hasattr(self._module, "classify") or hasattr(self._module, "compare")

    def _compare(self, left: list[list[str]], right: list[list[str]]) -> pd.DataFrame:
        left, right = ragged(left).to_tensor(), ragged(right).to_tensor()
        if not hasattr(self._module, "classify"):
            return pd.DataFrame({"cosine": self._module.compare(left=left, right=right)["cosines"].numpy()})
        answer = self._module.classify(left=left, right=right)
        columns = {"predicted": [label.decode() for label in answer["labels"].numpy()]}
        probabilities = answer["probabilities"].numpy()
        columns |= {f"probability_{name}": probabilities[:, place] for place, name in enumerate(self.classes)}
        return pd.DataFrame(columns)

    @cached_property
    def classes(self) -> list[str]:
        """Names of the classes; empty for a model of scores."""
        if not hasattr(self._module, "class_names"):
            return []
        return [name.decode() for name in self._module.class_names.numpy()]
