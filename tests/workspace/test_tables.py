import numpy as np
import pyarrow as pa
import pytest

from kerasrec.workspace.digests import Damaged
from kerasrec.workspace.tables import read_array, read_parquet, write_array, write_parquet

COMMAND = "kerasrec siamese prepare shop"


def test_a_flipped_byte_of_values_in_parquet_is_detected(tmp_path):
    """The checksums of the pages detect it without a digest of the file."""
    path = tmp_path / "groups.parquet"
    values = np.random.default_rng(0).random(1000)
    write_parquet(path, pa.table({"value": values}))
    content = bytearray(path.read_bytes())
    content[2000] ^= 1
    path.write_bytes(content)
    with pytest.raises(Damaged, match="groups.parquet is damaged"):
        read_parquet(path, ["value"], COMMAND)


@pytest.mark.parametrize("columns", [["value", "other"], ["other"]])
def test_a_missing_column_is_refused(tmp_path, columns):
    write_parquet(tmp_path / "groups.parquet", pa.table({"value": [1]}))
    with pytest.raises(Damaged, match=f"groups.parquet is damaged .*other.*`{COMMAND}`"):
        read_parquet(tmp_path / "groups.parquet", columns, COMMAND)


@pytest.mark.parametrize("shape", [(2, 3), (0, 3), ()])
def test_write_array_and_read_array_round_trip(tmp_path, shape):
    values = np.random.default_rng(0).random(shape).astype(np.float32)
    write_array(tmp_path / "codes.npy", values)
    read = read_array(tmp_path / "codes.npy", COMMAND)
    assert type(read) is np.ndarray and read.dtype == np.float32
    np.testing.assert_array_equal(read, values)


INVALID_ARRAYS = {
    "empty": b"",
    "zip": b"PK\x03\x04",
    "pickle": b"\x80\x04K\x01.",
    "unbalanced": b"\x93NUMPY\x01\x00\x02\x00{(",
    "header": b"\x93NUMPY\x01\x00\xff\xff{",
    "huge": b"\x93NUMPY\x01\x00\x5e\x00"
    + f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({2**60},), }}".ljust(93).encode()
    + b"\n",
}


@pytest.mark.parametrize("content", INVALID_ARRAYS.values(), ids=INVALID_ARRAYS)
def test_a_file_that_is_not_an_array_is_refused(tmp_path, content):
    (tmp_path / "codes.npy").write_bytes(content)
    with pytest.raises(Damaged, match=f"codes.npy is damaged .*`{COMMAND}`"):
        read_array(tmp_path / "codes.npy", COMMAND)


def test_an_array_of_objects_and_a_truncated_array_are_refused(tmp_path):
    path = tmp_path / "codes.npy"
    np.save(path, np.array([{}, []], dtype=object), allow_pickle=True)
    with pytest.raises(Damaged, match="codes.npy is damaged"):
        read_array(path, COMMAND)
    np.save(path, np.ones([200, 3]))
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(Damaged, match="codes.npy is damaged"):
        read_array(path, COMMAND)
