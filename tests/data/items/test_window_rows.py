import numpy as np

from kerasrec.data.items.examples import TokenHistories
from kerasrec.data.items.settings import ExampleSettings
from kerasrec.data.items.window_rows import window_rows, windows_of


def test_windows_cover_the_histories():
    histories = TokenHistories(np.array([3, 8]), np.array([0, 7, 9]), np.arange(5, 14, dtype=np.int32))
    rules = ExampleSettings(max_seq_length=4, prop_sliding_window=0.5)
    windows = windows_of(histories, rules)
    rows = list(window_rows(histories, windows).as_numpy_iterator())
    assert {row["info"] for row in rows} == {3, 8}
    assert {number for row in rows if row["info"] == 3 for number in row["input_ids"]} == set(range(5, 12))
    assert [row["input_ids"].tolist() for row in rows if row["info"] == 8] == [[12, 13]]
    assert all(len(row["input_ids"]) <= 4 for row in rows)
    reordered = windows.take(np.array([1, 0]))
    assert (
        next(iter(window_rows(histories, reordered).as_numpy_iterator()))["input_ids"].tolist()
        == rows[1]["input_ids"].tolist()
    )
