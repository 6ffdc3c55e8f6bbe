"""The public logs that benchmarks read, through the first three steps of item recall."""

import contextlib
import io
from pathlib import Path

from kerasrec.data.settings import ExampleSettings
from kerasrec.data.tasks import Places, find_parts
from kerasrec.recall.prepare import examples, split, vocab
from kerasrec.recall.prepared import Prepared
from kerasrec.recall.settings import Examples, Split, Vocab

# Name: its file below KERASREC_DATA, how it is split, and the longest history.
DATA = {
    "MovieLens-1M": ("ml-1m/ratings-order.txt.gz", {"parts": 8, "min_item_events": 5}, 200),
    "Beauty": ("beauty/beauty.txt.gz", {"parts": 16}, 50),
}


def prepared(log: Path, folder: str, length: int, **settings) -> Prepared:
    """The first three steps of item recall."""
    places = Places(Path(folder))
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        split(Split(str(log), data_path=folder, **settings))
        vocab(Vocab("all", places))
        examples(Examples("all", places=places, examples=ExampleSettings(max_seq_length=length, masking="dynamic")))
    return Prepared(*find_parts("all", places))
