"""ColaRec's beam search in the graph against a plain one in Python, user by user, over the same model.

All search 10,000 identifiers of 3 codes out of 32 with a beam of 50, for users of 5 items of 22 tokens, and give the
same lists, or the benchmark fails. The plain ones keep candidates in lists and look into a dictionary for the codes
that may follow: one runs the decoder over each whole prefix; the other makes a user's keys once and goes a position at
a time, as the search in the graph does, so that the loops and the single users are left to tell them apart.

    python benchmarks/beam_search.py
"""

from functools import partial

import numpy as np
from in_turn import median_seconds
from rich.console import Console
from rich.table import Table

from kerasrec.backend import tf
from kerasrec.colarec.encoder_rows import RowMaker
from kerasrec.colarec.hierarchical_kmeans import random_codes
from kerasrec.colarec.model import ColaRecModel, Sizes
from kerasrec.colarec.prefix_tree import PrefixTree
from kerasrec.colarec.run import identified
from kerasrec.colarec.settings import LENGTHS
from kerasrec.nn.settings import T5Config

ITEMS, LENGTH, CODES, BEAM, USERS, ROUNDS = 10_000, 3, 32, 50, 256, 3
PLACES = range(LENGTH)
_TOKENS = tf.TensorSpec([None, None], tf.int32)


class PlainSearch:
    """A beam search over lists, for one user at a time; the decoder reads each candidate's whole prefix."""

    def __init__(self, model: ColaRecModel, codes: np.ndarray):
        self.sequences = [tuple(row) for row in codes.tolist()]
        self.items = {sequence: item for item, sequence in enumerate(self.sequences)}
        self.following: dict[tuple, set] = {}
        self.behind: dict[tuple, set] = {}
        for sequence, item in self.items.items():
            for place in PLACES:
                self.following.setdefault(sequence[:place], set()).add(sequence[place])
                self.behind.setdefault(sequence[: place + 1], set()).add(item)
        self.read = tf.function(partial(self._read, model), input_signature=[_TOKENS] * 3)
        self.log_probs = [
            tf.function(partial(self._log_probs, model, place), reduce_retracing=True) for place in PLACES
        ]

    @staticmethod
    def _read(model, ids, token_types, positions):
        return model.encode(ids, token_types, positions)

    @staticmethod
    def _log_probs(model, place, read, prefixes, parents):
        shown = [model.embed_codes(number, prefixes[:, number]) for number in range(place + 1)]
        states, real = (tf.repeat(part, tf.shape(prefixes)[0], axis=0) for part in read)
        return model.log_probs(place, model.decoder([states, tf.stack(shown, axis=1), real])[:, -1]), read

    def __call__(self, row: list[np.ndarray], seen: set[int]) -> tuple[list[int], list[float]]:
        beginnings = (self.sequences[item][: place + 1] for item in seen for place in PLACES)
        used_up = {beginning for beginning in beginnings if self.behind[beginning] <= seen}
        read = self.read(*row)
        candidates: list[tuple[tuple, float, int]] = [((), 0.0, 0)]
        for place in PLACES:
            prefixes = np.array([[0, *prefix] for prefix, _, _ in candidates], np.int32)
            parents = np.array([parent for _, _, parent in candidates], np.int32)
            log_probs, read = self.log_probs[place](read, prefixes, parents)
            log_probs, longer = log_probs.numpy(), []
            for number, (prefix, score, _) in enumerate(candidates):
                for code in self.following[prefix]:
                    sequence = (*prefix, code)
                    if sequence not in used_up:
                        longer.append((sequence, score + log_probs[number, code], number))
            candidates = sorted(longer, key=lambda candidate: -candidate[1])[:BEAM]
        return [self.items[sequence] for sequence, _, _ in candidates], [score for _, score, _ in candidates]


class FrugalSearch(PlainSearch):
    """The same, but the decoder goes a position at a time, and keys of the user's states are made once."""

    @staticmethod
    def _read(model, ids, token_types, positions):
        return model.steps().context(*model.encode(ids, token_types, positions)), model.steps().empty_cache()

    @staticmethod
    def _log_probs(model, place, read, prefixes, parents):
        context, cache = read
        if place:
            cache = model.steps().cache_of(cache, 1, parents[tf.newaxis])
        states, cache = model.steps().step(
            model.embed_codes(place, prefixes[tf.newaxis, :, -1]), context, cache, LENGTH
        )
        return model.log_probs(place, states)[0], (context, cache)


def main() -> None:
    """Print one table."""
    rng = np.random.default_rng(0)
    codes = random_codes(ITEMS, LENGTH, CODES)
    sizes = Sizes(texts=8000, items=ITEMS, users=1, length=LENGTH, codes=CODES, item_tokens=0)
    model = ColaRecModel(T5Config(), sizes)
    for head in model.heads:
        head.kernel.assign(30 * head.kernel)  # scores as far apart as those of a trained model
    texts = np.arange(0, 21 * ITEMS + 1, 21), rng.integers(3, 8000, 21 * ITEMS, dtype=np.int32)
    histories = rng.integers(0, ITEMS, [USERS, 5], dtype=np.int32)
    rows = RowMaker(texts, LENGTHS["short"]).of_users(histories)
    tree = PrefixTree(codes)

    @tf.function(input_signature=[_TOKENS] * 4)
    def search(ids, token_types, positions, seen):
        return identified(model, tree, *model.encode(ids, token_types, positions), seen, BEAM)

    def one_by_one(plain: PlainSearch):
        lists = (plain([part[user : user + 1] for part in rows], set(histories[user])) for user in range(USERS))
        return map(np.array, zip(*lists, strict=True))

    def in_the_graph():
        begins = range(0, USERS, 64)
        lists = (search(*(part[b : b + 64] for part in rows), histories[b : b + 64]) for b in begins)
        return map(np.concatenate, zip(*lists, strict=True))

    ways = {
        "in Python, user by user, the decoder over whole prefixes": partial(one_by_one, PlainSearch(model, codes)),
        "in Python, user by user, a position at a time": partial(one_by_one, FrugalSearch(model, codes)),
        "in the graph, 64 users at a time": in_the_graph,
    }
    (items, scores), *others = [tuple(way()) for way in ways.values()]  # and everything is traced
    for other_items, other_scores in others:  # what scores the same but for rounding may change places
        if not np.allclose(scores, other_scores, atol=1e-4) or (items == other_items).mean() < 0.999:
            raise SystemExit("the searches do not give the same lists")
    medians = median_seconds(ways, ROUNDS)
    table = Table(title=f"beam of {BEAM} over {ITEMS:,} items, {USERS} users, the same lists")
    for column in ("search", "users/s", "ratio"):
        table.add_column(column, justify="left" if column == "search" else "right")
    slowest = max(medians.values())
    for name, median in medians.items():
        table.add_row(name, f"{USERS / median:.1f}", f"{slowest / median:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
