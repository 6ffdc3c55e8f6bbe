import multiprocessing
import os

import pytest

from kerasrec.errors import KerasrecError
from kerasrec.workspace.atomic_files import replacing
from kerasrec.workspace.locks import exclusive


def test_a_locked_folder_is_refused_until_the_lock_is_released(tmp_path):
    refused = pytest.raises(KerasrecError, match="another run is writing")
    with exclusive(tmp_path), refused, exclusive(tmp_path):
        pass
    with exclusive(tmp_path):
        pass


def test_unfinished_files_of_killed_runs_are_removed(tmp_path):
    """Files of ended processes are removed, also in sub-folders; files of running processes are kept."""
    ended = multiprocessing.get_context("fork").Process(target=lambda: None)
    ended.start()
    ended.join()
    (tmp_path / "plots").mkdir()
    removed = [tmp_path / f".parts.{ended.pid}.unfinished", tmp_path / "plots" / f".a b.png.{ended.pid}.unfinished"]
    kept = [tmp_path / f".vocab.{os.getpid()}.unfinished", tmp_path / ".mine.unfinished", tmp_path / "12.unfinished"]
    for path in (*removed, *kept):
        path.touch()
    with exclusive(tmp_path, ".part-000.lock"):
        assert all(path.exists() for path in removed), "another run may be writing another part"
    with exclusive(tmp_path):
        assert not any(path.exists() for path in removed) and all(path.exists() for path in kept)
    removed[0].touch()
    with replacing(tmp_path / "parts") as unfinished:  # without a lock on the folder
        unfinished.touch()
    assert not removed[0].exists()
