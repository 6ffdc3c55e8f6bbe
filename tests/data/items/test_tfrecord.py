import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kerasrec.backend import tf
from kerasrec.data.items.tfrecord import (
    errors_name_damaged_file,
    parse_example,
    parse_window,
    serialize,
    write_records,
)
from kerasrec.errors import KerasrecError
from kerasrec.workspace.digests import is_intact


def by_protocol_buffers(features, lengths, row):
    """The bytes of one row, serialized by TensorFlow's message class."""
    lists = {}
    for name, values in features.items():
        values = values[row][: lengths[name][row] if name in lengths else None]
        if values.dtype == np.float32:
            lists[name] = tf.train.Feature(float_list=tf.train.FloatList(value=values))
        else:
            lists[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    example = tf.train.Example(features=tf.train.Features(feature=lists))
    return example.SerializeToString(deterministic=True)


@st.composite
def batches(draw):
    rows = draw(st.integers(1, 4))
    # Python's protobuf writes "ab" before "a". In the schema, no name is a prefix of another name, and neither here.
    names = draw(
        st.lists(st.text("abz_09", max_size=20).map(lambda name: name + "."), max_size=5, min_size=1, unique=True)
    )
    features, lengths = {}, {}
    for name in names:
        width = draw(st.sampled_from([1, 2, 3, 20, 130]))
        bits = draw(st.sampled_from([1, 7, 14, 31, 32, 63]))
        dtype, elements = draw(
            st.sampled_from(
                [
                    (np.float32, st.floats(width=32)),
                    (np.int64, st.integers(0, 2**bits - 1)),
                    (np.int64, st.integers(-(2**63), 2**63 - 1)),
                    (np.int32, st.integers(0, 2 ** min(bits, 31) - 1)),
                ]
            )
        )
        features[name] = draw(hnp.arrays(dtype, (rows, width), elements=elements))
        if dtype != np.float32 and draw(st.booleans()):
            lengths[name] = draw(hnp.arrays(np.int64, rows, elements=st.integers(1, width)))
    return features, lengths


@given(batches())
def test_serialize_gives_the_bytes_of_protocol_buffers(batch):
    features, lengths = batch
    serialized = serialize(features, lengths)
    rows = len(next(iter(features.values())))
    assert serialized == [by_protocol_buffers(features, lengths, row) for row in range(rows)]


def example_rows(rows=5, length=7, predictions=3, seed=0):
    generator = np.random.default_rng(seed)
    return {
        "info": generator.integers(0, 2**62, (rows, 1)),
        "input_ids": generator.integers(0, 70_000, (rows, length), dtype=np.int32),
        "input_mask": generator.integers(0, 2, (rows, length), dtype=np.int32),
        "masked_lm_positions": generator.integers(0, length, (rows, predictions), dtype=np.int32),
        "masked_lm_ids": generator.integers(0, 70_000, (rows, predictions), dtype=np.int32),
        "masked_lm_weights": generator.integers(0, 2, (rows, predictions)).astype(np.float32),
    }


def test_examples_are_parsed_separately_and_in_batches():
    rows = example_rows()
    serialized = serialize(rows)
    batch = parse_example(serialized, 7, 3)
    assert batch.keys() == rows.keys()
    for name, values in batch.items():
        expected = tf.int64 if name == "info" else tf.float32 if name == "masked_lm_weights" else tf.int32
        assert values.dtype == expected
        np.testing.assert_array_equal(values, rows[name])
    for number, row in enumerate(serialized):
        for name, values in parse_example(row, 7, 3).items():
            np.testing.assert_array_equal(values, rows[name][number])


def test_windows_are_parsed_separately_and_in_batches():
    features = {
        "info": np.array([[2**40], [1]]),
        "window": np.array([[3], [0]]),
        "input_ids": np.array([[300, 7, 0, 0], [8, 9, 10, 0]]),
    }
    serialized = serialize(features, {"input_ids": np.array([2, 3])})
    assert [parse_window(row)["input_ids"].numpy().tolist() for row in serialized] == [[300, 7], [8, 9, 10]]
    assert parse_window(serialized[0])["info"].numpy() == 2**40
    batch = parse_window(serialized)
    assert {name: (values.dtype, values.numpy().tolist()) for name, values in batch.items()} == {
        "info": (tf.int64, [2**40, 1]),
        "window": (tf.int64, [3, 0]),
        "input_ids": (tf.int32, [[300, 7, 0], [8, 9, 10]]),
    }


def test_rows_with_another_length_are_refused():
    with pytest.raises(tf.errors.InvalidArgumentError, match="Values size: 7 but output shape: .8."):
        parse_example(serialize(example_rows()), 8, 3)


def test_tensorflow_reads_a_written_file(tmp_path):
    path = tmp_path / "deep" / "part-000.train.tfrecord"
    rows = serialize(example_rows())
    report = write_records(path, [rows[:2], rows[2:]])
    assert [record.numpy() for record in tf.data.TFRecordDataset(str(path))] == rows
    assert report["rows"] == 5
    assert report["bytes"] == path.stat().st_size
    assert is_intact(path, report["digest"])
    assert write_records(path.with_name("same-rows"), [rows])["digest"] == report["digest"]
    assert write_records(path.with_name("other-order"), [rows[::-1]])["digest"] != report["digest"]


def test_a_file_without_rows(tmp_path):
    assert write_records(tmp_path / "empty", [])["bytes"] == 0
    assert list(tf.data.TFRecordDataset(str(tmp_path / "empty"))) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full, which simulates a full disk")
@pytest.mark.parametrize("rows", [1, 20_000])  # fails when the file is closed, and while it is written
def test_a_full_disk_keeps_the_earlier_file(tmp_path, rows):
    path = tmp_path / "part-000.train.tfrecord"
    write_records(path, [[b"earlier"]])
    (tmp_path / f".{path.name}.{os.getpid()}.unfinished").symlink_to("/dev/full")
    with pytest.raises(KerasrecError, match=f"no space left on the disk while writing {path}"):
        write_records(path, [[b"x" * 1000] * rows])
    assert [record.numpy() for record in tf.data.TFRecordDataset(str(path))] == [b"earlier"]
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_failed_write_leaves_no_file(tmp_path):
    def batches():
        yield [b"one"]
        raise RuntimeError("failed")

    with pytest.raises(RuntimeError, match="failed"):
        write_records(tmp_path / "file", batches())
    assert list(tmp_path.iterdir()) == []


def truncate(content):
    return content[:-7]


def flip(content):
    return content[:-7] + bytes([content[-7] ^ 1]) + content[-6:]


@pytest.mark.parametrize("damage", [truncate, flip])
def test_the_error_names_the_damaged_file(tmp_path, damage):
    paths = [tmp_path / name for name in ("a", "b", "c")]
    for path in paths:
        write_records(path, [[b"first", b"second", b"third"]])
    paths[1].write_bytes(damage(paths[1].read_bytes()))
    files = tf.data.Dataset.from_tensor_slices([str(path) for path in paths])
    rows = files.interleave(tf.data.TFRecordDataset, num_parallel_calls=2)
    with (
        pytest.raises(
            KerasrecError, match=f"{paths[1]} is truncated or damaged after record 2.*`kerasrec recall examples`"
        ),
        errors_name_damaged_file(dict.fromkeys(paths, "kerasrec recall examples")),
    ):
        list(rows)


def test_other_data_loss_errors_are_not_changed(tmp_path):
    write_records(tmp_path / "intact", [[b"first"]])
    with (
        pytest.raises(tf.errors.DataLossError, match="of a checkpoint"),
        errors_name_damaged_file({tmp_path / "intact": ""}),
    ):
        raise tf.errors.DataLossError(None, None, "of a checkpoint")
