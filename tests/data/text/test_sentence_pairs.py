import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasrec.data.text.characters import is_blank
from kerasrec.data.text.sentence_pairs import read_pairs, read_sides
from kerasrec.errors import KerasrecError


def write(tmp_path, content, name="pairs.txt"):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return tmp_path / name


def reasons(read):
    return [(reject.line, reject.reason) for reject in read.rejects]


def test_rows_of_two_texts_and_a_class(tmp_path):
    path = write(tmp_path, "\ufeff你好\t 您好 \t1\r\na\tb\t0\nc\td\t2")
    pairs = read_pairs(path, num_labels=3)
    assert (pairs.first, pairs.second) == (["你好", "a", "c"], ["您好", "b", "d"])
    assert pairs.labels.dtype == np.int32
    assert pairs.labels.tolist() == [1, 0, 2]
    assert pairs.places == [(str(path), 1), (str(path), 2), (str(path), 3)]
    assert len(pairs) == 3 and pairs.rejects == []


def test_bad_rows_are_returned_with_line_and_reason(tmp_path):
    rows = [
        b"a\tb\t1",
        b"\tb\t1",
        b"a\t \t1",
        b"a\tb\t3",
        b"a\tb\t-1",
        b"a\tb\t1.0",
        b"a\tb\tone",
        b"a\tb\t",
        b"a\tb",
        b"a",
        b"a\tb\t1\tmore",
        b"",
        b"a\xff\tb\t1",
        "a\tb\t²".encode(),
        b"c\td\t0",
    ]
    path = write(tmp_path, b"\n".join(rows))
    pairs = read_pairs(path, num_labels=3)
    assert (pairs.first, pairs.labels.tolist()) == (["a", "a", "c"], [1, 1, 0])
    assert pairs.reasons["label is not one of the classes (such as '3'; allowed: 0, 1, 2)"] == 4
    assert reasons(pairs) == [
        (2, "empty text"),
        (3, "empty text"),
        (4, "label is not one of the classes"),
        (5, "label is not one of the classes"),
        (7, "label is not one of the classes"),
        (8, "label is missing"),
        (9, "label is missing"),
        (10, "too few columns"),
        (11, "too many columns"),
        (12, "empty line"),
        (13, "not UTF-8"),
        (14, "label is not one of the classes"),
    ]
    raw = [reject.raw.encode("utf-8", "surrogateescape") for reject in pairs.rejects]
    assert raw == [*rows[1:5], *rows[6:14]]


def test_scores_are_any_finite_numbers(tmp_path):
    labels = ["4.75", "-1e-2", "nan", "inf", "high", "5", "True", "1_0", "1e99"]
    pairs = read_pairs(write(tmp_path, "".join(f"a\tb\t{label}\n" for label in labels)))
    assert pairs.labels.dtype == np.float32
    assert pairs.labels.tolist() == [4.75, np.float32(-0.01), 5, 1]
    assert pairs.reasons == {"label is not a number (such as 'nan'; allowed: any number)": 5}


def test_labels_are_optional_for_prediction(tmp_path):
    path = write(tmp_path, "a\tb\nc\td\t1\ne\tf\t\ng\th\t7")
    pairs = read_pairs(path, num_labels=2, labelled=False)
    assert pairs.labels.tolist() == [-1, 1, -1, -1], "rows with an invalid label are pairs"
    assert (pairs.rejects, pairs.invalid_labels.texts, pairs.invalid_labels.allowed) == ([], ["7"], "0, 1")
    assert np.array_equal(read_pairs(path, labelled=False).labels, np.float32([np.nan, 1, np.nan, 7]), equal_nan=True)
    with pytest.raises(KerasrecError, match="label is missing: 3.*rows of text1, text2 and label"):
        read_pairs(write(tmp_path, "a\tb\nc\td\ne\tf\n"))


HEADER = "split\tscore\tsentence1\tsentence2\n"


def test_columns_by_name(tmp_path):
    path = write(tmp_path, HEADER + "train\t1.5\ta\tb\ntest\t2.5\tc\td\ntest\t\te\tf\ntest\t1\tg\nunread\tx\ty\tz\n")
    pairs = read_pairs(path)
    assert (pairs.first, pairs.second, pairs.labels.tolist()) == (["a", "c"], ["b", "d"], [1.5, 2.5])
    assert pairs.places == [(str(path), 2), (str(path), 3)]
    assert reasons(pairs) == [(4, "label is missing"), (5, "too few columns"), (6, "label is not a number")]
    assert read_sides(path).sentences == ["a", "b", "c", "d"]


def test_a_folder_of_files(tmp_path):
    write(tmp_path, gzip.compress(b"c\td\t0\n"), "2.txt.gz")
    write(tmp_path, "a\tb\t1\n", "1.txt")
    pairs = read_pairs(tmp_path, num_labels=2)
    assert pairs.first == ["a", "c"]
    assert pairs.places == [(str(tmp_path / "1.txt"), 1), (str(tmp_path / "2.txt.gz"), 1)]


