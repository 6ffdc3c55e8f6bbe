"""Texts and their vectors in files, and the nearest of them."""

from collections.abc import Sequence
from pathlib import Path

import faiss
import numpy as np

from kerasrec.data.text.files import is_unicode, read_lines
from kerasrec.errors import KerasrecError, require
from kerasrec.serving.arguments import list_length
from kerasrec.workspace.digests import content_digest, digest_of, require_whole
from kerasrec.workspace.json_files import read_json, write_json
from kerasrec.workspace.tables import read_array, write_array


def read_texts(path: Path) -> list[str]:
    """The lines of a file, plain or compressed, in UTF-8; empty lines are kept, so that line numbers stay right.

    Raises:
        KerasrecError: the file cannot be read, is empty or is not UTF-8.
    """
    texts = read_lines(path)
    if texts == [""]:
        raise KerasrecError(f"{path} is empty; give a file with a text a line")
    for number, text in enumerate(texts, 1):
        if not is_unicode(text):
            raise KerasrecError(f"line {number} of {path} is not UTF-8: convert the file, or remove the line")
    return texts


def write_vectors(path: Path, vectors: np.ndarray, texts: Sequence[str], command: str) -> None:
    """Write the vectors of texts as a .npy file, and the digests of vectors and texts next to it as `NAME.npy.json`.

    Args:
        path: The .npy file.
        vectors: float32 [n, H].
        texts: The n texts.
        command: The command that writes the file.

    Raises:
        KerasrecError: the disk is full.
    """
    write_array(path, vectors)
    written = {"vectors": content_digest(path), "texts": _texts_digest(texts), "command": command}
    write_json(_written_path(path), written, keep_copy=False)


def read_vectors(path: Path, texts: Sequence[str]) -> np.ndarray:
    """The vectors of texts, float32 [n, H].

    Vectors without a `NAME.npy.json`, which may come from another program, are assumed to be of these texts.

    Args:
        path: The .npy file.
        texts: The n texts.

    Raises:
        KerasrecError: the file is missing or damaged, or holds the vectors of other texts.
    """
    beside, again = _written_path(path), "encode"
    if beside.exists():
        written = read_json(beside, missing="", again=f"remove it, and write {path} again with `{again}`")
        again = written.get("command", again)
        require_whole(path, written.get("vectors"), again)
        if written.get("texts") not in (None, _texts_digest(texts)):
            raise KerasrecError(f"{path} holds the vectors of other texts: write those of this file with `{again}`")
    vectors = read_array(path, again)
    if vectors.ndim != 2 or vectors.dtype != np.float32 or len(vectors) != len(texts):
        raise KerasrecError(
            f"{path} holds {vectors.dtype} {list(vectors.shape)} and there are {len(texts)} texts: write the vectors "
            f"of this file with `{again}`"
        )
    return vectors


def _written_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _texts_digest(texts: Sequence[str]) -> str:
    return digest_of("\n".join(texts).encode())


def nearest(vectors: np.ndarray, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k vectors with the largest products with each query, found exactly; at length 1 these are cosines.

    Args:
        vectors: float32 [N, H].
        queries: float32 [Q, H].
        k: Length of the lists; there are at most N.

    Returns:
        Products float32 [Q, min(k, N)], largest first, and rows of `vectors` int64 [Q, min(k, N)].

    Raises:
        KerasrecError: an array has another shape or dtype, or k is not a whole number, 1 or more.

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
