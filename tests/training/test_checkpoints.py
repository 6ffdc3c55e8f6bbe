"""Stored states can be truncated, empty, missing or of an earlier step; the newest whole state is restored, or none."""

import json
import shutil

import numpy as np
import pytest

from kerasrec.backend import keras, tf
from kerasrec.errors import KerasrecError
from kerasrec.training.checkpoints import Checkpoints, checkpoint_paths, read_initial_weights, read_model, read_progress
from kerasrec.training.progress import Progress


class Numbers(keras.Model):
    def __init__(self, rows=3):
        super().__init__()
        self.table = self.add_weight("table", [rows], initializer="zeros")


@pytest.fixture(scope="module")
def three_states(tmp_path_factory):
    """A run with the states of the steps 4, 8 (the best) and 12; the values of the table are the step."""
    folder = tmp_path_factory.mktemp("run")
    model, progress = Numbers(), Progress()
    model.compile("adam")
    model.optimizer.build(model.trainable_variables)
    checkpoints = Checkpoints(folder, model, progress)
    checkpoints.keep_initial_weights()
    for step in (4, 8, 12):
        model.table.assign([step] * 3)
        progress.passes = step
        if step == 8:
            progress.comparison.best = 0.5
            checkpoints.save_best(step)
        checkpoints.save(step)
    return folder


@pytest.fixture
def run(three_states, tmp_path):
    shutil.copytree(three_states, tmp_path / "run")
    return tmp_path / "run"


def restored(folder, rows=3):
    """The step from which a training resumes."""
    model, progress = Numbers(rows), Progress()
    model.compile("adam")
    model.optimizer.build(model.trainable_variables)
    assert Checkpoints(folder, model, progress).restore()
    assert progress.passes == int(model.table.numpy()[0])
    return progress.passes


def checkpoint_file(run):
    return run / "checkpoints" / "checkpoint"


@pytest.mark.parametrize("content", [b"", b"model_check", b"\xff\x00\xfe", b'model_checkpoint_path: "ckpt-4"\n', None])
def test_the_file_checkpoint_of_tensorflow_is_not_needed(run, content):
    if content is None:
        checkpoint_file(run).unlink()
    else:
        checkpoint_file(run).write_bytes(content)
    assert restored(run) == 12 and read_model(Numbers(), run) == 8


