"""Logs drawn from a known random process, so that the best possible score of a recommender on them is known.

The process. There are I items in G genres of equal size. Item j has the popularity

    p_j = r_j^-z / sum over i of r_i^-z,        r a random order of the items from 1 to I,

a Zipf law with the exponent z. Every item i has K different successors s_i1 .. s_iK in its own genre, drawn one after
another in proportion to p, with the weights w_k = 2^-k / (2^-1 + .. + 2^-K). The next item after item i is drawn from

    q(j | i) = a * sum over k of w_k [j = s_ik]                        the chain: order matters
             + b * p_j [g_j = g_i] / sum of p over the genre g_i       the taste: another item of the genre
             + (1 - a - b) * p_j                                       the drift: any item, and possibly a new genre

A user's first item is drawn from p. No user has an item twice: after the history h, whose last item is i, the next item
has the distribution

    P(j | h) = q(j | i) [j not in h] / (1 - sum of q(m | i) over m in h).

The length of a history is n_min + x, where x is geometric from 0 with the mean n_mean - n_min, truncated to n_max. The
length does not depend on the items, so P is also the distribution of a user's last item given the items before it.

The ceiling. Let P_(r) be the probability of the item at rank r. The expected gain of a ranking is the sum over r of
P_(r) gain(r), where gain(r) never increases with r: it is [r <= k] for recall@k, [r <= k] / log2(1 + r) for NDCG@k and
1 / r for MRR. By the rearrangement inequality, sorting by P is the best ranking: no recommender has a larger expected
gain. On a given set of targets a ranking may be better by chance. Therefore `ceiling` also returns the score of the
best ranking on the actual targets.

Successors are drawn in proportion to p, so the chain keeps the Zipf law. The most popular items are slightly less
frequent than the law says, because items do not repeat.
"""

import contextlib
import dataclasses
import functools
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from kerasrec.errors import KerasrecError, reason, require
from kerasrec.workspace.atomic_files import replacing

USERS_PER_BLOCK = 1 << 16  # part of the process: each block has a separate random generator
_SCORES_PER_BLOCK = 1 << 22  # 32 MiB of float64

_GENRES = "western mystery comedy drama fantasy thriller romance history travel music space nature"
_ADJECTIVES = (
    "Silent Golden Broken Distant Hidden Crimson Frozen Gentle Hollow Burning Lonely Painted Restless Scarlet Shining "
    "Sleeping Stolen Sunken Twisted Velvet Wandering Winter Ancient Bitter Borrowed Bright Careful Crooked Endless "
    "Faded Forgotten Heavy Honest Little Northern Patient Quiet Second Southern Vanishing"
)
_NOUNS = (
    "Harbour Garden Letter Mirror River Tower Orchard Lantern Bridge Compass Captain Island Station Witness Mountain "
    "Violin Window Forest Stranger Journey Kitchen Clock Shadow Summer Teacher Theatre Valley Voyage Wedding Castle "
    "Desert Engine Feather Horizon Key Library Market Melody Painter Promise"
)
_PLACES = "Arden Belmar Corvin Dunmore Elsmere Farrow Galen Hollin Istra Kestrel"


