"""Prepare the public logs of the benchmarks with the first three steps of item recall."""

import contextlib
import io
from pathlib import Path

from kerasrec.data.items.settings import ExampleSettings
from kerasrec.recall.dataset import PreparedData
from kerasrec.recall.prepare import examples, split, vocab
from kerasrec.recall.settings import Examples, Split, Vocab
from kerasrec.workspace.run_folders import RunFolders, find_parts

# Name: its file below KERASREC_DATA, how it is split, and the longest history.
DATA = {
    "MovieLens-1M": ("ml-1m/ratings-order.txt.gz", {"parts": 8, "min_item_events": 5}, 200),
    "Beauty": ("beauty/beauty.txt.gz", {"parts": 16}, 50),
}


def prepared(log: Path, folder: str, length: int, **settings) -> PreparedData:
    """Split a log, count its vocabulary and write its examples; returns the prepared data."""
    folders = RunFolders(Path(folder))
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        split(Split(str(log), data_path=folder, **settings))
        vocab(Vocab("all", folders))
        examples(Examples("all", folders=folders, examples=ExampleSettings(max_seq_length=length, masking="dynamic")))
    return PreparedData(*find_parts("all", folders))
