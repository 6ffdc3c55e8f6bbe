import errno
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasrec.data.items.vocab import FIRST_ITEM, MASK, PAD, SPECIALS, UNK, ItemVocab
from kerasrec.errors import KerasrecError

UNUSUAL = ["[MASK]", "[PAD]", "a,b", 'say "hi"', "with space", " ", "62498486", "手机", "🍵", "é", "e\u0301", "A", "a"]

raw_ids = st.one_of(
    st.sampled_from(UNUSUAL),
    st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), min_size=1, max_size=4),
)
counts_of = st.dictionaries(raw_ids, st.integers(1, 5), min_size=1, max_size=30)


def sorted_by_count(counts, min_count=1):
    frequent = [item for item, count in counts.items() if count >= min_count]
    return sorted(frequent, key=lambda item: (-counts[item], item.encode()))


@given(counts_of)
def test_items_are_sorted_by_count_and_bytes(counts):
    vocab = ItemVocab.build(counts)
    expected = sorted_by_count(counts)
    assert vocab.items.to_pylist() == expected
    assert vocab.counts.tolist() == [counts[item] for item in expected]
    assert len(vocab) == len(expected) + 5


@given(counts_of, st.lists(raw_ids))
def test_encode_agrees_with_a_dictionary_for_all_types(counts, raw):
    vocab = ItemVocab.build(counts)
    ids = {item: FIRST_ITEM + number for number, item in enumerate(sorted_by_count(counts))}
    expected = [ids.get(item, UNK) for item in raw]
    strings = pa.array(raw, pa.string())
    for ids_as_type in (
        raw,
        tuple(raw),
        np.array(raw, dtype=object),
        strings,
        strings.cast(pa.large_string()),
        strings.dictionary_encode(),
        pa.chunked_array([strings, strings[:0]]),
        pa.chunked_array([strings[:1].dictionary_encode(), strings[1:].dictionary_encode()]),
    ):
        encoded = vocab.encode(ids_as_type)
        assert encoded.dtype == np.int32
        assert encoded.tolist() == expected


@given(counts_of)
def test_decode_is_the_inverse_of_encode(counts):
    vocab = ItemVocab.build(counts)
    assert vocab.decode(vocab.encode(list(counts))) == list(counts)
    assert vocab.decode(range(5)) == list(SPECIALS)


def test_items_named_like_special_tokens_are_items():
    vocab = ItemVocab.build({"[MASK]": 3, "[PAD]": 2, "[UNK]": 1})
    assert vocab.encode(["[MASK]", "[PAD]", "[UNK]", "[CLS]"]).tolist() == [5, 6, 7, UNK]
    assert {5, 6, 7}.isdisjoint({PAD, UNK, MASK})


def test_nulls_are_unknown():
    vocab = ItemVocab.build({"a": 1})
    assert vocab.encode(["a", None]).tolist() == [5, UNK]
    assert vocab.encode(pa.array(["a", None]).dictionary_encode()).tolist() == [5, UNK]


@given(counts_of, st.integers(1, 6))
def test_minimum_count_and_unknown_share(counts, min_count):
    expected = sorted_by_count(counts, min_count)
    if not expected:
        with pytest.raises(KerasrecError, match=f"at least {min_count} times"):
            ItemVocab.build(counts, min_count)
        return
    vocab = ItemVocab.build(counts, min_count)
    assert vocab.items.to_pylist() == expected
    unknown = sum(count for count in counts.values() if count < min_count)
    assert vocab.unknown_share(counts) == pytest.approx(unknown / sum(counts.values()))


def test_counts_may_be_an_arrow_table():
    counts = {"b": 2, "a": 2, "c": 9}
    table = pa.table({"item": pa.array(list(counts)).dictionary_encode(), "count": pa.array([2, 2, 9], pa.int32())})
    assert ItemVocab.build(table).items.to_pylist() == ItemVocab.build(counts).items.to_pylist() == ["c", "a", "b"]
    assert ItemVocab.build({"c": 1}).unknown_share(table) == pytest.approx(4 / 13)


@given(counts_of, counts_of, st.integers(1, 4))
def test_growing_keeps_old_ids_and_counts_the_new_log(old_counts, new_counts, min_count):
    old = ItemVocab.build(old_counts)
    grown = old.grow(new_counts, min_count)
    added = {item: count for item, count in new_counts.items() if item not in old_counts and count >= min_count}
    assert grown.items.to_pylist() == old.items.to_pylist() + sorted_by_count(added)
    assert grown.counts.tolist() == [new_counts.get(item, 0) for item in grown.items.to_pylist()]
    assert grown.digest(len(old)) == old.digest()
    assert (grown.digest() == old.digest()) == (not added)
    grown_twice = grown.grow(new_counts, min_count)
    assert grown_twice.items.equals(grown.items)
    assert grown_twice.counts.tolist() == grown.counts.tolist()


