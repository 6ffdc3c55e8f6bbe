import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasrec.colarec.similar_items import read_similar, similar_by_codes
from kerasrec.errors import KerasrecError


def members(alike, item):
    number = alike.of[item]
    return alike.sets.items[alike.sets.offsets[number] : alike.sets.offsets[number + 1]].tolist()


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 2), st.booleans()), min_size=1, max_size=20))
def test_similar_items_share_all_codes_except_the_last(rows):
    codes = np.array([[first, second, number + 1] for number, (first, second, _) in enumerate(rows)])
    warm = np.array([number for number, row in enumerate(rows) if row[2]], np.int32)
    alike = similar_by_codes(codes, warm)
    for item, row in enumerate(rows):
        expected = [other for other, theirs in enumerate(rows) if theirs[:2] == row[:2] and theirs[2]]
        assert members(alike, item) == expected
    assert alike.sets.items.dtype == np.int32 and alike.sets.item_count == len(rows)


def test_similar_items_of_a_file(cli):
    cli.prepare("--cold-share", 0.1)
    prepared = cli.prepared
    cold = prepared.item_ids[int(np.flatnonzero(prepared.cold)[0])]
    others = [item for item in ("1", "2", "3", "4") if not prepared.cold[int(item)]]
    path = cli.write("alike.json", json.dumps({"7": {"fst": ["9"], "sec": [*map(int, others), others[0], cold]}}))
    alike = read_similar(path, prepared)
    assert members(alike, 7) == [int(item) for item in others] and members(alike, 8) == []


@pytest.mark.parametrize(
    "content",
    [{"1": {"fst": []}}, {"1": 5}, ["1"], {"nothing": {"sec": []}}, {"1": {"sec": ["x"]}}, {"1": {"sec": "23"}}],
)
def test_a_file_of_another_form(cli, content):
    cli.prepare()
    with pytest.raises(KerasrecError, match="has another form"):
        read_similar(cli.write("bad.json", json.dumps(content)), cli.prepared)


def test_a_file_that_cannot_be_read(cli):
    cli.prepare()
    latin = cli.folder / "latin.json"
    latin.write_bytes('{"1": {"sec": ["é"]}}'.encode("latin-1"))
    unread = "cannot be read"
    for path, problem in ((latin, "is not UTF-8"), (cli.folder, unread), (cli.folder / "no", unread)):
        with pytest.raises(KerasrecError, match=problem):
            read_similar(path, cli.prepared)
