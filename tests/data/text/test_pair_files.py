import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasrec.data.inputs.quoted_fields import MULTILINE, UNPAIRED
from kerasrec.data.text.labels import Labels
from kerasrec.data.text.pair_files import MAX_LINES, RowContent, read_rows
from kerasrec.errors import KerasrecError

LABELLED, ANY = RowContent(labelled=True), RowContent(labelled=False)


def rows_of(tmp_path, text, content=LABELLED):
    path = tmp_path / "pairs"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(read_rows(path, content))


def fields_of(tmp_path, text, content=LABELLED):
    """The values of good rows as (first, second, label, name), and the reasons of bad rows by line."""
    rows = rows_of(tmp_path, text, content)
    good = [
        tuple(map(fields.get, ("first", "second", "label", "name")))
        for _, _, fields in rows
        if isinstance(fields, dict)
    ]
    return good, {number: fields for number, _, fields in rows if isinstance(fields, str)}


@pytest.mark.parametrize(
    "header",
    [
        "sentence1\tsentence2\tlabel",
        "Text_A\tTEXT_B\tLabel",
        "question1\tquestion2\tis_duplicate",
        " sentence_a \tsentence_b\tScore",
        "premise\thypothesis\tgold_label",
        "text1,text2,label",
        "q1;q2;score",
    ],
)
def test_columns_by_name(tmp_path, header):
    delimiter = next(mark for mark in "\t,;" if mark in header)
    content = f"{header}\n{delimiter.join(['a b', 'c', '1'])}\n{delimiter.join(['d', 'e', ''])}\nf\n"
    assert fields_of(tmp_path, content) == ([("a b", "c", "1", None), ("d", "e", "", None)], {4: "too few columns"})


def test_columns_in_any_order_among_other_columns(tmp_path, logged):
    content = 'id,is_duplicate,qid1,question2,question1\n7,1,55,"b, and ""more""",a\n'
    assert fields_of(tmp_path, content) == ([("a", 'b, and "more"', "1", "7")], {})
    assert "question1 (first)" in logged()
    both = "sentence1\tsentence2\tscore\tlabel\na\tb\t4.5\t1\n"
    assert fields_of(tmp_path, both)[0] == [("a", "b", "1", None)]
    assert fields_of(tmp_path, both, RowContent(labelled=True, scores=True))[0] == [("a", "b", "4.5", None)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id\tquery\tcandidate\tlabel\n1\ta\tb\t0\n", "does not name the two texts"),
        ("query,candidate,label\na,b,0\n", "does not name the two texts"),
        ("sentence1\tsentence2\nfoo\tbar\n", "none of them is the label"),
        ("text1\ttext2\tquestion1\tlabel\n", "'text1' and 'question1' with the same meaning"),
        ('[{"text1": "a", "text2": "b"},\n {"text1": "c", "text2": "d"}]', "one JSON array: .*jq"),
    ],
)
def test_ambiguous_headers_are_refused(tmp_path, content, message):
    with pytest.raises(KerasrecError, match=message):
        rows_of(tmp_path, content)


def test_json_lines(tmp_path):
    lines = [
        {"Sentence1": "a\tb\nc", "sentence2": "d", "label": "1", "id": 3},
        {"text_a": "e", "text_b": "f", "label": 0},
        {"text_a": "g", "text_b": "h", "label": True},
        {"text_a": "i", "text_b": "j", "label": None},
        {"text_a": "k", "text_b": 5, "label": 1},
        {"text_a": "l"},
        {"text_a": "half \ud83d", "text_b": "m"},
    ]
    content = "\n".join(map(json.dumps, lines)) + "\n\n[1]\nend\n\n\n"
    assert fields_of(tmp_path, content) == (
        [("a\tb\nc", "d", "1", "3"), ("e", "f", "0", None), ("g", "h", "true", None), ("i", "j", "", None)],
        {
            5: "text is not a string",
            6: "texts are missing",
            7: "text is not valid Unicode",
            8: "empty line",
            9: "not a JSON object",
            10: "not a JSON object",
        },
    )


