"""Texts and their vectors in files, and the nearest of them."""

from pathlib import Path

import faiss
import numpy as np

from kerasrec.data.files import replacing
from kerasrec.errors import KerasrecError, require
from kerasrec.serving.arguments import list_length


def read_texts(path: Path) -> list[str]:
    """The lines of a UTF-8 file, without a byte order mark; empty ones are texts, too, so that line numbers hold.

    Raises:
        KerasrecError: it is empty or not UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise KerasrecError(f"{path} is not UTF-8 (byte {error.start}): convert it") from None
    if not text:
        raise KerasrecError(f"{path} is empty; give a file with a text a line")
    return text.removesuffix("\n").split("\n")


def write_vectors(path: Path, vectors: np.ndarray) -> None:
    """Write a .npy file, whole or not at all."""
    with replacing(path) as unfinished, unfinished.open("wb") as file:
        np.save(file, vectors)


def read_vectors(path: Path, rows: int) -> np.ndarray:
    """The vectors of so many texts, float32 [rows, H].

    Raises:
        KerasrecError: the file is no .npy file of as many vectors.
    """
    try:
        vectors = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise KerasrecError(f"{path} is no whole .npy file ({error}): write it again with `encode`") from None
    if vectors.ndim != 2 or vectors.dtype != np.float32 or len(vectors) != rows:
        raise KerasrecError(
            f"{path} holds {vectors.dtype} {list(vectors.shape)} and there are {rows} texts: write the vectors of this "
            "file with `encode`"
        )
    return vectors


def nearest(vectors: np.ndarray, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k vectors with the largest products with each query, found exactly; at length 1 these are cosines.

    Args:
        vectors: float32 [N, H].
        queries: float32 [Q, H].
        k: Length of the lists; there are at most N.

    Returns:
        Products float32 [Q, min(k, N)], largest first, and rows of `vectors` int64 [Q, min(k, N)].

    Raises:
        KerasrecError: an array has another form, or k is not a whole number from 1.

    Example:
        >>> products, rows = nearest(np.eye(3, dtype=np.float32), np.array([[0.0, 0.8, 0.6]], np.float32), k=2)
        >>> rows.tolist()
        [[1, 2]]
    """
    k = list_length(k)
    for name, given in {"vectors": vectors, "queries": queries}.items():
        fits = isinstance(given, np.ndarray) and given.ndim == 2 and given.dtype == np.float32
        require(fits, name, _form(given), "a float32 array [n, H]")
    require(
        queries.shape[1] == vectors.shape[1], "queries", _form(queries), f"as wide as the vectors, {vectors.shape[1]}"
    )
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(np.ascontiguousarray(vectors))
    return index.search(np.ascontiguousarray(queries), min(k, len(vectors)))


def _form(given: object) -> str:
    is_array = isinstance(given, np.ndarray)
    return f"{given.dtype} {list(given.shape)}" if is_array else type(given).__name__