def test_growing_by_an_empty_log_keeps_all_ids():
    vocab = ItemVocab.build({"a": 2})
    assert vocab.grow({}).items.to_pylist() == ["a"]


def test_digests_of_different_items_with_equal_concatenation_differ():
    digests = {
        ItemVocab(pa.array(items), np.ones(len(items))).digest() for items in (["ab", "c"], ["a", "bc"], ["abc"])
    }
    assert len(digests) == 3


def test_a_digest_of_more_tokens_than_the_vocabulary_has_is_refused():
    with pytest.raises(KerasrecError, match="9 tokens was requested; this vocabulary has 6"):
        ItemVocab.build({"a": 1}).digest(9)


@pytest.mark.parametrize("ids", [[6], [-1]])
def test_decoding_an_id_outside_the_vocabulary_is_refused(ids):
    with pytest.raises(KerasrecError, match="this vocabulary has 0 to 5"):
        ItemVocab.build({"a": 1}).decode(ids)


@pytest.mark.parametrize("item", ["two\nlines", "carriage\rreturn"])
def test_line_breaks_are_refused(item):
    with pytest.raises(KerasrecError, match="line break"):
        ItemVocab.build({"a": 1, item: 1})


def test_a_duplicate_id_is_refused():
    with pytest.raises(KerasrecError, match="'b' occurs twice"):
        ItemVocab(pa.array(["a", "b", "b"]), [1, 1, 1])


def test_save_and_load(tmp_path):
    vocab = ItemVocab.build({item: 2 + number for number, item in enumerate(UNUSUAL)})
    vocab.save(tmp_path / "vocab.parquet")
    loaded = ItemVocab.load(tmp_path / "vocab.parquet")
    assert loaded.items.equals(vocab.items)
    assert loaded.counts.tolist() == vocab.counts.tolist()
    assert loaded.digest() == vocab.digest()
    rows = pq.read_table(tmp_path / "vocab.parquet").to_pylist()
    assert [row["token"] for row in rows[:5]] == list(SPECIALS)
    assert all(rows[token_id]["token"] == item for token_id, item in enumerate(vocab.items.to_pylist(), start=5))


def test_a_full_disk_keeps_the_earlier_file(tmp_path, monkeypatch):
    path = tmp_path / "vocab.parquet"
    ItemVocab.build({"a": 1}).save(path)

    def full(table, where, **options):
        where.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(KerasrecError, match="no space left"):
        ItemVocab.build({"b": 1}).save(path)
    assert ItemVocab.load(path).items.to_pylist() == ["a"]
    assert [file.name for file in tmp_path.iterdir()] == ["vocab.parquet"]


def columns(tokens, counts=None):
    return {"token": tokens, "count": counts or [0] * len(tokens)}


@pytest.mark.parametrize(
    "table, message",
    [
        (columns(["a", "b"]), "first tokens must be"),
        (columns([]), "first tokens must be"),
        (columns([*SPECIALS, "a", "a"]), "occurs twice"),
        (columns([*SPECIALS, None]), "no id"),
        ({"token": [*SPECIALS]}, "is damaged.*kerasrec recall vocab"),
        (columns([*SPECIALS, "a"], ["many"] * 6), "is damaged.*kerasrec recall vocab"),
    ],
)
def test_a_parquet_file_that_is_not_a_vocabulary_is_refused(tmp_path, table, message):
    pq.write_table(pa.table(table), tmp_path / "vocab.parquet")
    with pytest.raises(KerasrecError, match=message):
        ItemVocab.load(tmp_path / "vocab.parquet")


def test_missing_truncated_and_foreign_files_are_refused(tmp_path):
    path = tmp_path / "vocab.parquet"
    with pytest.raises(KerasrecError, match="there is no vocabulary at .*kerasrec recall vocab"):
        ItemVocab.load(path)
    ItemVocab.build({"a": 1}).save(path)
    complete = path.read_bytes()
    for content in (complete[: len(complete) // 2], b"a,1\n", b""):
        path.write_bytes(content)
        with pytest.raises(KerasrecError, match="is damaged.*kerasrec recall vocab"):
            ItemVocab.load(path)


def test_vocab_settings_and_splits_do_not_import_tensorflow():
    code = (
        "import kerasrec.data.items.vocab, kerasrec.data.items.settings, kerasrec.data.items.splits, sys;"
        "sys.exit('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
