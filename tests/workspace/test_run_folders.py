import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasrec.errors import KerasrecError
from kerasrec.workspace.run_folders import RunFolders, find_parts, find_task


@pytest.fixture
def folders(tmp_path):
    return RunFolders(tmp_path / "data", tmp_path / "output", tmp_path / "export")


def make(folders, name, numbers=(), width=3):
    task = folders.task(name)
    task.parts_folder.mkdir(parents=True)
    for number in numbers:
        task.part_path(f"part-{number:0{width}d}").touch()
    return task


# --- tasks ---


@pytest.mark.parametrize("typed", ["20210419-my-shop-refine-0-all", "my-shop-refine-0-all", "all"])
def test_a_name_with_omitted_pieces_finds_the_only_task(folders, typed):
    make(folders, "20210419-my-shop-refine-0")
    task = find_task(typed, folders)
    assert task.name == "20210419-my-shop-refine-0"
    assert (task.data, task.output, task.export) == tuple(
        root / task.name for root in (folders.data_path, folders.output_path, folders.export_path)
    )


def test_a_full_name_finds_its_task_among_similar_names(folders):
    names = [
        f"{date}-{dataset}-refine-{refine}"
        for date in (20210419, 20210420)
        for dataset in ("shop", "my-shop")
        for refine in (0, 1)
    ]
    for name in names:
        make(folders, name)
    assert [find_task(f"{name}-all", folders).name for name in names] == names


def test_several_matching_tasks_are_an_error_that_names_them(folders):
    for name in ("20210419-shop-refine-0", "20210420-shop-refine-0", "20210420-my-shop-refine-0"):
        make(folders, name)
    with pytest.raises(KerasrecError) as error:
        find_task("shop-refine-0-all", folders)
    assert "20210419-shop-refine-0" in str(error.value) and "20210420-shop-refine-0" in str(error.value)
    assert "my-shop" not in str(error.value)


def test_the_error_without_a_match_names_the_pattern_the_folder_and_its_tasks(folders):
    with pytest.raises(KerasrecError, match="does not exist"):
        find_task("all", folders)
    folders.data_path.mkdir()
    (folders.data_path / "notes-refine-0").mkdir()  # not a task: it has no date
    (folders.data_path / "20210419-file-refine-0").touch()  # not a folder
    with pytest.raises(KerasrecError, match="holds no task"):
        find_task("all", folders)
    make(folders, "20210419-shop-refine-0")
    with pytest.raises(KerasrecError) as error:
        find_task("task-refine-1-all", folders)
    for expected in ("'task-refine-1-all'", "*-task-refine-1", str(folders.data_path), "20210419-shop-refine-0"):
        assert expected in str(error.value)


def test_the_name_of_a_part_is_refused_as_the_name_of_a_task(folders):
    make(folders, "20210419-task-refine-0", [0])
    with pytest.raises(KerasrecError, match="names a part"):
        find_task("task-refine-0-part-000", folders)
    with pytest.raises(KerasrecError, match="names a part"):
        find_parts("part-000", folders, task_name="task-refine-0-part-000")


# --- parts ---


def test_the_names_of_daily_jobs(folders):
    task = make(folders, "20210419-task-refine-0", range(201))
    all_parts = [f"part-{number:03d}" for number in range(201)]
    assert find_parts("task-refine-0-part-000", folders, task_name="20210419-task-refine-0-all") == (task, ["part-000"])
    assert find_parts("part-000", folders) == (task, ["part-000"])
    assert find_parts("20210419-task-refine-0-part-00", folders, "task-refine-0-all", 1, 2)[1] == [
        "part-001",
        "part-002",
    ]
    assert find_parts("task-refine-0-part-", folders, "task-refine-0-all", 0, 200)[1] == all_parts
    assert find_parts("task-refine-0-all", folders)[1] == all_parts


@pytest.mark.parametrize(
    ("prefix", "first", "last", "width", "expected"),
    [
        ("part-", 0, 2, 3, "000 001 002"),  # fewer digits than the existing names
        ("part-", 8, 11, 3, "008 009 010 011"),
        ("part-0", 8, 11, 3, "008 009 010 011"),
        ("part-01", 0, 2, 3, "010 011 012"),
        ("part-01", 3, 3, 3, "013"),
        ("part-", 998, 1001, 4, "0998 0999 1000 1001"),
        ("part-00", 1, 12, 4, "0001 0002 0003 0004 0005 0006 0007 0008 0009 0010 0011 0012"),
        ("part-100", 0, 1, 4, "1000 1001"),
    ],
)
def test_a_range_is_padded_to_the_width_of_the_names(folders, prefix, first, last, width, expected):
    make(folders, "20210419-task-refine-0", range(20 if width == 3 else 1002), width)
    assert find_parts(prefix, folders, first=first, last=last)[1] == [f"part-{digits}" for digits in expected.split()]