@pytest.mark.parametrize("content", ["", "\n\n", "one column\nand again\n"])
def test_files_without_a_good_row_are_refused(tmp_path, content):
    with pytest.raises(KerasrecError, match="no usable row"):
        read_pairs(write(tmp_path, content))


def test_no_row_of_the_real_data_sets_is_rejected(kerasrec_data):
    text = kerasrec_data / "text"
    for name, classes, labelled, rows in (
        ("afqmc/train.txt", 2, True, 34_334),
        ("afqmc/dev.txt", 2, True, 4_316),
        ("afqmc/test.txt", 2, False, 3_861),
        ("lcqmc/dev.txt", 2, True, 8_802),
        ("lcqmc/test.txt", 2, True, 12_500),
        ("chinese-sts-b/sts-b-train.txt", None, True, 5_231),
        ("chinese-sts-b/sts-b-dev.txt", None, True, 1_458),
        ("chinese-sts-b/sts-b-test.txt", None, True, 1_361),
    ):
        pairs = read_pairs(text / name, classes, labelled=labelled)
        assert (len(pairs), pairs.rejects) == (rows, [])
    afqmc = read_pairs(text / "afqmc" / "dev.txt", 2)
    assert np.mean(afqmc.labels == 0) == pytest.approx(0.690, abs=5e-4)
    assert (read_pairs(text / "afqmc" / "test.txt", 2, labelled=False).labels == -1).all()
    english = read_pairs(text / "stsbenchmark.tsv.gz")
    assert (len(english), english.rejects) == (5_749 + 1_500 + 1_379, [])
    assert (english.first[0], english.labels[0]) == ("A plane is taking off.", 5)
    assert english.labels.min() >= 0 and english.labels.max() <= 5


def sides_of(read):
    sides = [read.sentences[start:end] for start, end in zip(read.offsets, read.offsets[1:], strict=False)]
    return list(zip(sides[::2], sides[1::2], strict=True))


def test_sides_of_several_sentences(tmp_path):
    path = write(tmp_path, "a||b || c\td\t1\tAnn\n“好”||‘他’\t||e||||f\t0\t\n|| \u3000\u200b\tg\t0\nh\ti\t1\tx\ty\n")
    sides = read_sides(path, 2)
    assert sides_of(sides) == [(["a", "b", "c"], ["d"]), (["“好”", "‘他’"], ["e", "f"])]
    assert sides.offsets.tolist() == [0, 3, 4, 6, 8]
    assert (sides.labels.tolist(), sides.names, len(sides)) == ([1, 0], ["Ann", None], 2)
    assert reasons(sides) == [(3, "empty text"), (4, "too many columns")]
    assert sides_of(read_sides(path, 2, top_n=1)) == [(["a"], ["d"]), (["“好”"], ["e"])]
    with pytest.raises(KerasrecError, match="top_n is 0; it must be at least 1"):
        read_sides(path, 2, top_n=0)


def test_sides_for_prediction_may_have_a_name_and_no_label(tmp_path):
    sides = read_sides(write(tmp_path, "a\tb\nc\td\t\tBob\n"), 2, labelled=False)
    assert (sides.labels.tolist(), sides.names) == ([-1, -1], [None, "Bob"])


def test_dialogues_with_twenty_lines_per_side(kerasrec_data):
    path = kerasrec_data / "text" / "two-sentences-sample.txt"
    sides = read_sides(path, 2)
    assert (len(sides), sides.rejects) == (3, [])
    assert np.diff(sides.offsets).tolist() == [20] * 6
    assert all(sides.names)
    assert sides.sentences[0] == path.read_text().split("||")[0]
    assert np.diff(read_sides(path, 2, top_n=7).offsets).tolist() == [7] * 6


words = st.text(st.characters(exclude_characters="\t\n\r|", exclude_categories=["Cs", "Z", "Cc"]), min_size=1)
words = words.filter(lambda text: not is_blank(text))
rows_of = st.lists(
    st.tuples(st.lists(words, min_size=1, max_size=3), st.lists(words, min_size=1, max_size=3), st.integers(0, 4)),
    min_size=1,
    max_size=8,
)


@given(rows_of)
def test_written_rows_are_read(tmp_path_factory, rows):
    lines = [f"{'||'.join(first)}\t{'||'.join(second)}\t{label}" for first, second, label in rows]
    path = write(tmp_path_factory.getbasetemp(), "a\tb\t0\n" + "\n".join(lines))
    sides = read_sides(path, 5)
    assert sides_of(sides)[1:] == [(first, second) for first, second, _ in rows]
    assert sides.labels.tolist()[1:] == [label for _, _, label in rows]
    pairs = read_pairs(path, num_labels=5)
    assert pairs.first[1:] == ["||".join(first) for first, _, _ in rows]
