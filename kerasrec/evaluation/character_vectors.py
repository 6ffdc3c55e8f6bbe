"""The baseline for texts: counts of characters."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer


def character_vectors(texts: Sequence[str]) -> np.ndarray:
    """The counts of each character in each text, in lower case: float32 [n, characters].

    The cosine of two of these vectors measures the similarity of the wording, as a baseline for that of the meaning.

    Example:
        >>> character_vectors(["abba", "Bc"]).tolist()
        [[2.0, 2.0, 0.0], [0.0, 1.0, 1.0]]
    """
    counter: Any = CountVectorizer(analyzer="char", dtype=np.float32)  # pyright: ignore[reportArgumentType]  any type
    return counter.fit_transform(texts).toarray()