@pytest.mark.parametrize("damage", ["data", "index", "flipped", "no index", "no data"])
def test_the_newest_whole_state_is_restored(run, damage):
    data, index = (run / "checkpoints" / f"ckpt-12.{end}" for end in ("data-00000-of-00001", "index"))
    if damage == "flipped":
        content = bytearray(data.read_bytes())
        content[len(content) // 2] ^= 1
        data.write_bytes(content)
    elif damage.startswith("no"):
        (index if damage == "no index" else data).unlink()
    else:
        path = {"data": data, "index": index}[damage]
        path.write_bytes(path.read_bytes()[:20])
    assert restored(run) == 8
    assert checkpoint_paths(run / "checkpoints")[0].endswith("ckpt-8")


def test_the_best_state_is_restored_if_the_latest_are_missing(run):
    for path in (run / "checkpoints").glob("ckpt-*"):
        path.unlink()
    assert restored(run) == 8


def test_a_run_with_only_damaged_states_does_not_start_again(run):
    for path in (run / "checkpoints").rglob("ckpt-*.index"):
        path.write_bytes(b"")
    with pytest.raises(KerasrecError, match="damaged: remove that folder"):
        read_progress(run)
    with pytest.raises(KerasrecError, match="fits this model and is whole"):
        restored(run)
    for path in (run / "checkpoints").rglob("ckpt-*"):
        path.unlink()
    with pytest.raises(KerasrecError, match="damaged"):
        read_progress(run)  # the file `checkpoint` is left


def test_a_resumed_run_removes_the_damaged_state(run):
    (run / "checkpoints" / "ckpt-12.data-00000-of-00001").write_bytes(b"")
    model, progress = Numbers(), Progress()
    model.compile("adam")
    model.optimizer.build(model.trainable_variables)
    checkpoints = Checkpoints(run, model, progress)
    assert checkpoints.restore()
    checkpoints.save(10)
    assert [path.rsplit("-", 1)[1] for path in checkpoint_paths(run / "checkpoints")] == ["8", "10"]


def test_a_state_is_read_without_an_optimizer(run):
    model = Numbers()
    assert read_model(model, run) == 8 and model.table.numpy().tolist() == [8, 8, 8]
    assert read_model(model, run, "latest") == 12 and model.table.numpy().tolist() == [12, 12, 12]
    read_initial_weights(model, run)
    assert model.table.numpy().tolist() == [0, 0, 0]
    assert model.optimizer is None and sum(np.prod(variable.shape) for variable in model.variables) == 3


@pytest.mark.parametrize(("which", "place"), [("best", "checkpoints/best"), ("latest", "checkpoints")])
def test_a_missing_state(run, which, place):
    for path in (run / place).glob("ckpt-*"):
        path.unlink()
    with pytest.raises(KerasrecError, match=rf"{place}/? that fits .* \(files are missing\): put it back"):
        read_model(Numbers(), run, which)


def test_an_error_that_is_not_about_the_state_removes_no_state(run, monkeypatch):
    """If memory is short, for example, an older state must not replace the newest one."""

    def no_memory(*words):
        raise tf.errors.ResourceExhaustedError(None, None, "no memory")

    model, progress = Numbers(), Progress()
    model.compile("adam")
    model.optimizer.build(model.trainable_variables)
    checkpoints = Checkpoints(run, model, progress)
    monkeypatch.setattr(checkpoints._state, "restore", no_memory)
    with pytest.raises(tf.errors.ResourceExhaustedError):
        checkpoints.restore()
    assert restored(run) == 12


def test_a_state_of_another_model(run):
    for read in (lambda: restored(run, rows=4), lambda: read_model(Numbers(4), run)):
        with pytest.raises(KerasrecError, match="fits this model"):
            read()


def test_missing_initial_weights(run):
    (run / "checkpoints" / "start.index").unlink()
    with pytest.raises(KerasrecError, match="the weights before training"):
        read_initial_weights(Numbers(), run)


def test_an_unknown_name_of_a_state(run):
    with pytest.raises(KerasrecError, match="best or latest"):
        read_model(Numbers(), run, "newest")


def test_a_run_of_version_0_1_0():
    progress = Progress()
    progress.deserialize(
        json.dumps(
            {
                "finished": [["part-000", "aa", 0]],
                "within": {},
                "legs": 1,
                "best": 0.25,
                "reference": 0.25,
                "watched": "x",
                "evaluations_without_gain": 2,
                "halvings": 1,
                "first_step": 3,
                "schedule": [0, 8],
                "vocab": [9, "bb"],
            }
        )
    )
    assert progress.passes == 1 and progress.data["vocabulary"] == "bb" and progress.data["tokens"] == 9
    assert progress.comparison.best == 0.25 and progress.comparison.without_gain == 2 and progress.first_step == 3


def test_an_unfinished_first_state_is_ignored(tmp_path):
    """After a kill or on a full disk there is data without an index, because the index is written last."""
    folder = tmp_path / "checkpoints"
    (folder / "ckpt-4_temp").mkdir(parents=True)
    (folder / "ckpt-3.data-00000-of-00001").write_bytes(b"half")
    assert read_progress(tmp_path) is None
    model, progress = Numbers(), Progress()
    model.compile("adam")
    model.optimizer.build(model.trainable_variables)
    checkpoints = Checkpoints(tmp_path, model, progress)
    assert not checkpoints.restore()
    checkpoints.save(4)
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["checkpoint", "ckpt-4.data-00000-of-00001", "ckpt-4.index"]
