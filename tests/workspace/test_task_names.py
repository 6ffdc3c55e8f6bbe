import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasrec.errors import KerasrecError
from kerasrec.workspace.task_names import TaskName, parse_name, task_name

DATES = st.from_regex(r"[0-9]{8}", fullmatch=True)
DATASET_NAMES = st.one_of(
    st.from_regex(r"[\w][\w.-]{0,12}", fullmatch=True),
    st.lists(st.sampled_from(["my", "shop", "part", "000", "refine", "0", "1", "all"]), min_size=1).map("-".join),
).filter(lambda name: not re.match(r"[0-9]{8}(-|$)", name))


@given(DATES, DATASET_NAMES, st.sampled_from([0, 1]), st.none() | st.from_regex(r"[0-9]{0,5}", fullmatch=True))
def test_parsing_a_formatted_name_gives_the_same_pieces(date, dataset_name, refine, digits):
    ending = "all" if digits is None else f"part-{digits}"
    whole = task_name(date, dataset_name, refine)
    assert parse_name(f"{whole}-{ending}") == (TaskName(date, dataset_name, refine), digits)
    assert parse_name(f"{dataset_name}-refine-{refine}-{ending}") == (TaskName(None, dataset_name, refine), digits)
    assert parse_name(ending) == (TaskName(None, None, None), digits)


@given(
    st.lists(st.sampled_from(["20210419", "2021", "task", "refine-0", "part", "007", ""]), max_size=4),
    st.sampled_from(["all", "part-", "part-007", "refine-0-all", "refine-1-part-00", "refine-2-all"]),
)
def test_any_text_is_a_valid_name_or_an_error_that_quotes_it(pieces, ending):
    typed = "-".join([*pieces, ending])
    try:
        name, digits = parse_name(typed)
    except KerasrecError as error:
        assert repr(typed) in str(error)
    else:
        whole = f"{name}-all" if digits is None else f"{name}-part-{digits}"
        assert typed in (whole, whole.removeprefix("*-"), whole.removeprefix("*-*-refine-*-"))


@pytest.mark.parametrize(
    "pieces",
    [
        ("2021-04-19", "task", 0),
        ("2021041", "task", 0),
        ("\u0662\u0660\u0662\u0661\u0660\u0664\u0661\u0669", "task", 0),  # Arabic digits
        ("20210419", "", 0),
        ("20210419", "-task", 0),
        ("20210419", "a/b", 0),
        ("20210419", "a b", 0),
        ("20210419", "task\n", 0),
        ("20210419", "20210420", 0),
        ("20210419", "20210420-task", 0),
        ("20210419", "task", 2),
    ],
)
def test_invalid_pieces_of_a_task_name_are_refused(pieces):
    with pytest.raises(KerasrecError, match="it must be"):
        task_name(*pieces)


@pytest.mark.parametrize(
    "typed", ["", "20210419-task-refine-0", "task-all", "20210419-part-000", "part-x", "part-000 ", "ALL"]
)
def test_the_error_for_an_invalid_name_states_the_valid_forms(typed):
    with pytest.raises(KerasrecError, match=r"refine-\{0\|1\}-part-NNN"):
        parse_name(typed)
