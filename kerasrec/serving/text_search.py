"""What all classes with vectors of texts share."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from kerasrec.errors import require
from kerasrec.serving.arguments import strings
from kerasrec.serving.nearest import similar_texts


class TextSearch:
    """Vectors of texts, and search with them, on top of `_vectors`."""

    def encode(self, texts: Iterable[str]) -> np.ndarray:
        """Vectors of texts.

        Args:
            texts: N strings.

        Returns:
            float32 [N, H], each of length 1; products of two vectors are cosines.

        Raises:
            KerasrecError: there is no trained model, or `texts` is not a list of strings.
        """
        return self._vectors(strings(texts, "texts"))

    def similar(self, texts: Iterable[str], k: int = 10, *, among: Iterable[str]) -> pd.DataFrame:
        """The most similar texts of each text.

        Args:
            texts: N strings.
            k: Length of the lists.
            among: The texts that are compared.

        Returns:
            DataFrame(text, rank, similar_text, score): rank from 1, score is the cosine.

        Raises:
            KerasrecError: there is no trained model, or an argument is invalid.
        """
        texts, among = strings(texts, "texts"), strings(among, "among")
        require(among, "among", among, "a list of at least one text")
        return similar_texts(texts, self._vectors(texts), among, self._vectors(among), k)

    def _vectors(self, texts: list[str]) -> np.ndarray:
        """Vectors of checked texts."""
        raise NotImplementedError
