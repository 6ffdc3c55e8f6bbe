import json

import numpy as np
import pandas as pd
import pytest

from kerasrec.data.text.frames import groups_file, pairs_file
from kerasrec.data.text.sentence_groups import read_groups
from kerasrec.data.text.sentence_pairs import read_sides
from kerasrec.errors import KerasrecError

GROUPS = {"0": ["where is tea", "find tea"], "1": ["hello", "hi\nthere", "好"]}


def test_all_kinds_of_groups_give_the_same_file(tmp_path):
    frame = pd.DataFrame([(int(name), text) for name, texts in GROUPS.items() for text in texts])
    kinds = {
        "dictionary": GROUPS,
        "lists": list(GROUPS.values()),
        "generator": (tuple(texts) for texts in GROUPS.values()),
        "frame": frame.set_axis(["group", "text"], axis=1),
    }
    contents = {groups_file(groups, tmp_path / f"{kind}.json").read_bytes() for kind, groups in kinds.items()}
    assert contents == {json.dumps(GROUPS, ensure_ascii=False).encode()}
    assert read_groups(tmp_path / "frame.json").texts == ["where is tea", "find tea", "hello", "hi there", "好"]
    assert groups_file("some/path.json", tmp_path / "unused").as_posix() == "some/path.json"


def test_pairs_are_read_as_they_were_given(tmp_path):
    texts = ["a\tb", 'say "hi"', "two||sentences", "ａ\u2028b\r\nc"]
    pairs = pd.DataFrame(
        {"text_a": texts, "text_b": texts[::-1], "label": np.array([0, 1, 1, 0], np.int8)}, index=[7] * 4
    )
    sides = read_sides(pairs_file(pairs, tmp_path / "pairs.jsonl"), 2)
    assert sides.labels.tolist() == [0, 1, 1, 0] and not sides.rejects
    assert sides.sentences[:2] == ["a\tb", "ａ\u2028b\r\nc"] and sides.offsets.tolist() == [0, 1, 2, 3, 5, 7, 8, 9, 10]
    scores = read_sides(pairs_file(pairs.assign(label=[0.5, 1, 2, 3.25]), tmp_path / "scores.jsonl"))
    assert scores.labels.tolist() == [0.5, 1, 2, 3.25]
    names = read_sides(pairs_file(pairs.assign(label=["yes", "no"] * 2), tmp_path / "names.jsonl"), 2)
    assert names.classes.names == ("no", "yes")
    some = pairs.assign(label=[None, 1, None, 0])
    unlabelled = read_sides(pairs_file(some, tmp_path / "some.jsonl", labelled=False), 2, labelled=False)
    assert (unlabelled.labels >= 0).tolist() == [False, True, False, True]


def test_other_objects_are_no_pairs(tmp_path):
    with pytest.raises(KerasrecError, match="pairs is 'list'; it must be a DataFrame with the columns text_a, text_b"):
        pairs_file([("a", "b")], tmp_path / "pairs.jsonl", labelled=False)
    twice = pd.DataFrame([["a", "b", "c"]], columns=["text_a", "text_b", "text_a"])
    with pytest.raises(KerasrecError, match="the column text_a more than once"):
        pairs_file(twice, tmp_path / "pairs.jsonl", labelled=False)
    assert not list(tmp_path.iterdir())
