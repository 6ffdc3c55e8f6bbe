"""Logs drawn from a stated process, so that the best score any recommender can reach on them is known.

The process. There are I items in G genres of equal size. Item j has the popularity

    p_j = r_j^-z / sum over i of r_i^-z,        r a random order of the items from 1 to I,

a Zipf law with the exponent z. Every item i has K different successors s_i1 .. s_iK in its own genre, drawn one after
another in proportion to p, with the weights w_k = 2^-k / (2^-1 + .. + 2^-K). After item i the next one follows

    q(j | i) = a * sum over k of w_k [j = s_ik]                        the chain: order matters
             + b * p_j [g_j = g_i] / sum of p over the genre g_i       the taste: another item of the genre
             + (1 - a - b) * p_j                                       the drift: any item, and with it a new taste

A user's first item follows p. Nobody takes an item twice: with the history h, whose last item is i, the next item has
the distribution

    P(j | h) = q(j | i) [j not in h] / (1 - sum of q(m | i) over m in h).

A history has a length of n_min + x with a geometric x from 0 with the mean n_mean - n_min, cut off at n_max. The length
does not depend on the items, so P is also the distribution of a user's last item given those before it.

The ceiling. Call P_(r) the probability of the item that a ranking puts on place r. The ranking can expect the gain
sum over r of P_(r) gain(r), and gain(r) never rises with r: it is [r <= k] for recall@k, [r <= k] / log2(1 + r) for
NDCG@k and 1 / r for MRR. Sorting by P is therefore the best ranking (rearrangement inequality) and no recommender can
be expected to exceed it. On a given set of targets a ranking may be luckier than that, so the score that the best
ranking realises on the actual targets is given beside it.

Successors drawn in proportion to p lead to popular items as often as p says, so the Zipf law survives the chain; that
items do not repeat flattens its head.
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
import pyarrow.compute
import pyarrow.csv

from kerasrec.errors import KerasrecError, reason, require
from kerasrec.workspace.atomic_files import replacing

USERS_PER_BLOCK = 1 << 16  # part of the process: each block has random numbers of its own
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
    """A log from the process that the module's docstring states; everything follows from these settings.

    Items are numbered from 0 to `items` - 1 in all arrays; `item_numbers` leads there from the raw ids in the files.

    Raises:
        KerasrecError: a setting lies outside its range.

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
    """Successors of each item, K."""
    chain_share: float = 0.7
    """Probability that the next item is a successor of the last one, a."""
    genre_share: float = 0.2
    """Probability that it is drawn from the last one's genre, b."""
    zipf: float = 0.8
    """Exponent of the popularity, z; 0 makes all items equally popular."""
    min_length: int = 10
    """Shortest history, n_min, in events."""
    mean_length: float = 25.0
    """Mean length of a history before the cut at max_length, n_mean, in events."""
    max_length: int = 60
    """Longest history, n_max, in events; at most a quarter of the catalogue, because items do not repeat."""
    files: int = 24
    """Number of log files; each user's events are spread over all of them."""
    seed: int = 0
    """Any integer from 0."""

    def __post_init__(self):
        require(self.users >= 1, "users", self.users, "at least 1")
        require(self.genres >= 1, "genres", self.genres, "at least 1")
        require(self.successors >= 1, "successors", self.successors, "at least 1")
        least = max(self.genres * (self.successors + 1), 4 * self.max_length)
        require(
            self.items >= least,
            "items",
            self.items,
            f"at least {least}, which is the larger of genres * (successors + 1) and 4 * max_length",
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
        """The log that `write` put into this folder, from its `process.json`.

        Raises:
            KerasrecError: the file is missing or does not hold the settings.
        """
        path = Path(folder) / "process.json"
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise KerasrecError(
                f"{path} does not hold the settings of a synthetic log ({reason(error)}): name a folder that one was "
                "written to"
            ) from error

    def write(self, folder: str | os.PathLike) -> Path:
        """Write the log, the items' names and the settings.

        `log/00.csv`, `log/01.csv`, ..: headerless lines `user,item`; the files follow each other in time by name, and
        the lines of each user stand in time order. `items.csv`: `item_id,title`, every title once. `process.json`:
        the settings, from which `load` makes the process again.

        Returns:
            The folder of the log files.

        Raises:
            KerasrecError: the log folder holds other files than this log's, or the disk is full.
        """
        folder, log = Path(folder), Path(folder) / "log"
        paths = [log / f"{number:0{len(str(self.files - 1))}}.csv" for number in range(self.files)]
        foreign = sorted({path.name for path in log.glob("*.csv")} - {path.name for path in paths})
        if foreign:
            raise KerasrecError(f"{log} already holds {foreign[0]}, which is no file of this log: name an empty folder")
        with contextlib.ExitStack() as open_files:
            schema = pa.schema({"user": pa.string(), "item": pa.string()})
            headerless = pa.csv.WriteOptions(include_header=False, quoting_style="none")
            writers = [
                open_files.enter_context(
                    pa.csv.CSVWriter(open_files.enter_context(replacing(path)), schema, write_options=headerless)
                )
                for path in paths
            ]
            for file, users, items in self._events():
                writers[file].write_table(pa.table([users, items], schema))
        with replacing(folder / "items.csv") as unfinished:
            pa.csv.write_csv(pa.table({"item_id": self.item_ids, "title": self.titles()}), unfinished)
        with replacing(folder / "process.json") as unfinished:
            unfinished.write_text(json.dumps(dataclasses.asdict(self), indent=1), encoding="utf-8")
        return log

    @functools.cached_property
    def item_ids(self) -> pa.Array:
        """Raw ids in the order of the item numbers, as strings such as `i042`."""
        return _raw_ids("i", 0, self.items, self.items)

    def item_numbers(self, raw: Sequence[str]) -> np.ndarray:
        """Item numbers, int64 [N], of raw ids.

        Raises:
            KerasrecError: an id is no item of this log.

        Example:
            >>> SyntheticLog().item_numbers(["i042", "i007"])
            array([42,  7])
        """
        raw = pa.array(raw, pa.string())
        numbers = pa.compute.index_in(raw, self.item_ids)
        if numbers.null_count:
            unknown = raw.filter(numbers.is_null())[0]
            raise KerasrecError(
                f"{unknown} is no item of this log: its ids go from {self.item_ids[0]} to {self.item_ids[-1]}"
            )
        return numbers.to_numpy().astype(np.int64)

    def titles(self) -> list[str]:
        """A made-up title for each item, every one different, with its genre in brackets.

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
        """The users' histories in the order of the users, in blocks of `USERS_PER_BLOCK`.

        Yields:
            `offsets` int64 [U + 1] and `items` int32 [N]: user u of the block took items[offsets[u]:offsets[u + 1]], in
            time order.
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
        """The true distribution of the next item after each history: no ranking is better than sorting by it.

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
        """The best scores that can be reached on these users: full ranking, seen items filtered, one target a user.

        Args:
            offsets: int [U + 1] of the histories, as in `oracle_scores`.
            items: int [N] item numbers.
            targets: int [U] item numbers: the item that followed each history.
            recall_at: The k of recall@k.
            ndcg_at: The k of NDCG@k.

        Returns:
            Metrics by name (`NDCG@10`), under `expected` as what the best ranking reaches on average over all that
            could have followed these histories, and under `realised` as what it reaches on `targets`. The two differ by
            chance only.
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
        """Lengths, int64 [U], of histories from uniform numbers, by the inverse of the geometric distribution."""
        excess = self.mean_length - self.min_length
        # floor(log(1 - u) / log(1 - p)) is geometric from 0 with the mean (1 - p) / p, which is the excess
        drawn = np.floor(np.log1p(-uniform) / np.log(excess / (excess + 1))) if excess else np.zeros_like(uniform)
        return np.minimum(self.min_length + drawn, self.max_length).astype(np.int64)

    def _events(self) -> Iterator[tuple[int, pa.Array, pa.Array]]:
        """The log in pieces: (number of the file, raw users, raw items), each piece in time order."""
        for block, (offsets, items) in enumerate(self.histories()):
            rng = np.random.default_rng([self.seed, 2, block])
            owners = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
            times = rng.random(len(items))
            times = times[np.lexsort((times, owners))]  # rising within each user, as their items are
            in_time = np.argsort(times, kind="stable")
            users = _raw_ids("u", block * USERS_PER_BLOCK, block * USERS_PER_BLOCK + len(offsets) - 1, self.users)
            edges = np.searchsorted(times[in_time], np.arange(self.files + 1) / self.files)
            for file in range(self.files):
                piece = in_time[edges[file] : edges[file + 1]]
                yield file, users.take(pa.array(owners[piece])), self.item_ids.take(pa.array(items[piece]))


def leave_one_out(offsets: np.ndarray, items: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Histories without their last items, and these: the offsets, the items and the targets of `ceiling`.

    Args:
        offsets: int64 [U + 1]; history u has `items[offsets[u] : offsets[u + 1]]`, one item at least.
        items: int [N].

    Example:
        >>> leave_one_out(np.array([0, 2, 3]), np.array([7, 8, 9]))
        (array([0, 1, 1]), array([7]), array([8, 9]))
    """
    lasts = offsets[1:] - 1
    return offsets - np.arange(len(offsets)), np.delete(items, lasts), items[lasts]


class _Process:
    """The numbers behind a log: popularity, genres and successors, and the distributions that follow from them.

    Only `Generator.random` is drawn from, whose stream NumPy has kept, so that a log can be made again later.
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
        """Where the genres of these items begin and end in `by_genre`."""
        return self.genre_start[self.genre[items]], self.genre_start[self.genre[items] + 1]

    def popular(self, uniform: np.ndarray, start: np.ndarray | int, end: np.ndarray | int) -> np.ndarray:
        """Items by_genre[start:end] in proportion to their popularity, by inverting its cumulative sum."""
        point = self.edges[start] + uniform * (self.edges[end] - self.edges[start])
        # clipped, because the product may round up to the end of the range
        return self.by_genre[np.clip(np.searchsorted(self.edges, point, side="right") - 1, start, np.subtract(end, 1))]

    def next_items(self, histories: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """One further item, int64 [B], for each of the histories [B, t]."""
        drawn = np.empty(len(histories), np.int64)
        pending = np.arange(len(histories))
        while pending.size:  # what is drawn again until it is new follows q restricted to the new items
            candidates = self.candidates(histories[pending], rng)
            repeated = (histories[pending] == candidates[:, np.newaxis]).any(axis=1)
            drawn[pending[~repeated]] = candidates[~repeated]
            pending = pending[repeated]
        return drawn

    def candidates(self, histories: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draws from q(. | last item), or from p after an empty history, seen items not yet left out."""
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
        # an item's successors differ from each other, so that no addition is lost
        probabilities[begun[:, np.newaxis], self.successors[last]] += chain * self.weights
        probabilities[np.repeat(np.arange(len(lengths)), lengths), items] = 0
        return probabilities / probabilities.sum(axis=1, keepdims=True)


def _raw_ids(letter: str, first: int, end: int, count: int) -> pa.Array:
    """Ids such as u0042 for the numbers from `first` up to `end`, as wide as the largest of `count` numbers needs."""
    width = len(str(count - 1))
    return pa.array([f"{letter}{number:0{width}}" for number in range(first, end)], pa.string())