@given(st.data())
def test_any_prefix_that_the_parts_of_a_range_share_names_that_range(tmp_path_factory, data):
    first = data.draw(st.integers(0, 1200))
    last = data.draw(st.integers(first, first + 30))
    names = [f"{number:0{max(3, len(str(last)))}d}" for number in range(first, last + 1)]
    shared = os.path.commonprefix(names)[: len(names[0]) - 1]
    prefix = shared[: data.draw(st.integers(0, len(shared)))]
    numbers = [int(digits[len(prefix) :]) for digits in names]
    folders = RunFolders(tmp_path_factory.mktemp("range"))
    make(folders, "20210419-task-refine-0", range(first, last + 1), len(names[0]))
    parts = find_parts(f"part-{prefix}", folders, first=numbers[0], last=numbers[-1])[1]
    assert parts == [f"part-{digits}" for digits in names]


def test_one_message_names_all_missing_parts(folders):
    make(folders, "20210419-task-refine-0", [0, 1, 2, 4, 5, 9])
    with pytest.raises(KerasrecError) as error:
        find_parts("part-", folders, first=0, last=12)
    message = str(error.value)
    assert "part-003, part-006 to part-008, part-010 to part-012" in message
    assert "part-000 to part-002, part-004, part-005, part-009" in message
    with pytest.raises(KerasrecError, match="part-007;"):
        find_parts("part-007", folders)
    with pytest.raises(KerasrecError, match="part-00;"):
        find_parts("part-00", folders)


def test_unfinished_and_foreign_files_are_not_parts(folders):
    task = make(folders, "20210419-task-refine-0", [0])
    for name in (".part-001.parquet.17.unfinished", "part-001.parquet.bak", "part-one.parquet"):
        (task.parts_folder / name).touch()
    assert find_parts("all", folders)[1] == ["part-000"]


def test_the_error_for_a_task_without_parts_names_the_command(folders):
    make(folders, "20210419-task-refine-0")
    with pytest.raises(KerasrecError, match="kerasrec recall split"):
        find_parts("part-000", folders)


@pytest.mark.parametrize(
    ("typed", "first", "last", "expected"),
    [
        ("part-", 2, 1, "0 <= FIRST <= LAST"),
        ("part-", -1, 1, "0 <= FIRST <= LAST"),
        ("part-", 0, None, "0 <= FIRST <= LAST"),
        ("part-", None, 0, "0 <= FIRST <= LAST"),
        ("all", 0, 1, "no FIRST and LAST"),
        ("part-", None, None, "no number"),
    ],
)
def test_an_invalid_range_is_refused(folders, typed, first, last, expected):
    make(folders, "20210419-task-refine-0", [0, 1])
    with pytest.raises(KerasrecError, match=expected):
        find_parts(typed, folders, first=first, last=last)


def test_the_part_name_and_the_task_name_are_combined(folders):
    for name in ("20210419-task-refine-0", "20210420-task-refine-0", "20210419-shop-refine-0"):
        make(folders, name, [0])
    for part in ("part-000", "task-refine-0-part-000"):
        assert find_parts(part, folders, "20210420-task-refine-0-all")[0].name == "20210420-task-refine-0"
    assert find_parts("20210419-task-refine-0-part-000", folders, "all")[0].name == "20210419-task-refine-0"
    with pytest.raises(KerasrecError, match="matches 2 tasks"):
        find_parts("part-000", folders, "task-refine-0-all")


@pytest.mark.parametrize("whole", ["20210420-task-refine-0-all", "shop-refine-0-all", "task-refine-1-all"])
def test_contradictory_part_and_task_names_are_both_in_the_error(folders, whole):
    for name in (
        "20210419-task-refine-0",
        "20210420-task-refine-0",
        "20210419-shop-refine-0",
        "20210419-task-refine-1",
    ):
        make(folders, name, [0])
    with pytest.raises(KerasrecError) as error:
        find_parts("20210419-task-refine-0-part-000", folders, whole)
    assert "20210419-task-refine-0-part-000" in str(error.value) and whole in str(error.value)


def test_no_two_files_of_a_task_share_a_path(folders):
    task = folders.task("20210419-task-refine-0")
    paths = [task.manifest_path, task.users_path, task.rejects_path, task.vocab_path, task.part_path("part-000")]
    paths += [
        task.tfrecord_path(part, split) for part in ("part-000", "part-001") for split in ("train", "valid", "test")
    ]
    assert len(set(paths)) == len(paths)
    assert all(path.is_relative_to(task.data) for path in paths)
