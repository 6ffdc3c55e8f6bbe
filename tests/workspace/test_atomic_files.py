import errno
import multiprocessing
import os

import pytest

from kerasrec.errors import KerasrecError
from kerasrec.workspace.atomic_files import replacing, writing
from kerasrec.workspace.locks import exclusive
from kerasrec.workspace.manifest import Manifest


def test_a_block_that_ends_well_replaces_the_file(tmp_path):
    path = tmp_path / "new" / "file.txt"
    for text in ("one", "two"):
        with replacing(path) as unfinished:
            unfinished.write_text(text)
        assert path.read_text() == text
    assert [child.name for child in path.parent.iterdir()] == ["file.txt"]


def test_a_block_that_fails_leaves_the_earlier_file(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("whole")
    with pytest.raises(ZeroDivisionError), replacing(path) as unfinished:
        unfinished.write_text("ha")
        1 / 0  # noqa: B018
    assert path.read_text() == "whole"
    assert [child.name for child in tmp_path.iterdir()] == ["file.txt"]


def test_disk_full(tmp_path):
    path = tmp_path / "file.txt"
    full = pytest.raises(KerasrecError, match="no space left on the disk while writing .*file.txt")
    with full, replacing(path) as unfinished:
        unfinished.write_text("ha")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert not list(tmp_path.iterdir())


def test_other_errors_of_the_system_stay_what_they_are(tmp_path):
    with pytest.raises(PermissionError), replacing(tmp_path / "file.txt"):
        raise PermissionError


def test_exclusive(tmp_path):
    refused = pytest.raises(KerasrecError, match="another run is writing")
    with exclusive(tmp_path), refused, exclusive(tmp_path):
        pass
    with exclusive(tmp_path):
        pass


def add(path, number):
    Manifest(path).update("parts", {f"part-{number:03d}": {"digest": str(number)}})


def test_many_processes_update_one_manifest(tmp_path):
    path = tmp_path / "manifest.json"
    Manifest(path).replace(vocab={"size": 7})
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        pool.starmap(add, [(path, number) for number in range(24)])
    manifest = Manifest(path)
    assert len(manifest.section("parts")) == 24
    assert manifest.section("vocab") == {"size": 7} and manifest.section("nothing") == {}
    manifest.replace(parts={})
    assert manifest.read() == {"vocab": {"size": 7}, "parts": {}}


def test_a_folder_is_one_system_s(tmp_path):
    manifest = Manifest(tmp_path / "manifest.json")
    manifest.require("siamese")
    assert manifest.read() == {}
    manifest.replace(vocab={"size": 7})  # by an earlier version
    manifest.claim("recall")
    manifest.claim("recall")
    manifest.require("recall")
    for refused in (manifest.claim, manifest.require):
        with pytest.raises(KerasrecError, match="files of kerasrec recall, not of kerasrec siamese: give another name"):
            refused("siamese")
    assert manifest.read() == {"vocab": {"size": 7}, "system": "recall"}


@pytest.mark.parametrize(
    "error", [OSError(errno.EDQUOT, "Disk quota exceeded"), RuntimeError("events: No space left on device")]
)
def test_a_full_disk_is_reported_for_the_errors_of_all_libraries(tmp_path, error):
    with pytest.raises(KerasrecError, match="no space left on the disk while writing"), writing(tmp_path / "file"):
        raise error


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


def test_noted_files_are_checked_by_digest(tmp_path):
    manifest, path = Manifest(tmp_path / "manifest.json"), tmp_path / "users.parquet"
    path.write_bytes(b"one")
    assert manifest.whole(path, "kerasrec recall split") == path  # of an earlier version, which noted nothing
    assert manifest.command(path, "kerasrec recall split") == "kerasrec recall split"
    manifest.note("kerasrec recall split --log log.csv", path)
    assert manifest.whole(path, "kerasrec recall split") == path
    path.write_bytes(b"two")
    with pytest.raises(KerasrecError, match="users.parquet is damaged.*`kerasrec recall split --log log.csv`"):
        manifest.whole(path, "kerasrec recall split")


def test_a_section_of_another_form(tmp_path):
    (tmp_path / "manifest.json").write_text('{"parts": 5}', encoding="utf-8")
    with pytest.raises(KerasrecError, match="manifest.json is damaged, its parts is not an object"):
        Manifest(tmp_path / "manifest.json").section("parts")
