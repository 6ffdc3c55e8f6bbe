"""Identifiers of items: sequences of codes; similar items have the same first codes.

The codes c_1 ... c_l of an item are numbers from 1 to K; 0 is the first input of the decoder and not a code. Each item
has its own sequence.
"""

import itertools
import re

import numpy as np
from k_means_constrained import KMeansConstrained
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from kerasrec.errors import KerasrecError, quoted

WORD = r"\w+"
HIGHEST_CODE = 65_535  # the output layers and the tree have this width


def clustered_codes(vectors: np.ndarray, length: int, codes: int, seed: int = 0) -> np.ndarray:
    """Codes by hierarchical k-means with a size limit (ColaRec, https://arxiv.org/abs/2403.18480, section 3.2).

    Level t of l divides the items that share t - 1 codes into at most K clusters of at most K^(l-t) items, so that the
    remaining codes can distinguish the items of a cluster; the last code numbers the items of a cluster.

    Args:
        vectors: float [n, D], one per item.
        length: Codes per item, l.
        codes: Codes per level, K.
        seed: Seed of the initial cluster centres.

    Returns:
        int32 [n, l].

    Raises:
        KerasrecError: there are more items than sequences.

    Example:
        >>> corners = np.array([[0.0, 0], [0, 1], [9, 0], [9, 1]])
        >>> first = clustered_codes(corners, length=2, codes=2)[:, 0].tolist()
        >>> first[0] == first[1] != first[2] == first[3]
        True
    """
    _require_room(len(vectors), length, codes)
    result = np.ones([len(vectors), length], np.int32)

    def split(members: np.ndarray, level: int) -> None:
        if level == length - 1:
            result[members, level] = 1 + np.arange(len(members))
            return
        clusters = _clusters(vectors[members], min(codes, len(members)), codes ** (length - 1 - level), seed)
        result[members, level] = 1 + clusters
        for cluster in np.unique(clusters):
            split(members[clusters == cluster], level + 1)

    split(np.arange(len(vectors)), 0)
    return result


def _clusters(vectors: np.ndarray, count: int, most: int, seed: int) -> np.ndarray:
    if count == len(vectors):  # one cluster per item
        return np.arange(count)
    means = KMeansConstrained(count, size_max=min(most, len(vectors)), random_state=seed, n_init=1, n_jobs=1)
    return means.fit_predict(vectors.astype(np.float64))


def enough_codes(items: int, length: int) -> int:
    """Codes per level, K, for about three times as many sequences of `length` codes as items.

    K is smaller if the last code would carry no information, K^(l-1) >= items, as long as there is a sequence for each
    item.

    Args:
        items: Number of items.
        length: Codes per item, l.

    Example:
        >>> enough_codes(10_429, length=3), enough_codes(20, length=3), enough_codes(16, length=3)
        (32, 4, 3)
    """
    codes = int(np.ceil((3 * items) ** (1 / length) - 1e-9))
    while codes ** (length - 1) >= items and (codes - 1) ** length >= items:
        codes -= 1
    return max(2, codes)


