import bz2
import gzip
import io
import lzma
import random
import tarfile
import zipfile

import pyarrow as pa
import pytest

from kerasrec.data.inputs import compression
from kerasrec.data.inputs.compression import blocks, detect_compression, members, opened, read_all
from kerasrec.errors import KerasrecError

CONTENT = b"".join(b"%d,%d\n" % (n, n * n) for n in range(30_000))


def zipped(**contents: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return file.getvalue()


def zstd(content: bytes) -> bytes:
    return pa.compress(content, "zstd", asbytes=True)


PACK = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress, "zstd": zstd, "zip": lambda c: zipped(log=c)}


@pytest.mark.parametrize("kind", PACK)
def test_a_complete_file_is_read_and_a_truncated_file_is_refused(tmp_path, kind):
    path, compressed = tmp_path / "log.csv", PACK[kind](CONTENT)
    path.write_bytes(compressed)
    assert detect_compression(path) == kind
    assert read_all(path) == CONTENT
    if kind != "zip":
        path.write_bytes(compressed + PACK[kind](b"more"))
        assert read_all(path) == CONTENT + b"more"
    for size in (len(compressed) // 2, len(compressed) - 1):
        path.write_bytes(compressed[:size])
        with pytest.raises(KerasrecError, match=f"the {kind} file .*log.csv is (truncated|damaged)") as raised:
            read_all(path)
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz", "zip"])
def test_flipped_bytes_are_detected_in_formats_with_checksums(tmp_path, kind):
    compressed, rng = PACK[kind](CONTENT), random.Random(0)
    for _ in range(8):
        damaged = bytearray(compressed)
        damaged[rng.randrange(len(compressed) // 4, len(compressed) * 3 // 4)] ^= 1 << rng.randrange(8)
        (tmp_path / "log").write_bytes(damaged)
        with pytest.raises(KerasrecError, match=f"the {kind} file .* is (truncated|damaged)"):
            read_all(tmp_path / "log")


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"7z\xbc\xaf\x27\x1c", "7z"),
        (b"Rar!\x1a\x07", "RAR"),
        (b"\x04\x22\x4d\x18", "lz4"),
        (b"\xff\x06\x00\x00sNaPpY", "snappy"),
        (b"\x1f\x9d\x90", "compress"),
        (b"SQLite format 3\x00", "SQLite"),
        (b"ARROW1\x00\x00", "Arrow"),
        (b"ORC", "ORC"),
        (b"\xd0\xcf\x11\xe0", "Excel"),
    ],
)
def test_the_error_names_an_unsupported_format(tmp_path, start, kind):
    for content in (start + bytes(600), gzip.compress(start + bytes(600))):
        (tmp_path / "log.csv").write_bytes(content)
        with pytest.raises(KerasrecError, match=f"log.csv is .*{kind}.*, which is not supported; unpack or convert it"):
            read_all(tmp_path / "log.csv")


@pytest.mark.parametrize("text", [b"ORC1,7\n", b"BZh9,7\n", b"Rar!,7\n", b"PARE,7\n"])
def test_a_text_may_begin_with_the_letters_of_a_binary_format(tmp_path, text):
    (tmp_path / "log.csv").write_bytes(text)
    assert read_all(tmp_path / "log.csv") == text
    (tmp_path / "log.csv").write_bytes(bz2.compress(b""))
    assert (detect_compression(tmp_path / "log.csv"), read_all(tmp_path / "log.csv")) == ("bzip2", b"")


def test_files_that_are_compressed_twice_are_refused(tmp_path):
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("log.csv"))
    for content, kind in ((gzip.compress(CONTENT), "gzip"), (b"PAR1", "Parquet")):
        (tmp_path / "a").write_bytes(gzip.compress(content))
        with pytest.raises(KerasrecError, match=f"a is compressed and holds a {kind} file; unpack it first"):
            read_all(tmp_path / "a")
    for content in (tar.getvalue(), gzip.compress(tar.getvalue())):
        (tmp_path / "a").write_bytes(content)
        with pytest.raises(KerasrecError, match="a is a tar archive"):
            read_all(tmp_path / "a")


def test_zip_archives(tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(zipped(b=b"2", a=b"1"))
    assert members(path) == ["a", "b"]
    assert b"".join(blocks(path, "b")) == b"2"
    with pytest.raises(KerasrecError, match="holds 2 files; unpack the file to read"):
        read_all(path)
    with pytest.warns(UserWarning), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("a", "again")
    with pytest.raises(KerasrecError, match="holds 'a' twice"):
        members(path)
    path.write_bytes(zipped(**{"a\x1b[2J": b""}))
    with pytest.raises(KerasrecError, match=r"a file called 'a\\x1b\[2J'"):
        members(path)
    path.write_bytes(zipped(**{".hidden": b""}))
    with pytest.raises(KerasrecError, match="holds no files"):
        members(path)
    encrypted = bytearray(zipped(a=b"1"))
    for place, header in ((6, b"PK\x03\x04"), (8, b"PK\x01\x02")):
        encrypted[encrypted.index(header) + place] |= 1
    path.write_bytes(encrypted)
    with pytest.raises(KerasrecError, match="cannot be unpacked here .*password.*: unpack it first"):
        read_all(path)


@pytest.mark.parametrize("kind", PACK)
def test_a_file_that_unpacks_to_too_many_bytes_is_refused(tmp_path, kind, monkeypatch):
    monkeypatch.setattr(compression, "_ALWAYS_ALLOWED_BYTES", 1 << 20)
    (tmp_path / "log").write_bytes(PACK[kind](bytes(1 << 23)))
    with pytest.raises(KerasrecError, match="unpacks to more than 200 times its size"):
        read_all(tmp_path / "log")


def test_a_file_that_cannot_be_opened(tmp_path):
    with pytest.raises(KerasrecError, match=r"cannot be read \(Is a directory\)"):
        read_all(tmp_path)


def test_an_error_of_the_reader_of_an_uncompressed_file_is_not_damage(tmp_path):
    (tmp_path / "log.csv").write_bytes(CONTENT)
    with pytest.raises(pa.ArrowInvalid, match="too few columns"), opened(tmp_path / "log.csv"):
        raise pa.ArrowInvalid("too few columns")
