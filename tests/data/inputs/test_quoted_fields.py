import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasrec.data.inputs.quoted_fields import (
    MAX_LINES,
    fields_of,
    has_open_quote,
    has_paired_quotes,
    multiline_rows,
)


@pytest.mark.parametrize(
    ("lines", "spans"),
    [
        (['ann,"nice', "bob,9", 'bye"'], [(0, 3)]),
        (['ann,"a', 'b","c', 'd"', "x,y"], [(0, 3)]),  # the second line closes a quote and opens another
        (['ann,"say ""hi""', 'bye"'], [(0, 2)]),
        (['"ann,tea', "bob,tea"], []),  # not closed
        (['"ann,tea', '"bob",tea'], []),  # a quote within the field is neither doubled nor the end of the field
        (['an"n,tea', 'bo"b,tea'], []),  # the quotes are not at the beginning of a field
        (['"a', *["x"] * (MAX_LINES - 2), 'b"'], [(0, MAX_LINES)]),
        (['"a', *["x"] * (MAX_LINES - 1), 'b"'], []),  # more lines than a row may have
        (['"a', *["x"] * 9, '"b', 'c"'], [(10, 12)]),
        (['"' + 200_000 * "x", 'y"'], []),
    ],
)
def test_multiline_rows(lines, spans):
    rows = list(multiline_rows(lines, ","))
    assert [(first, first + len(row)) for first, row in rows] == spans
    assert [row for _, row in rows] == [lines[first:end] for first, end in spans]


@pytest.mark.parametrize("mark", ["::", " ", ",;", "\t|"])
def test_quotes_are_text_with_delimiters_without_quoted_fields(mark):
    line = f'ann{mark}"nice'
    assert (
        has_paired_quotes(line, mark)
        and not has_open_quote(line, mark)
        and not list(multiline_rows([line, 'bye"'], mark))
    )
    assert fields_of(line, mark) == ["ann", '"nice']


@given(rows=st.lists(st.lists(st.text(st.sampled_from('ab,;"\n'), max_size=5), min_size=2, max_size=3), max_size=9))
def test_multiline_rows_of_a_csv_writer_are_found(rows):
    expected, place, text = [], 0, ""
    for row in rows:
        file = io.StringIO()
        csv.writer(file, lineterminator="\n").writerow(row)
        lines = file.getvalue().split("\n")[:-1]
        expected += [(place, lines)] if len(lines) > 1 else []
        place, text = place + len(lines), text + file.getvalue()
    assert list(multiline_rows(text.split("\n")[:-1], ",")) == expected
