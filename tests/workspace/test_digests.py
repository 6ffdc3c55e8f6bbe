import pytest

from kerasrec.workspace import digests as stored
from kerasrec.workspace.digests import Damaged, digest_of, is_whole, require_whole

AGAIN = "kerasrec siamese prepare shop"


def test_digest_of():
    assert digest_of(b"abc") == "ba7816bf8f01cfea"  # FIPS 180-4's example


def test_each_state_of_a_file_is_read_once(tmp_path, monkeypatch):
    path, read = tmp_path / "file", []
    content_digest = stored.content_digest
    monkeypatch.setattr(stored, "content_digest", lambda path: read.append(path) or content_digest(path))
    path.write_bytes(b"abc")
    assert all(is_whole(path, digest_of(b"abc")) for _ in range(3)) and len(read) == 1
    path.write_bytes(b"abcd")
    assert not is_whole(path, digest_of(b"abc")) and len(read) == 2


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(stored, "content_digest", refuse)
    (tmp_path / "file").write_bytes(b"abc")
    with pytest.raises(Damaged, match=rf"file cannot be read \(Permission denied\): restore it with `{AGAIN}`"):
        require_whole(tmp_path / "file", "", AGAIN)
