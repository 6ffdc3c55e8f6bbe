"""ColaRec's beam search in the graph, compared with plain Python searches for one user at a time, on the same model.

All searches use 10,000 identifiers of 3 codes out of 32, a beam of 50, and users of 5 items with 22 tokens. Their lists
must be equal, or the benchmark fails. The plain searches keep candidates in lists and find the next codes in a
dictionary. One runs the decoder over the whole prefix of each candidate. The other computes a user's keys once and runs
the decoder position by position, like the search in the graph; the two differ only in the loops and in the single
users.

    python benchmarks/beam_search.py
"""

from functools import partial

import numpy as np
from rich.console import Console
from rich.table import Table
from timing import median_seconds

from kerasrec.backend import tf
from kerasrec.colarec.beam_search import Encoded
from kerasrec.colarec.encoder_rows import RowMaker
from kerasrec.colarec.hierarchical_kmeans import random_codes
from kerasrec.colarec.model import ColaRecModel, Sizes
from kerasrec.colarec.prefix_tree import PrefixTree
from kerasrec.colarec.run import identified
from kerasrec.colarec.settings import LENGTHS
from kerasrec.nn.settings import T5Config

ITEMS, LENGTH, CODES, BEAM, USERS, ROUNDS = 10_000, 3, 32, 50, 256, 3
POSITIONS = range(LENGTH)
_TOKENS = tf.TensorSpec([None, None], tf.int32)


class PlainSearch:
    """A beam search with lists, for one user at a time; the decoder runs over each candidate's whole prefix."""

    def __init__(self, model: ColaRecModel, codes: np.ndarray):
        self.sequences = [tuple(row) for row in codes.tolist()]
        self.items = {sequence: item for item, sequence in enumerate(self.sequences)}
        self.following: dict[tuple, set] = {}
        self.items_of_prefix: dict[tuple, set] = {}
        for sequence, item in self.items.items():
            for position in POSITIONS:
                self.following.setdefault(sequence[:position], set()).add(sequence[position])
                self.items_of_prefix.setdefault(sequence[: position + 1], set()).add(item)
        self.encode = tf.function(partial(self._encode, model), input_signature=[_TOKENS] * 3)
        self.log_probs = [
            tf.function(partial(self._log_probs, model, position), reduce_retracing=True) for position in POSITIONS
        ]

    @staticmethod
    def _encode(model, ids, token_types, positions):
        return model.encode(ids, token_types, positions)

    @staticmethod
    def _log_probs(model, position, encoded, prefixes, parents):
        embeddings = [model.embed_codes(number, prefixes[:, number]) for number in range(position + 1)]
        states, real = (tf.repeat(part, tf.shape(prefixes)[0], axis=0) for part in encoded)
        return model.log_probs(position, model.decoder([states, tf.stack(embeddings, axis=1), real])[:, -1]), encoded

    def __call__(self, row: list[np.ndarray], seen: set[int]) -> tuple[list[int], list[float]]:
        seen_prefixes = (self.sequences[item][: position + 1] for item in seen for position in POSITIONS)
        excluded = {prefix for prefix in seen_prefixes if self.items_of_prefix[prefix] <= seen}
        encoded = self.encode(*row)
        candidates: list[tuple[tuple, float, int]] = [((), 0.0, 0)]
        for position in POSITIONS:
            prefixes = np.array([[0, *prefix] for prefix, _, _ in candidates], np.int32)
            parents = np.array([parent for _, _, parent in candidates], np.int32)
            log_probs, encoded = self.log_probs[position](encoded, prefixes, parents)
            log_probs, longer = log_probs.numpy(), []
            for number, (prefix, score, _) in enumerate(candidates):
                for code in self.following[prefix]:
                    sequence = (*prefix, code)
                    if sequence not in excluded:
                        longer.append((sequence, score + log_probs[number, code], number))
            candidates = sorted(longer, key=lambda candidate: -candidate[1])[:BEAM]
        return [self.items[sequence] for sequence, _, _ in candidates], [score for _, score, _ in candidates]


class CachedSearch(PlainSearch):
    """A `PlainSearch` that runs the decoder position by position and computes the keys of the user's states once."""

    @staticmethod
    def _encode(model, ids, token_types, positions):
        return model.steps().context(*model.encode(ids, token_types, positions)), model.steps().empty_cache()

    @staticmethod
    def _log_probs(model, position, encoded, prefixes, parents):
        context, cache = encoded
        if position:
            cache = model.steps().cache_of(cache, 1, parents[tf.newaxis])
        states, cache = model.steps().step(
            model.embed_codes(position, prefixes[tf.newaxis, :, -1]), context, cache, LENGTH
        )
        return model.log_probs(position, states)[0], (context, cache)


def main() -> None:
    """Print one table."""
    rng = np.random.default_rng(0)
    codes = random_codes(ITEMS, LENGTH, CODES)
    sizes = Sizes(texts=8000, items=ITEMS, users=1, length=LENGTH, codes=CODES, item_tokens=0)
    model = ColaRecModel(T5Config(), sizes)
    for head in model.heads:
        head.kernel.assign(30 * head.kernel)  # so that scores differ as much as those of a trained model
    texts = np.arange(0, 21 * ITEMS + 1, 21), rng.integers(3, 8000, 21 * ITEMS, dtype=np.int32)
    histories = rng.integers(0, ITEMS, [USERS, 5], dtype=np.int32)
    rows = RowMaker(texts, LENGTHS["short"]).of_users(histories)
    tree = PrefixTree(codes)

    @tf.function(input_signature=[_TOKENS] * 4)
    def search(ids, token_types, positions, seen):
        return identified(model, tree, Encoded(*model.encode(ids, token_types, positions)), seen, BEAM)

    def one_by_one(plain: PlainSearch):
        lists = (plain([part[user : user + 1] for part in rows], set(histories[user])) for user in range(USERS))
        return map(np.array, zip(*lists, strict=True))

    def in_the_graph():
        begins = range(0, USERS, 64)
        lists = (search(*(part[b : b + 64] for part in rows), histories[b : b + 64]) for b in begins)
        return map(np.concatenate, zip(*lists, strict=True))

    searches = {
        "in Python, user by user, the decoder over whole prefixes": partial(one_by_one, PlainSearch(model, codes)),
        "in Python, user by user, position by position": partial(one_by_one, CachedSearch(model, codes)),
        "in the graph, 64 users at a time": in_the_graph,
    }
    (items, scores), *others = [tuple(one_search()) for one_search in searches.values()]  # also traces all graphs
    for other_items, other_scores in others:  # items whose scores differ only by rounding may be in another order
        if not np.allclose(scores, other_scores, atol=1e-4) or (items == other_items).mean() < 0.999:
            raise SystemExit("the searches return different lists")
    medians = median_seconds(searches, ROUNDS)
    table = Table(title=f"beam of {BEAM} over {ITEMS:,} items, {USERS} users, the same lists")
    for column in ("search", "users/s", "ratio"):
        table.add_column(column, justify="left" if column == "search" else "right")
    slowest = max(medians.values())
    for name, median in medians.items():
        table.add_row(name, f"{USERS / median:.1f}", f"{slowest / median:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
