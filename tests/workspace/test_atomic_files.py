import errno

import pytest

from kerasrec.errors import KerasrecError
from kerasrec.workspace.atomic_files import replacing, writing


def test_a_successful_block_replaces_the_file(tmp_path):
    path = tmp_path / "new" / "file.txt"
    for text in ("one", "two"):
        with replacing(path) as unfinished:
            unfinished.write_text(text)
        assert path.read_text() == text
    assert [child.name for child in path.parent.iterdir()] == ["file.txt"]


def test_a_failed_block_keeps_the_earlier_file(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("earlier")
    with pytest.raises(ZeroDivisionError), replacing(path) as unfinished:
        unfinished.write_text("ha")
        1 / 0  # noqa: B018
    assert path.read_text() == "earlier"
    assert [child.name for child in tmp_path.iterdir()] == ["file.txt"]


def test_disk_full(tmp_path):
    path = tmp_path / "file.txt"
    full = pytest.raises(KerasrecError, match="no space left on the disk while writing .*file.txt")
    with full, replacing(path) as unfinished:
        unfinished.write_text("ha")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert not list(tmp_path.iterdir())


def test_other_system_errors_are_not_changed(tmp_path):
    with pytest.raises(PermissionError), replacing(tmp_path / "file.txt"):
        raise PermissionError


@pytest.mark.parametrize(
    "error", [OSError(errno.EDQUOT, "Disk quota exceeded"), RuntimeError("events: No space left on device")]
)
def test_a_full_disk_is_reported_for_the_errors_of_all_libraries(tmp_path, error):
    with pytest.raises(KerasrecError, match="no space left on the disk while writing"), writing(tmp_path / "file"):
        raise error
