import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasrec.data.inputs.quoted_fields import MOST_LINES, pairs_up, rows_over_lines, runs_on
from kerasrec.data.logs.columns import fields_of


@pytest.mark.parametrize(
    ("lines", "spans"),
    [
        (['ann,"nice', "bob,9", 'bye"'], [(0, 3)]),
        (['ann,"a', 'b","c', 'd"', "x,y"], [(0, 3)]),  # closed and opened again within
        (['ann,"say ""hi""', 'bye"'], [(0, 2)]),
        (['"ann,tea', "bob,tea"], []),  # not closed
        (['"ann,tea', '"bob",tea'], []),  # a quote within that is neither doubled nor the end
        (['an"n,tea', 'bo"b,tea'], []),  # not at the beginning of a field
        (['"a', *["x"] * (MOST_LINES - 2), 'b"'], [(0, MOST_LINES)]),
        (['"a', *["x"] * (MOST_LINES - 1), 'b"'], []),  # too long for a row
        (['"a', *["x"] * 9, '"b', 'c"'], [(10, 12)]),
        (['"' + 200_000 * "x", 'y"'], []),
    ],
)
def test_rows_over_lines(lines, spans):
    found = list(rows_over_lines(lines, ","))
    assert [(first, first + len(row)) for first, row in found] == spans
    assert [row for _, row in found] == [lines[first:end] for first, end in spans]


@pytest.mark.parametrize("mark", ["::", " ", ",;", "\t|"])
def test_quotes_are_text_where_no_field_is_quoted(mark):
    line = f'ann{mark}"nice'
    assert pairs_up(line, mark) and not runs_on(line, mark) and not list(rows_over_lines([line, 'bye"'], mark))
    assert fields_of(line, mark) == ["ann", '"nice']


@given(rows=st.lists(st.lists(st.text(st.sampled_from('ab,;"\n'), max_size=5), min_size=2, max_size=3), max_size=9))
def test_rows_over_lines_from_a_csv_writer_are_found(rows):
    expected, place, text = [], 0, ""
    for row in rows:
        file = io.StringIO()
        csv.writer(file, lineterminator="\n").writerow(row)
        lines = file.getvalue().split("\n")[:-1]
        expected += [(place, lines)] if len(lines) > 1 else []
        place, text = place + len(lines), text + file.getvalue()
    assert list(rows_over_lines(text.split("\n")[:-1], ",")) == expected