@dataclasses.dataclass(frozen=True)
class SyntheticLog:
    """A log of the process in the module's docstring. The settings determine all values of the log.

    In all arrays, items have the numbers 0 to `items` - 1; `item_numbers` converts the raw ids in the files.

    Raises:
        KerasrecError: a setting is outside its range.

    Example:
        >>> log = SyntheticLog(users=3, items=100, mean_length=4, min_length=2, max_length=6, seed=1)
        >>> (offsets, items), = log.histories()
        >>> probabilities = log.oracle_scores(offsets, items)  # of each user's next item
        >>> probabilities.shape, bool(np.allclose(probabilities.sum(axis=1), 1))
        ((3, 100), True)
    """

    users: int = 3000
    """Number of users."""
    items: int = 400
    """Number of items, I."""
    genres: int = 10
    """Number of genres, G."""
    successors: int = 2
    """Number of successors of each item, K."""
    chain_share: float = 0.7
    """Probability that the next item is a successor of the last item, a."""
    genre_share: float = 0.2
    """Probability that the next item is drawn from the genre of the last item, b."""
    zipf: float = 0.8
    """Exponent of the popularity, z; with 0 all items are equally popular."""
    min_length: int = 10
    """Minimum length of a history, n_min, in events."""
    mean_length: float = 25.0
    """Mean length of a history before truncation to max_length, n_mean, in events."""
    max_length: int = 60
    """Maximum length of a history, n_max, in events; at most a quarter of the items, because items do not repeat."""
    files: int = 24
    """Number of log files; the events of each user are distributed over all files."""
    seed: int = 0
    """Random seed, 0 or larger."""

    def __post_init__(self):
        require(self.users >= 1, "users", self.users, "at least 1")
        require(self.genres >= 1, "genres", self.genres, "at least 1")
        require(self.successors >= 1, "successors", self.successors, "at least 1")
        least = max(self.genres * (self.successors + 1), 4 * self.max_length)
        require(
            self.items >= least,
            "items",
            self.items,
            f"at least {least}, the larger of genres * (successors + 1) and 4 * max_length",
        )
        require(self.chain_share >= 0, "chain_share", self.chain_share, "0 or more")
        require(self.genre_share >= 0, "genre_share", self.genre_share, "0 or more")
        both = self.chain_share + self.genre_share
        require(both < 1, "chain_share + genre_share", both, "below 1")
        require(self.zipf >= 0, "zipf", self.zipf, "0 or more")
        require(self.min_length >= 1, "min_length", self.min_length, "at least 1")
        require(self.min_length <= self.mean_length, "mean_length", self.mean_length, "at least min_length")
        require(self.mean_length <= self.max_length, "max_length", self.max_length, "at least mean_length")
        require(self.files >= 1, "files", self.files, "at least 1")
        require(self.seed >= 0, "seed", self.seed, "0 or more")

    @classmethod
    def load(cls, folder: str | os.PathLike) -> "SyntheticLog":
        """The log that `write` has written to a folder, from the settings in its `process.json`.

        Raises:
            KerasrecError: the file is missing or does not hold valid settings.
        """
        path = Path(folder) / "process.json"
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise KerasrecError(
                f"{path} does not hold the settings of a synthetic log ({reason(error)}): give a folder that "
                "SyntheticLog.write has written"
            ) from error

    def write(self, folder: str | os.PathLike) -> Path:
        """Write the log, the titles of the items and the settings.

        The files are

        - `log/00.csv`, `log/01.csv` ...: lines `user,item` without a header. The order of the file names is the time
          order of the files, and the lines of each user are in time order;
        - `items.csv`: `item_id,title`; all titles are different;
        - `process.json`: the settings, which `load` reads.

        Args:
            folder: The folder to write to.

        Returns:
            The folder of the log files.

        Raises:
            KerasrecError: the log folder holds files that are not of this log, or the disk is full.
        """
        folder, log = Path(folder), Path(folder) / "log"
        paths = [log / f"{number:0{len(str(self.files - 1))}}.csv" for number in range(self.files)]
        foreign = sorted({path.name for path in log.glob("*.csv")} - {path.name for path in paths})
        if foreign:
            raise KerasrecError(
                f"{log} already holds {foreign[0]}, which is not a file of this log: give an empty folder"
            )
        with contextlib.ExitStack() as open_files:
            schema = pa.schema({"user": pa.string(), "item": pa.string()})
            headerless = csv.WriteOptions(include_header=False, quoting_style="none")
            writers = [
                open_files.enter_context(
                    csv.CSVWriter(open_files.enter_context(replacing(path)), schema, write_options=headerless)
                )
                for path in paths
            ]
            for file, users, items in self._events():
                writers[file].write_table(pa.table([users, items], schema))
        with replacing(folder / "items.csv") as unfinished:
            csv.write_csv(pa.table({"item_id": self.item_ids, "title": self.titles()}), unfinished)
        with replacing(folder / "process.json") as unfinished:
            unfinished.write_text(json.dumps(dataclasses.asdict(self), indent=1), encoding="utf-8")
        return log

    @functools.cached_property
    def item_ids(self) -> pa.Array:
        """Raw ids, strings such as `i042`, in the order of the item numbers."""
        return _raw_ids("i", 0, self.items, self.items)

    def item_numbers(self, raw: Sequence[str]) -> np.ndarray:
        """The item numbers, int64 [N], of raw ids.

        Raises:
            KerasrecError: an id is not an item of this log.

        Example:
            >>> SyntheticLog().item_numbers(["i042", "i007"])
            array([42,  7])
        """
        given = pa.array(raw, pa.string())
        numbers = pc.index_in(given, self.item_ids)
        if numbers.null_count:
            unknown = given.filter(numbers.is_null())[0]
            raise KerasrecError(
                f"{unknown} is not an item of this log: its ids are {self.item_ids[0]} to {self.item_ids[-1]}"
            )
        return numbers.to_numpy().astype(np.int64)

    def titles(self) -> list[str]:
        """An invented title for each item, with its genre in brackets; all titles are different.

        Example:
            >>> SyntheticLog().titles()[0]
            'The Silent Harbour (drama)'
        """
        adjectives, nouns, genres = _ADJECTIVES.split(), _NOUNS.split(), _GENRES.split()
        places = ["", *(f" of {place}" for place in _PLACES.split())]
        pairs = len(adjectives) * len(nouns)

        def title(number: int, genre: int) -> str:
            volume, pair = divmod(number, pairs)
            noun, adjective = divmod(pair * 997 % pairs, len(adjectives))  # 997 is prime: neighbours differ in both
            cycle, place = divmod(volume, len(places))
            season, name = divmod(genre, len(genres))
            return (
                f"The {adjectives[adjective]} {nouns[noun]}{places[place]}{f' {cycle + 1}' if cycle else ''}"
                f" ({genres[name]}{f' {season + 1}' if season else ''})"
            )

        return [title(number, genre) for number, genre in enumerate(self._process.genre.tolist())]

    def histories(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The histories of the users, in the order of the users, in blocks of `USERS_PER_BLOCK`.

        Yields:
            `offsets` int64 [U + 1] and `items` int32 [N]: user u of the block has the history
            items[offsets[u]:offsets[u + 1]], in time order.
        """
        for block, first in enumerate(range(0, self.users, USERS_PER_BLOCK)):
            rng = np.random.default_rng([self.seed, 1, block])
            lengths = self._lengths(rng.random(min(USERS_PER_BLOCK, self.users - first)))
            events = np.zeros((len(lengths), lengths.max()), np.int32)
            for step in range(lengths.max()):
                active = np.flatnonzero(lengths > step)
                events[active, step] = self._process.next_items(events[active, :step], rng)
            yield np.append(0, np.cumsum(lengths)), events[np.arange(events.shape[1]) < lengths[:, np.newaxis]]

    def oracle_scores(self, offsets: np.ndarray, items: np.ndarray) -> np.ndarray:
        """The true distribution of the next item after each history. Sorting by it gives the best possible ranking.

        Args:
            offsets: int [B + 1], from 0 to N.
            items: int [N] item numbers: history b is items[offsets[b]:offsets[b + 1]]; it may be empty.

        Returns:
            float64 [B, items]; each row sums to 1, and the items of the history have the probability 0.
        """
        return self._process.probabilities(np.asarray(offsets), np.asarray(items))

    def ceiling(
        self,
        offsets: np.ndarray,
        items: np.ndarray,
        targets: np.ndarray,
        recall_at: Sequence[int] = (1, 5, 10, 20),
        ndcg_at: Sequence[int] = (5, 10, 20),
    ) -> dict[str, dict[str, float]]:
        """The best possible scores on some users: full ranking, seen items excluded, one target per user.

        Args:
            offsets: int [U + 1] of the histories, as in `oracle_scores`.
            items: int [N] item numbers.
            targets: int [U] item numbers: the item that followed each history.
            recall_at: The values of k for recall@k.
            ndcg_at: The values of k for NDCG@k.

        Returns:
            Metrics by name, such as `NDCG@10`: under `expected` the expectation of the best ranking over the
            distribution of the next item, and under `realised` its score on `targets`. They differ only by chance.
        """
        places = np.arange(1, self.items + 1)
        gains = {f"recall@{k}": (places <= k) * 1.0 for k in recall_at}
        gains |= {f"NDCG@{k}": (places <= k) / np.log2(1 + places) for k in ndcg_at}
        gains["MRR"] = 1 / places
        expected, realised = [], []
        users = max(1, _SCORES_PER_BLOCK // self.items)
        for first in range(0, len(targets), users):
            block = np.asarray(offsets[first : first + users + 1])
            scores = self.oracle_scores(block - block[0], items[block[0] : block[-1]])
            hits = np.take_along_axis(scores, np.asarray(targets[first : first + users])[:, np.newaxis], axis=1)
            ranks = np.count_nonzero(scores >= hits, axis=1)
            expected.append(np.sort(scores, axis=1)[:, ::-1] @ np.stack(list(gains.values()), axis=1))
            realised.append(np.stack(list(gains.values()), axis=1)[ranks - 1])
        return {
            kind: dict(zip(gains, np.concatenate(by_user).mean(axis=0).tolist(), strict=True))
            for kind, by_user in (("expected", expected), ("realised", realised))
        }

    @functools.cached_property
    def _process(self) -> "_Process":
        return _Process(self)

    def _lengths(self, uniform: np.ndarray) -> np.ndarray:
        """The lengths of histories, int64 [U], from uniform numbers, by inverting the geometric distribution."""
        excess = self.mean_length - self.min_length
        # floor(log(1 - u) / log(1 - p)) is geometric from 0 with the mean (1 - p) / p, which equals the excess
        drawn = np.floor(np.log1p(-uniform) / np.log(excess / (excess + 1))) if excess else np.zeros_like(uniform)
        return np.minimum(self.min_length + drawn, self.max_length).astype(np.int64)

    def _events(self) -> Iterator[tuple[int, pa.Array, pa.Array]]:
        """The log in pieces: (number of the file, raw users, raw items); each piece is in time order."""
        for block, (offsets, items) in enumerate(self.histories()):
            rng = np.random.default_rng([self.seed, 2, block])
            owners = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
            times = rng.random(len(items))
            times = times[np.lexsort((times, owners))]  # ascending for each user, in the order of the user's items
            in_time = np.argsort(times, kind="stable")
            users = _raw_ids("u", block * USERS_PER_BLOCK, block * USERS_PER_BLOCK + len(offsets) - 1, self.users)
            edges = np.searchsorted(times[in_time], np.arange(self.files + 1) / self.files)
            for file in range(self.files):
                piece = in_time[edges[file] : edges[file + 1]]
                yield file, users.take(pa.array(owners[piece])), self.item_ids.take(pa.array(items[piece]))


def leave_one_out(offsets: np.ndarray, items: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Split the last item off each history, for `ceiling`.

    Args:
        offsets: int64 [U + 1]; history u has `items[offsets[u] : offsets[u + 1]]`, at least one item.
        items: int [N].

    Returns:
        The offsets and the items of the histories without their last items, and the last items.

    Example:
        >>> leave_one_out(np.array([0, 2, 3]), np.array([7, 8, 9]))
        (array([0, 1, 1]), array([7]), array([8, 9]))
    """
    lasts = offsets[1:] - 1
    return offsets - np.arange(len(offsets)), np.delete(items, lasts), items[lasts]


class _Process:
    """The parameters of a log (popularity, genres and successors) and the distributions that they define.

    Only `Generator.random` is used, because its stream does not change with NumPy's version: the same settings give the
    same log later.
    """

    def __init__(self, log: SyntheticLog):
        rng = np.random.default_rng([log.seed, 0])
        popularity = (1.0 + np.argsort(rng.random(log.items))) ** -log.zipf
        self.popularity = popularity / popularity.sum()  # [I]
        self.genre = np.argsort(rng.random(log.items)) % log.genres  # [I]
        self.shares = np.array([log.chain_share, log.genre_share])
        weights = 0.5 ** np.arange(log.successors)
        self.weights = weights / weights.sum()  # [K]

        self.by_genre = np.argsort(self.genre, kind="stable")  # [I] items, genre after genre
        self.edges = np.append(0, np.cumsum(self.popularity[self.by_genre]))  # [I + 1] their intervals between 0 and 1
        self.genre_start = np.searchsorted(self.genre[self.by_genre], np.arange(log.genres + 1))  # [G + 1] in by_genre

        self.successors = np.full((log.items, log.successors), -1)  # [I, K]
        for k in range(log.successors):
            open_items = np.arange(log.items)
            while open_items.size:
                drawn = self.popular(rng.random(open_items.size), *self.genre_range(open_items))
                refused = (drawn == open_items) | (self.successors[open_items] == drawn[:, np.newaxis]).any(axis=1)
                self.successors[open_items[~refused], k] = drawn[~refused]
                open_items = open_items[refused]

    def genre_range(self, items: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The start and the end of the items' genres in `by_genre`."""
        return self.genre_start[self.genre[items]], self.genre_start[self.genre[items] + 1]

    def popular(self, uniform: np.ndarray, start: np.ndarray | int, end: np.ndarray | int) -> np.ndarray:
        """Draw from by_genre[start:end] in proportion to the popularity, by inverting the cumulative sum."""
        point = self.edges[start] + uniform * (self.edges[end] - self.edges[start])
        # clipped, because rounding may give the end of the range
        return self.by_genre[np.clip(np.searchsorted(self.edges, point, side="right") - 1, start, np.subtract(end, 1))]

    def next_items(self, histories: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The next item, int64 [B], of each history [B, t]."""
        drawn = np.empty(len(histories), np.int64)
        pending = np.arange(len(histories))
        while pending.size:  # rejection sampling: seen items are drawn again, which gives P of the module's docstring
            candidates = self.candidates(histories[pending], rng)
            repeated = (histories[pending] == candidates[:, np.newaxis]).any(axis=1)
            drawn[pending[~repeated]] = candidates[~repeated]
            pending = pending[repeated]
        return drawn

    def candidates(self, histories: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw from q(. | last item), or from p after an empty history; seen items are possible."""
        uniform = rng.random((3, len(histories)))
        if not histories.shape[1]:
            return self.popular(uniform[1], 0, len(self.popularity))
        last = histories[:, -1]
        kind = np.searchsorted(np.cumsum(self.shares), uniform[0], side="right")  # 0 chain, 1 taste, 2 drift
        start, end = self.genre_range(last)
        taste = kind == 1
        drawn = self.popular(uniform[1], np.where(taste, start, 0), np.where(taste, end, len(self.popularity)))
        successor = np.searchsorted(np.cumsum(self.weights)[:-1], uniform[2], side="right")
        return np.where(kind == 0, self.successors[last, successor], drawn)

    def probabilities(self, offsets: np.ndarray, items: np.ndarray) -> np.ndarray:
        """P(. | history), float64 [B, I], of each history items[offsets[b]:offsets[b + 1]]."""
        chain, taste = self.shares
        lengths = np.diff(offsets)
        probabilities = np.tile(self.popularity, (len(lengths), 1))
        begun = np.flatnonzero(lengths)
        last = items[offsets[begun + 1] - 1]
        genre_popularity = np.bincount(self.genre, weights=self.popularity)  # [G]
        same_genre = self.genre[last][:, np.newaxis] == self.genre  # [B, I]
        probabilities[begun] *= (1 - chain - taste) + taste * same_genre / genre_popularity[self.genre[last]][
            :, np.newaxis
        ]
        # the successors of an item are different, so each index occurs once and no addition is lost
        probabilities[begun[:, np.newaxis], self.successors[last]] += chain * self.weights
        probabilities[np.repeat(np.arange(len(lengths)), lengths), items] = 0
        return probabilities / probabilities.sum(axis=1, keepdims=True)


def _raw_ids(letter: str, first: int, end: int, count: int) -> pa.Array:
    """Ids such as u0042 for the numbers `first` to `end` - 1, padded to the width of the number `count` - 1."""
    width = len(str(count - 1))
    return pa.array([f"{letter}{number:0{width}}" for number in range(first, end)], pa.string())