def random_codes(count: int, length: int, codes: int, seed: int = 0) -> np.ndarray:
    """Random sequences, all different, int32 [count, length].

    Raises:
        KerasrecError: there are more items than sequences.

    Example:
        >>> len(np.unique(random_codes(8, length=3, codes=2), axis=0))
        8
    """
    _require_room(count, length, codes)
    numbers = np.random.default_rng(seed).choice(codes**length, count, replace=False)
    return np.stack([numbers // codes**place % codes + 1 for place in reversed(range(length))], axis=1).astype(np.int32)


def ready_codes(given: list[list[int]], item_ids: list[str]) -> np.ndarray:
    """Given codes, after checks, int32 [n, l].

    Raises:
        KerasrecError: the items have different numbers of codes or only one code, a code is not from 1 to 65,535, or
            two items have the same codes.

    Example:
        >>> ready_codes([[1, 2], [1, 2]], ["a", "b"])
        Traceback (most recent call last):
        kerasrec.errors.KerasrecError: items 'a' and 'b' both have the codes 1 2: every item needs its own
    """
    lengths = {len(codes) for codes in given}
    if len(lengths) > 1 or min(lengths) < 2:
        raise KerasrecError(
            f"the ready codes have the lengths {quoted(sorted(lengths))}: all items need the same number, at least two"
        )
    codes = np.array(given)
    for code in (codes.min(), codes.max()):
        if not 1 <= code <= HIGHEST_CODE:
            item = item_ids[int(np.flatnonzero((codes == code).any(axis=1))[0])]
            raise KerasrecError(
                f"item {quoted(item)} has the code {code}: codes are numbers from 1 to {HIGHEST_CODE:,}"
            )
    _, first, which = np.unique(codes, axis=0, return_index=True, return_inverse=True)
    if len(first) < len(codes):
        second = int(np.flatnonzero(first[which.ravel()] != np.arange(len(codes)))[0])
        one = int(first[which.ravel()[second]])
        same = " ".join(map(str, codes[one]))[:200]
        raise KerasrecError(
            f"items {quoted(item_ids[one])} and {quoted(item_ids[second])} both have the codes {same}: every item "
            "needs its own"
        )
    return codes.astype(np.int32)


def content_vectors(contents: list[str], known: np.ndarray | None = None, size: int = 64, seed: int = 0) -> np.ndarray:
    """Vectors of texts, float64 [n, size], of length 1: TF-IDF of words, reduced to few dimensions; 0 for empty texts.

    Args:
        contents: The texts.
        known: The texts from which words and dimensions are learned, bool [n]; by default all.
        size: Dimensions.
        seed: Seed of the decomposition.

    Raises:
        KerasrecError: no text has a word.

    Example:
        >>> red, scarlet, cable = content_vectors(["red case", "scarlet case", "usb cable"], size=2)
        >>> bool(red @ scarlet > red @ cable)
        True
    """
    learned_from = contents if known is None else list(itertools.compress(contents, known))
    if not any(re.search(WORD, content) for content in learned_from):
        raise KerasrecError(
            "no content of an item has a word, so texts cannot tell which items are similar: give contents with words"
        )
    words = TfidfVectorizer(sublinear_tf=True, token_pattern=WORD).fit(learned_from)
    weights = words.transform(contents)
    if min(len(learned_from), weights.shape[1]) <= size:
        return normalize(weights).toarray()  # pyright: ignore[reportAttributeAccessIssue]  no tuple without return_norm
    reduced = TruncatedSVD(size, random_state=seed).fit(words.transform(learned_from)).transform(weights)
    return normalize(reduced)  # pyright: ignore[reportReturnType]  likewise


def require_fit(items: int, length: int, codes: int) -> None:
    """Check that there are enough sequences for the items, and that the last code carries information.

    Args:
        items: Number of items.
        length: Codes per item, l.
        codes: Codes per level, K.

    Raises:
        KerasrecError: items > K^l or items <= K^(l-1); the message names a length and a number of codes that fit.

    Example:
        >>> require_fit(100, length=3, codes=10)
        Traceback (most recent call last):
        kerasrec.errors.KerasrecError: 100 items are too few for sequences of 3 codes from 1 to 10: 2 codes already \
distinguish 100 items; give --length 3 --codes 7
    """
    _require_room(items, length, codes)
    if not _last_code_is_needed(items, length, codes):
        raise KerasrecError(
            f"{items:,} items are too few for sequences of {length} codes from 1 to {codes}: {length - 1} codes "
            f"already distinguish {codes ** (length - 1):,} items; give {_fitting(items, length)}"
        )


def _require_room(items: int, length: int, codes: int) -> None:
    if items > codes**length:
        raise KerasrecError(
            f"{items:,} items need more than the {codes**length:,} sequences of {length} codes from 1 to {codes}: give "
            f"{_fitting(items, length)}, or longer sequences"
        )


def _last_code_is_needed(items: int, length: int, codes: int) -> bool:
    """Whether shorter sequences are too few; the shortest sequences are 2 codes from 1 to 2."""
    return items > codes ** (length - 1) or (length, codes) == (2, 2)


def _fitting(items: int, length: int) -> str:
    """Options that pass `require_fit`, with sequences as long as possible up to this length."""
    while not _last_code_is_needed(items, length, codes := enough_codes(items, length)):
        length -= 1
    return f"--length {length} --codes {codes}"
