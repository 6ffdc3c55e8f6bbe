"""Histories in memory as input rows of `masked_batches`."""

from kerasrec.backend import tf
from kerasrec.data.items.examples import TokenHistories
from kerasrec.data.items.settings import ExampleSettings
from kerasrec.data.items.splits import Windows, sliding_windows


def windows_of(histories: TokenHistories, rules: ExampleSettings) -> Windows:
    """The windows of histories.

    Args:
        histories: The histories.
        rules: Their `max_seq_length` and `window_step` are used.
    """
    return sliding_windows(histories.offsets[:-1], histories.offsets[1:], rules.max_seq_length, rules.window_step)


def window_rows(histories: TokenHistories, windows: Windows) -> "tf.data.Dataset":
    """A dataset with one row per window, for `masked_batches`.

    Args:
        histories: The histories.
        windows: Windows of these histories (`windows_of`).
    """
    ids = tf.constant(histories.ids)
    features = {
        "info": histories.users[windows.users],
        "window": windows.ordinals,
        "begin": windows.begins,
        "length": windows.lengths,
    }
    return tf.data.Dataset.from_tensor_slices(features).map(
        lambda row: {
            "info": row["info"],
            "window": row["window"],
            "input_ids": ids[row["begin"] : row["begin"] + row["length"]],
        }
    )
