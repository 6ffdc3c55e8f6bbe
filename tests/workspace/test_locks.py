import multiprocessing
import os

import pytest

from kerasrec.errors import KerasrecError
from kerasrec.workspace.atomic_files import replacing
from kerasrec.workspace.locks import exclusive


def test_exclusive(tmp_path):
    refused = pytest.raises(KerasrecError, match="another run is writing")
    with exclusive(tmp_path), refused, exclusive(tmp_path):
        pass
    with exclusive(tmp_path):
        pass


def test_unfinished_files_of_killed_runs_are_removed(tmp_path):
    """Of processes that are gone, in sub-folders, too; never those of a process that is still there."""
    gone = multiprocessing.get_context("fork").Process(target=lambda: None)
    gone.start()
    gone.join()
    (tmp_path / "plots").mkdir()
    left = [tmp_path / f".parts.{gone.pid}.unfinished", tmp_path / "plots" / f".a b.png.{gone.pid}.unfinished"]
    kept = [tmp_path / f".vocab.{os.getpid()}.unfinished", tmp_path / ".mine.unfinished", tmp_path / "12.unfinished"]
    for path in (*left, *kept):
        path.touch()
    with exclusive(tmp_path, ".part-000.lock"):
        assert all(path.exists() for path in left), "another run may be writing another part"
    with exclusive(tmp_path):
        assert not any(path.exists() for path in left) and all(path.exists() for path in kept)
    left[0].touch()
    with replacing(tmp_path / "parts") as unfinished:  # in a folder that nobody holds
        unfinished.touch()
    assert not left[0].exists()
