import pytest

from kerasrec.data.text.labels import Labels
from kerasrec.errors import KerasrecError


@pytest.mark.parametrize(
    ("texts", "num_labels", "names"),
    [
        ("0 1 1", 2, "0 1"),
        ("0.0 1.0 +1 01", 2, "0 1"),
        ("1", 2, "0 1"),
        ("1 2", 3, "0 1 2"),
        ("-1 1", 2, "-1 1"),
        ("1.0 -1.0", 2, "-1 1"),
        ("-1 1 x", 2, "-1 1"),
        ("0 1 x -1", 2, "0 1"),
        ("1 2 3", 3, "1 2 3"),
        ("9 10", 2, "9 10"),
        ("True False true", 2, "False True"),
        ("True 0", 2, "0 1"),
        ("neutral Entailment entailment CONTRADICTION", 3, "CONTRADICTION Entailment neutral"),
        ("相关 不相关", 2, "不相关 相关"),
    ],
)
def test_names_of_classes(texts, num_labels, names):
    labels = Labels.inferred(texts.split(), num_labels)
    assert labels.names == tuple(names.split())
    for text in texts.replace(" x", "").split():
        if text != "-1" or "-1" in names:
            assert labels.class_of(text) is not None


def test_spellings_of_labels():
    assert [Labels.numbered(2).class_of(text) for text in ("1.0", " TRUE ", "False", "-0", "1.5", "²", "")] == [
        *(1, 1, 0, 0),
        *(None, None, None),
    ]
    assert Labels(("False", "True")).class_of("1") == 1
    assert Labels(("a",)).class_of("A") == 0


@pytest.mark.parametrize(
    ("texts", "num_labels", "message"),
    [
        (["same", "other", "-"], 2, r"3 different labels \('-', 'other', 'same'\), but num_labels is 2"),
        (["2"], 2, "1 different labels \\('2'\\)"),
        ([f"text {number}" for number in range(5000)], 2, "5,000 different labels .*'text 0', .*, \\.\\.\\."),
        (["\x1b[2J" + "a" * 500, "b", "c"], 2, "\\\\x1b"),
    ],
)
def test_more_or_fewer_labels_than_classes_are_refused(texts, num_labels, message):
    with pytest.raises(KerasrecError, match=message) as error:
        Labels.inferred(texts, num_labels, "a.txt")
    assert len(str(error.value)) < 600
