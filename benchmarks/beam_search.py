"""ColaRec's beam search in the graph against a plain one in Python, user by user, over the same model.

Both search 10,000 identifiers of 3 codes out of 32 with a beam of 50, for users of 5 items of 22 tokens, and give the
same lists. The plain one reads each user's encoder states once, too, but keeps its candidates in lists, looks into a
dictionary for the codes that may follow, and runs the decoder over each whole prefix.

    python benchmarks/beam_search.py
"""

import time

import numpy as np
from rich.console import Console
from rich.table import Table

from kerasrec.backend import tf
from kerasrec.colarec.identifiers import random_codes
from kerasrec.colarec.model import ColaRecModel, Sizes
from kerasrec.colarec.prefix_tree import PrefixTree
from kerasrec.colarec.rows import RowMaker
from kerasrec.colarec.settings import LENGTHS
from kerasrec.colarec.trained import identified
from kerasrec.nn.settings import T5Config

ITEMS, LENGTH, CODES, BEAM, USERS, ROUNDS = 10_000, 3, 32, 50, 256, 3
_TOKENS = tf.TensorSpec([None, None], tf.int32)


class PlainSearch:
    """A beam search over lists, for one user at a time."""

    def __init__(self, model: ColaRecModel, codes: np.ndarray):
        self.items = {tuple(row): item for item, row in enumerate(codes.tolist())}
        self.following: dict[tuple, set] = {}
        for sequence in self.items:
            for place in range(LENGTH):
                self.following.setdefault(sequence[:place], set()).add(sequence[place])
        self.encode = tf.function(model.encode, input_signature=[_TOKENS] * 3)
        self.shares = [self._shares(model, place) for place in range(LENGTH)]

    @staticmethod
    def _shares(model: ColaRecModel, place: int):
        @tf.function(reduce_retracing=True)
        def shares(states, real, prefixes):
            shown = [model.embed_codes(0, tf.zeros_like(prefixes[:, 0]))]
            shown += [model.embed_codes(number + 1, prefixes[:, number]) for number in range(place)]
            count = tf.shape(prefixes)[0]
            states, real = tf.repeat(states, count, axis=0), tf.repeat(real, count, axis=0)
            return model.log_shares(place, model.decoder([states, tf.stack(shown, axis=1), real])[:, -1])

        return shares

    def __call__(self, row: list[np.ndarray], seen: set[int]) -> list[int]:
        states, real = self.encode(*row)
        candidates: list[tuple[tuple, float]] = [((), 0.0)]
        for place in range(LENGTH):
            prefixes = np.array([[*prefix, 0][: max(1, place)] for prefix, _ in candidates], np.int32)
            shares = self.shares[place](states, real, tf.constant(prefixes)).numpy()
            longer = []
            for (prefix, score), row_shares in zip(candidates, shares, strict=True):
                for code in self.following[prefix]:
                    sequence = (*prefix, code)
                    if place < LENGTH - 1 or self.items[sequence] not in seen:
                        longer.append((sequence, score + row_shares[code]))
            candidates = sorted(longer, key=lambda pair: -pair[1])[:BEAM]
        return [self.items[sequence] for sequence, _ in candidates]


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
    def search(ids, kinds, positions, seen):
        return identified(model, tree, *model.encode(ids, kinds, positions), seen, BEAM)[0]

    plain = PlainSearch(model, codes)

    def one_by_one():
        return [plain([part[user : user + 1] for part in rows], set(histories[user])) for user in range(USERS)]

    def in_the_graph():
        begins = range(0, USERS, 64)
        return np.concatenate([search(*(p[b : b + 64] for p in rows), histories[b : b + 64]) for b in begins]).tolist()

    seconds = {one_by_one: [], in_the_graph: []}
    found = {way: way() for way in seconds}  # and everything is traced
    alike = np.mean([one == other for one, other in zip(*found.values(), strict=True)])
    for _ in range(ROUNDS):
        for way, taken in seconds.items():
            began = time.perf_counter()
            way()
            taken.append(time.perf_counter() - began)
    slow, fast = (sorted(taken)[ROUNDS // 2] for taken in seconds.values())
    table = Table(title=f"beam of {BEAM} over {ITEMS:,} items, {USERS} users, equal lists for {alike:.1%} of them")
    for column in ("search", "users/s", "ratio"):
        table.add_column(column, justify="left" if column == "search" else "right")
    table.add_row("in Python, user by user", f"{USERS / slow:.1f}", "1")
    table.add_row("in the graph, 64 users at a time", f"{USERS / fast:.1f}", f"{slow / fast:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
