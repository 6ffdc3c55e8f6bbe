import bz2
import gzip
import io
import lzma
import shutil
import subprocess
import zipfile

import pyarrow as pa
import pytest

from kerasrec.data.inputs.encodings import require_utf8
from kerasrec.data.logs.columns import ColumnNames
from kerasrec.data.logs.log_formats import sniff
from kerasrec.errors import KerasrecError

LOGS = {
    "GBK": "user_id,item_id\n张三,茶\n李四,面包\n王五,起来前面强大\n",
    "BIG5": "user_id,item_id\n張三,這個手機多少錢\n李四,今天天氣怎麼樣\n",
    "UTF-16": "user_id,item_id\n张三,茶\n",
}


def zipped(content):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("day/log.csv", content)
    return file.getvalue()


COMPRESSED = {
    "log.csv": bytes,
    "log.csv.gz": gzip.compress,
    "log.csv.bz2": bz2.compress,
    "log.csv.xz": lzma.compress,
    "log.csv.zst": lambda content: pa.compress(content, "zstd", asbytes=True),
    "log.zip": zipped,
}
UNPACKERS = {"log.csv.bz2": "bunzip2", "log.csv.xz": "unxz", "log.csv.zst": "unzstd", "log.zip": "unzip"}


@pytest.mark.parametrize("name", COMPRESSED)
@pytest.mark.parametrize("encoding", LOGS)
def test_the_command_in_the_error_converts_a_log_to_utf8(tmp_path, encoding, name):
    path = tmp_path / name
    path.write_bytes(COMPRESSED[name](LOGS[encoding].encode(encoding)))
    with pytest.raises(KerasrecError, match=f"log.* (is|looks like) {encoding}: convert it with `") as error:
        sniff(path, ColumnNames())
    if shutil.which(UNPACKERS.get(name, "iconv")) is None:
        pytest.skip(f"{UNPACKERS[name]} is not installed")
    subprocess.run(["bash", "-c", str(error.value).split("`")[1]], check=True)
    assert (tmp_path / "log.utf8.csv").read_text(encoding="utf-8").removeprefix("\ufeff") == LOGS[encoding]
    assert sniff(tmp_path / "log.utf8.csv", ColumnNames())[0].columns == ("user", "item")


@pytest.mark.parametrize(
    "content",
    [
        "1,Amélie\n2,Hülle\n3,naïve\n4,Ärger\n".encode("latin-1"),  # valid GBK, and partly valid Big5
        "1,茶\n2,面包\n".encode() + "3,茶\n".encode("gbk"),  # UTF-8 with one invalid line
        "1,茶\n".encode(),
        "1,茶\n2,面包\n".encode("utf-16-le"),
        b"\xff\n",
        b"",
    ],
)
def test_text_without_a_chinese_encoding_is_accepted(tmp_path, content):
    require_utf8(content, tmp_path / "log.csv")


def test_a_chinese_encoding_is_detected_in_a_block_that_ends_within_a_character(tmp_path):
    row = "张三,茶\n".encode("gbk")
    for more in range(3):
        (tmp_path / "log.csv").write_bytes(b"1" * more + b",2\n" + row * (1 << 18))
        with pytest.raises(KerasrecError, match="looks like GBK"):
            sniff(tmp_path / "log.csv", ColumnNames())
