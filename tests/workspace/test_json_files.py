import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasrec.errors import KerasrecError
from kerasrec.workspace.digests import Damaged
from kerasrec.workspace.json_files import read_json, write_json

CONTENT = {"parts": {"part-000": {"digest": "00ff", "users": 3}}, "share": 0.1, "name": "茶", "none": None}


@settings(max_examples=60)
@given(place=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_a_flipped_bit_of_a_json_file_does_not_change_the_read_content(tmp_path_factory, place, bit):
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
    with pytest.raises(KerasrecError, match="^there is no file$"):
        read_json(tmp_path / "other.json", "there is no file")
    for content in (b"[]", b"null", b'"{}"', b"{", b"\xff", b"[" * 100_000):
        path.write_bytes(content)
        with pytest.raises(Damaged, match=r"config.json is damaged \(.*\): train again"):
            read_json(path, "missing", "train again")
