"""Histories in memory as rows for `masked_batches`."""

from kerasrec.backend import tf
from kerasrec.data.items.examples import TokenHistories
from kerasrec.data.items.settings import ExampleSettings
from kerasrec.data.items.splits import Windows, sliding_windows


def windows_of(histories: TokenHistories, rules: ExampleSettings) -> Windows:
    """Where histories are cut into rows."""
    return sliding_windows(histories.offsets[:-1], histories.offsets[1:], rules.max_seq_length, rules.window_step)


def window_rows(histories: TokenHistories, windows: Windows) -> "tf.data.Dataset":
    """A row for each window, as `masked_batches` takes them."""
    ids = tf.constant(histories.ids)
    places = {
        "info": histories.users[windows.users],
        "window": windows.ordinals,
        "begin": windows.begins,
        "length": windows.lengths,
    }
    return tf.data.Dataset.from_tensor_slices(places).map(
        lambda row: {
            "info": row["info"],
            "window": row["window"],
            "input_ids": ids[row["begin"] : row["begin"] + row["length"]],
        }
    )
