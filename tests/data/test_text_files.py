import gzip

import pytest

from kerasrec.data.text_files import find_texts, is_unicode, read_text
from kerasrec.errors import KerasrecError


def test_a_file_and_a_folder(tmp_path):
    for name in ("b.txt", "a.txt.gz", ".hidden", "_SUCCESS"):
        (tmp_path / name).write_text("x")
    (tmp_path / "folder").mkdir()
    assert find_texts(tmp_path / "b.txt") == [tmp_path / "b.txt"]
    assert [path.name for path in find_texts(str(tmp_path))] == ["a.txt.gz", "b.txt"]


def test_nothing_there(tmp_path):
    with pytest.raises(KerasrecError, match="does not exist"):
        find_texts(tmp_path / "none")
    with pytest.raises(KerasrecError, match="holds no files"):
        find_texts(tmp_path)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_byte_order_marks_and_bytes_that_are_not_utf8(tmp_path, pack):
    (tmp_path / "a").write_bytes(pack(b"\xef\xbb\xbf" + "好\ufeff\r\n".encode() + b"\xff"))
    text = read_text(tmp_path / "a")
    assert text == "好\ufeff\r\n\udcff"
    assert not is_unicode(text) and is_unicode(text[:-1])


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "utf16").write_text("好", encoding="utf-16")
    with pytest.raises(KerasrecError, match="is UTF-16; .*iconv"):
        read_text(tmp_path / "utf16")
    whole = gzip.compress(b"text" * 100)
    for broken in (whole[:-4], whole[:10] + b"\0" + whole[11:]):
        (tmp_path / "a.gz").write_bytes(broken)
        with pytest.raises(KerasrecError, match="is (truncated|damaged)"):
            read_text(tmp_path / "a.gz")
    with pytest.raises(KerasrecError, match="cannot be read"):
        read_text(tmp_path / "none")
