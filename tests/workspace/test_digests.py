import pytest

from kerasrec.workspace import digests
from kerasrec.workspace.digests import Damaged, digest_of, is_intact, require_intact

COMMAND = "kerasrec siamese prepare shop"


def test_digest_of():
    assert digest_of(b"abc") == "ba7816bf8f01cfea"  # the example of FIPS 180-4


def test_an_unchanged_file_is_hashed_once(tmp_path, monkeypatch):
    path, read = tmp_path / "file", []
    content_digest = digests.content_digest
    monkeypatch.setattr(digests, "content_digest", lambda path: read.append(path) or content_digest(path))
    path.write_bytes(b"abc")
    assert all(is_intact(path, digest_of(b"abc")) for _ in range(3)) and len(read) == 1
    path.write_bytes(b"abcd")
    assert not is_intact(path, digest_of(b"abc")) and len(read) == 2


def test_a_file_without_read_permission(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(digests, "content_digest", refuse)
    (tmp_path / "file").write_bytes(b"abc")
    with pytest.raises(Damaged, match=rf"file cannot be read \(Permission denied\): restore it with `{COMMAND}`"):
        require_intact(tmp_path / "file", "", COMMAND)
