import bz2
import gzip
import lzma
import os
import subprocess

import pytest

from kerasrec.data.inputs.encodings import is_unicode
from kerasrec.data.text.files import find_texts, read_lines, read_text
from kerasrec.errors import KerasrecError


def test_find_texts_of_a_file_and_a_folder(tmp_path):
    for name in ("b.txt", "a.txt.gz", ".hidden", "_SUCCESS"):
        (tmp_path / name).write_text("x")
    for folder in ("aside", ".hidden.folder", "empty"):
        (tmp_path / folder).mkdir()
        if folder != "empty":
            (tmp_path / folder / "c.txt").write_text("x")
    (tmp_path / "aside" / "cycle").symlink_to(tmp_path)
    (tmp_path / "z-link.txt").symlink_to(tmp_path / "b.txt")
    (tmp_path / "z-nowhere.txt").symlink_to(tmp_path / "none")
    assert find_texts(tmp_path / "b.txt") == [tmp_path / "b.txt"]
    files = find_texts(str(tmp_path))
    assert [str(path.relative_to(tmp_path)) for path in files] == ["a.txt.gz", "aside/c.txt", "b.txt"]


def test_a_path_without_files_is_refused(tmp_path):
    with pytest.raises(KerasrecError, match="does not exist"):
        find_texts(tmp_path / "none")
    with pytest.raises(KerasrecError, match="holds no files"):
        find_texts(tmp_path)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_byte_order_marks_and_bytes_that_are_not_utf8(tmp_path, pack):
    (tmp_path / "a").write_bytes(pack(b"\xef\xbb\xbf" + "好\ufeff\r\n".encode() + b"\xff"))
    text = read_text(tmp_path / "a")
    assert text == "好\ufeff\r\n\udcff"
    assert not is_unicode(text) and is_unicode(text[:-1])


def test_files_that_cannot_be_read_are_refused(tmp_path):
    (tmp_path / "utf16").write_text("好", encoding="utf-16")
    with pytest.raises(KerasrecError, match="is UTF-16: .*iconv -f UTF-16"):
        read_text(tmp_path / "utf16")
    for pack in (gzip.compress, bz2.compress, lzma.compress):
        content = pack(b"text" * 100)
        for damaged in (content[:-4], content[:10] + b"\0" + content[11:]):
            (tmp_path / "a.gz").write_bytes(damaged)
            with pytest.raises(KerasrecError, match="is (truncated|damaged)"):
                read_text(tmp_path / "a.gz")
    with pytest.raises(KerasrecError, match="cannot be read"):
        read_text(tmp_path / "none")


CHINESE = {
    "GBK": "这个手机多少钱\t那部手机的价格是多少\t1\n今天天气怎么样\t明天会不会下雨\t0\n起来前面强大\t抢先一步\t0\n",
    "BIG5": "這個手機多少錢\t那部手機的價格是多少\t1\n今天天氣怎麼樣\t明天會不會下雨\t0\n",
}


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("encoding", CHINESE)
def test_the_command_in_the_error_converts_chinese_encodings(tmp_path, encoding, pack):
    path = tmp_path / ("it's.txt.gz" if pack is gzip.compress else "it's.txt")
    path.write_bytes(pack(CHINESE[encoding].encode(encoding)))
    with pytest.raises(KerasrecError, match=f"looks like {encoding}: convert it with `") as error:
        read_text(path)
    subprocess.run(["bash", "-c", str(error.value).split("`")[1]], check=True)
    assert read_text(tmp_path / "it's.utf8.txt") == CHINESE[encoding]


def test_utf8_with_an_invalid_line_is_accepted(tmp_path):
    content = CHINESE["GBK"].encode() + "重要的事情".encode("gbk") + b"\n" + CHINESE["BIG5"].encode()
    (tmp_path / "a").write_bytes(content)
    assert [is_unicode(line) for line in read_lines(tmp_path / "a")] == [True, True, True, False, True, True]


def test_line_ends_of_all_systems(tmp_path):
    for ends in (b"\n", b"\r\n", b"\r"):
        (tmp_path / "a").write_bytes(ends.join([b"one", b"", b"two", b""]))
        assert read_lines(tmp_path / "a") == ["one", "", "two"]


def test_files_for_evaluation_are_excluded_and_logged(tmp_path, logged):
    folder = tmp_path / "pairs"
    (folder / "more").mkdir(parents=True)
    for name in ("data.train", "data.dev", "data.test"):
        (folder / name).write_text(name)
    (folder / "more" / "copy.gz").write_bytes(gzip.compress(b"data.dev"))
    os.link(folder / "data.test", tmp_path / "elsewhere")
    os.symlink(folder, tmp_path / "link")
    kept = find_texts(folder, [tmp_path / "link" / "data.dev", tmp_path / "elsewhere"])
    assert kept == [folder / "data.train"]
    lines = [line for line in logged().splitlines() if "is excluded from" in line]
    assert [line.split(" ")[0] for line in lines] == [
        str(folder / name) for name in ("data.dev", "data.test", "more/copy.gz")
    ]
    assert f"it is a copy of {tmp_path / 'link' / 'data.dev'}" in lines[2]
    for held_out in (folder, tmp_path / "link" / "data.dev"):
        with pytest.raises(KerasrecError, match="not used for training"):
            find_texts(folder / "data.dev", [held_out])
