import pyarrow.parquet as pq

from kerasrec.data.inputs.rejects import REJECTS_SCHEMA, Reject, count_reasons, describe_rejects, write_rejects

REJECTS = [
    Reject("a.txt", 3, "empty text", "\t好\t1"),
    Reject("a.txt", 9, "not UTF-8", "half \ud83d, byte \udcff"),
    Reject("b.txt", 1, "not UTF-8", "\0"),
]


def test_rejects_are_written_as_parquet(tmp_path):
    write_rejects(tmp_path / "rejects.parquet", REJECTS)
    table = pq.read_table(tmp_path / "rejects.parquet")
    assert table.schema.equals(REJECTS_SCHEMA)
    assert table.to_pylist() == [
        {"file": "a.txt", "line": 3, "reason": "empty text", "raw": "\t好\t1"},
        {"file": "a.txt", "line": 9, "reason": "not UTF-8", "raw": "half \\ud83d, byte \\udcff"},
        {"file": "b.txt", "line": 1, "reason": "not UTF-8", "raw": "\0"},
    ]


def test_an_empty_list_of_rejects(tmp_path):
    write_rejects(tmp_path / "rejects.parquet", [])
    assert pq.read_table(tmp_path / "rejects.parquet").schema.equals(REJECTS_SCHEMA)
    assert count_reasons([]) == {}


def test_reasons_are_counted_and_sorted_by_frequency():
    assert list(count_reasons(REJECTS).items()) == [("not UTF-8", 2), ("empty text", 1)]
    assert describe_rejects(count_reasons(REJECTS)) == "not UTF-8: 2, empty text: 1"
