from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from kerasrec.data.items.vocab import ItemVocab
from kerasrec.data.logs.parts import write_part


@pytest.fixture
def small_part(tmp_path):
    """A part file with 30 users whose histories have 1 to 25 events over 40 items, and its vocabulary."""
    rng = np.random.default_rng(0)
    histories = [[f"item {number}" for number in rng.integers(0, 40, rng.integers(1, 26))] for _ in range(30)]
    rows = [(7 * user, item) for user, items in enumerate(histories) for item in items]
    users, items = (list(column) for column in zip(*rows, strict=True))
    path = tmp_path / "parts" / "part-000.parquet"
    path.parent.mkdir()
    write_part(path, pa.table({"user": users, "item": items, "time": range(len(rows))}).to_batches())
    return path, ItemVocab.build(Counter(items))