class TestIds:
    NAMED = RowContent(labelled=False, named=True)

    @pytest.mark.parametrize("content", [LABELLED, ANY, NAMED])
    def test_a_first_column_of_ids(self, tmp_path, content, logged):
        text = "17\ta\tb\t1\n4\tc\td\t0\n5\te\t7\n"
        assert fields_of(tmp_path, text, content)[0][:2] == [("a", "b", "1", "17"), ("c", "d", "0", "4")]
        assert "read as row ids" in logged()

    @pytest.mark.parametrize(
        "content",
        [
            "1\ta\t1\n2\tb\t0\n",  # the third column is the label
            "1\ta\tsame\n2\tb\tother\n",  # the third column is the label, because the labels are known
            "1\t2\tc\n2\t3\td\n",  # the second column is not text
            "1\ta\tb\n1\tc\td\n",  # the numbers are equal
            "1\ta\n2\tb\n",
        ],
    )
    def test_numbers_that_are_texts(self, tmp_path, content):
        good, bad = fields_of(tmp_path, content, RowContent(labelled=False, labels=Labels(("other", "same"))))
        assert (good[0][0], len(good), bad) == ("1", 2, {})


class TestQuotes:
    def test_all_lines_of_a_multiline_field_are_bad_rows(self, tmp_path):
        for delimiter in "\t,":
            rows = [["a", "b", "1"], ["nice\nbob\nha", "c", "0"], ["d", 'e\n"f"', "1"], ["g", "h", "0"]]
            text = io.StringIO()
            csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows(rows)
            header = "" if delimiter == "\t" else "sentence1,sentence2,label\n"
            good, bad = fields_of(tmp_path, header + text.getvalue())
            assert good == [("a", "b", "1", None), ("g", "h", "0", None)]
            assert bad == dict.fromkeys(range(2 + bool(header), 7 + bool(header)), MULTILINE)

    def test_lines_in_a_quoted_field_are_not_rows(self, tmp_path):
        content = 'ann\t"nice\nbob\tpoison\t1\nha"\t0\ncat\tdog\t1\n'
        good, bad = fields_of(tmp_path, content, ANY)
        assert (good, list(bad)) == ([("cat", "dog", "1", None)], [1, 2, 3])

    def test_an_unpaired_quote_makes_at_most_its_own_line_bad(self, tmp_path):
        other_rows = [f"a{number},b,1" for number in range(2 * MAX_LINES)]
        good, bad = fields_of(tmp_path, "\n".join(["sentence1,sentence2,label", '"stray,b,1', *other_rows]))
        assert (len(good), bad) == (2 * MAX_LINES, {2: UNPAIRED})
        good, bad = fields_of(tmp_path, "\n".join(['"stray\tb\t1', 'b\tc"\t1', 'd\t5" disk\t0']))
        assert (len(good), bad) == (3, {}), "in tab-separated text, quotes are text"

    @given(
        st.lists(
            st.lists(st.text(st.sampled_from("ab\",' "), max_size=6), min_size=3, max_size=3), min_size=1, max_size=6
        )
    )
    def test_output_of_a_csv_writer_is_read(self, tmp_path_factory, rows):
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([["sentence1", "sentence2", "label"], *rows])
        good, bad = fields_of(tmp_path_factory.getbasetemp(), text.getvalue(), ANY)
        assert (good, bad) == ([(*(field.strip() for field in row), None) for row in rows], {})

    @given(st.lists(st.text(st.sampled_from('a"\t,'), max_size=12), min_size=1, max_size=60))
    def test_every_line_occurs_once(self, tmp_path_factory, lines):
        for header in ("", "sentence1,sentence2,label"):
            rows = rows_of(tmp_path_factory.getbasetemp(), "\n".join([header or "a\tb\t1", *lines, "x\ty\t1"]), ANY)
            first = 2 if header else 1
            assert [number for number, _, _ in rows] == list(range(first, len(lines) + 3))
