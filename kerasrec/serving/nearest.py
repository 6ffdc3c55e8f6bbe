"""Read and write texts and their vectors, and find the nearest vectors."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np
import pandas as pd

from kerasrec.data.inputs.encodings import is_unicode
from kerasrec.data.text.files import read_lines
from kerasrec.errors import KerasrecError, require
from kerasrec.serving.arguments import list_length
from kerasrec.workspace.digests import content_digest, digest_of, require_intact
from kerasrec.workspace.json_files import read_json, write_json
from kerasrec.workspace.tables import read_array, write_array


def read_texts(path: Path) -> list[str]:
    """The lines of a UTF-8 file, plain or compressed; empty lines are kept, so that line numbers are correct.

    Raises:
        KerasrecError: the file cannot be read, is empty or is not UTF-8.
    """
    texts = read_lines(path)
    if texts == [""]:
        raise KerasrecError(f"{path} is empty: give a file with one text per line")
    for number, text in enumerate(texts, 1):
        if not is_unicode(text):
            raise KerasrecError(f"line {number} of {path} is not UTF-8: convert the file, or remove the line")
    return texts


@dataclass(frozen=True)
class VectorsFile:
    """A .npy file with the vectors of texts.

    Attributes:
        path: The file.
        shape: Number of vectors, and length of each.
    """

    path: Path
    shape: tuple[int, int]

    def __str__(self) -> str:
        return f"{self.path}: {self.shape[0]:,} vectors of {self.shape[1]} numbers"


def write_vectors(path: Path, vectors: np.ndarray, texts: Sequence[str], command: str) -> VectorsFile:
    """Write the vectors of texts as a .npy file, and the digests of vectors and texts to `NAME.npy.json`.

    Args:
        path: The .npy file.
        vectors: float32 [n, H].
        texts: The n texts.
        command: The command that writes the file, for the messages of `read_vectors`.

    Raises:
        KerasrecError: the disk is full.
    """
    write_array(path, vectors)
    written = {"vectors": content_digest(path), "texts": _texts_digest(texts), "command": command}
    write_json(_digests_path(path), written, keep_copy=False)
    return VectorsFile(path, vectors.shape)


def read_vectors(path: Path, texts: Sequence[str]) -> np.ndarray:
    """The vectors of texts, float32 [n, H].

    Vectors without a `NAME.npy.json`, for example from another program, are assumed to belong to these texts.

    Args:
        path: The .npy file.
        texts: The n texts.

    Raises:
        KerasrecError: the file is missing or damaged, or has the vectors of other texts.
    """
    digests_path, command = _digests_path(path), "encode"
    if digests_path.exists():
        written = read_json(digests_path, missing="", remedy=f"remove it, and write {path} again with `{command}`")
        command = written.get("command", command)
        require_intact(path, written.get("vectors"), command)
        if written.get("texts") not in (None, _texts_digest(texts)):
            raise KerasrecError(f"{path} has the vectors of other texts: write those of this file with `{command}`")
    vectors = read_array(path, command)
    if vectors.ndim != 2 or vectors.dtype != np.float32 or len(vectors) != len(texts):
        raise KerasrecError(
            f"{path} has {vectors.dtype} {list(vectors.shape)}, but there are {len(texts)} texts: write the vectors "
            f"of this file with `{command}`"
        )
    return vectors


def _digests_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _texts_digest(texts: Sequence[str]) -> str:
    return digest_of("\n".join(texts).encode())


def nearest(vectors: np.ndarray, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k vectors with the largest dot products with each query, by exact search.

    For vectors of length 1 the dot products are cosines.

    Args:
        vectors: float32 [N, H].
        queries: float32 [Q, H].
        k: Length of the lists.

    Returns:
        Dot products float32 [Q, min(k, N)], largest first, and row numbers of `vectors` int64 [Q, min(k, N)].

    Raises:
        KerasrecError: an array has another shape or dtype, or k is not a whole number of at least 1.

    Example:
        >>> products, rows = nearest(np.eye(3, dtype=np.float32), np.array([[0.0, 0.8, 0.6]], np.float32), k=2)
        >>> rows.tolist()
        [[1, 2]]
    """
    k = list_length(k)
    for name, given in {"vectors": vectors, "queries": queries}.items():
        fits = isinstance(given, np.ndarray) and given.ndim == 2 and given.dtype == np.float32
        require(fits, name, _describe(given), "a float32 array [n, H]")
    width = vectors.shape[1]
    require(queries.shape[1] == width, "queries", _describe(queries), f"as wide as the vectors, {width}")
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(np.ascontiguousarray(vectors))
    return index.search(np.ascontiguousarray(queries), min(k, len(vectors)))


def similar_texts(
    queries: Sequence[str], query_vectors: np.ndarray, texts: Sequence[str], vectors: np.ndarray, k: int
) -> pd.DataFrame:
    """The texts that are most similar to each query.

    Args:
        queries: Q texts.
        query_vectors: Their vectors of length 1, float32 [Q, H].
        texts: N texts.
        vectors: Their vectors of length 1, float32 [N, H].
        k: Length of the lists; at most N.

    Returns:
        One row per query and similar text: text, rank (from 1), similar_text, and score: their cosine.

    Raises:
        KerasrecError: as in `nearest`.

    Example:
        >>> vectors = np.array([[1.0, 0.0], [0.6, 0.8]], np.float32)
        >>> similar_texts(["tea"], vectors[:1], ["tea", "coffee"], vectors, k=2)
          text  rank similar_text  score
        0  tea     1          tea    1.0
        1  tea     2       coffee    0.6
    """
    cosines, rows = nearest(vectors, query_vectors, k)
    frame = pd.DataFrame(
        {
            "text": np.repeat(np.array(queries, object), rows.shape[1]),
            "rank": np.tile(np.arange(1, 1 + rows.shape[1]), len(rows)),
            "similar_text": [texts[row] for row in rows.ravel()],
            "score": cosines.ravel(),
        }
    )
    frame.attrs["by"] = "text"
    return frame


def _describe(given: object) -> str:
    is_array = isinstance(given, np.ndarray)
    return f"{given.dtype} {list(given.shape)}" if is_array else type(given).__name__
