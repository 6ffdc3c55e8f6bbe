import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasrec.errors import KerasrecError
from kerasrec.workspace import digests as stored
from kerasrec.workspace.digests import Damaged, digest_of, is_whole, require_whole
from kerasrec.workspace.json_files import read_json, write_json

AGAIN = "kerasrec siamese prepare shop"
CONTENT = {"parts": {"part-000": {"digest": "00ff", "users": 3}}, "share": 0.1, "name": "茶", "none": None}


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


@settings(max_examples=60)
@given(place=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_a_flipped_bit_of_a_json_file_changes_nothing(tmp_path_factory, place, bit):
    folder = tmp_path_factory.mktemp("json")
    write_json(folder / "manifest.json", CONTENT)
    for name in ("manifest.json", ".manifest.json.copy"):
        content = bytearray((folder / name).read_bytes())
        content[place % len(content)] ^= 1 << bit
        written = (folder / name).read_bytes()
        (folder / name).write_bytes(content)
        assert read_json(folder / "manifest.json", "missing") == CONTENT
        (folder / name).write_bytes(written)


def test_a_json_file_of_an_earlier_version(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(CONTENT), encoding="utf-8")
    assert read_json(path, "missing") == CONTENT
    with pytest.raises(KerasrecError, match="^nothing is there$"):
        read_json(tmp_path / "other.json", "nothing is there")
    for content in (b"[]", b"null", b'"{}"', b"{", b"\xff", b"[" * 100_000):
        path.write_bytes(content)
        with pytest.raises(Damaged, match=r"config.json is damaged \(.*\): train again"):
            read_json(path, "missing", "train again")
