import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from kerasrec import signals
from kerasrec.backend import keras, tf
from kerasrec.errors import KerasrecError
from kerasrec.training import curves as report
from kerasrec.training.callbacks import read_metrics
from kerasrec.training.checkpoints import checkpoint_paths, read_model, read_progress
from kerasrec.training.growth import carry_over
from kerasrec.training.loop import RunSettings, TrainingRun
from kerasrec.training.monitor import Monitor
from kerasrec.training.passes import Pass
from kerasrec.training.progress import Progress
from kerasrec.training.settings import LoopSettings, OptimizerSettings

A, B, CHANGED_B = ("part-000", "aa"), ("part-001", "bb"), ("part-001", "cc")


class Killed(Exception):
    pass


class Embedded(keras.Model):
    """A model that learns a table of numbers."""

    def __init__(self, rows=6):
        super().__init__()
        self.table = self.add_weight("table", [rows, 3], initializer=keras.initializers.RandomNormal(seed=1))
        self.bias = self.add_weight("bias", [rows], initializer="zeros")
        self.mean_loss = keras.metrics.Mean("loss")

    @property
    def metrics(self):
        return [self.mean_loss]

    def train_step(self, batch):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(tf.gather(self.table, batch) - tf.cast(batch, tf.float32)[:, None]))
            loss += tf.reduce_mean(tf.square(tf.gather(self.bias, batch) - 1.0))
        self.optimizer.minimize(loss, self.trainable_variables, tape=tape)
        self.mean_loss.update_state(loss)
        return {"loss": self.mean_loss.result()}


def new_run(folder, rows=6, monitor=Monitor(), **settings):
    model = Embedded(rows)
    optimizer = OptimizerSettings(learning_rate=0.05, warmup_steps=2)
    loop = LoopSettings(**{"checkpoint_steps": 3, "log_steps": 2, **settings})
    run = TrainingRun(model, folder, RunSettings(optimizer, loop, batch_size=4, monitor=monitor))
    fit = run.fit
    run.fit = lambda passes, *rest, **more: fit(passes, *rest, **{"planned": passes, **more})
    return run


def batches(current, first_step, die_at=None, seen=None):
    """Batches that the pass and the step determine; optionally raises `Killed` before one of them."""
    offset = sum(map(ord, current.key))

    def generate():
        for step in range(first_step, current.steps):
            if step == die_at:
                raise Killed
            if seen is not None:
                seen.append((str(current), step))
            yield (np.arange(4) * (step + 1) + offset) % 5

    return tf.data.Dataset.from_generator(generate, output_signature=tf.TensorSpec([4], tf.int32))


def passes(epochs=2, steps=8, parts=(A, B)):
    return [Pass((part,), epoch, steps) for part in parts for epoch in range(epochs)]


def state(run):
    return [variable.numpy() for variable in [*run.model.variables, *run.model.optimizer.variables]]


def assert_same_state(first, second):
    for expected, actual in zip(state(first), state(second), strict=True):
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("die_at", [0, 2, 3, 5, 7])
def test_a_killed_run_ends_where_the_uninterrupted_one_does(tmp_path, die_at):
    whole = new_run(tmp_path / "whole")
    whole.fit(passes(), batches)

    killed = new_run(tmp_path / "killed")
    dying = lambda current, first: batches(current, first, die_at if current == passes()[1] else None)  # noqa: E731
    with pytest.raises(Exception, match="Killed"):
        killed.fit(passes(), dying)
    resumed = new_run(tmp_path / "killed")
    assert resumed.restore()
    assert resumed.step == 8 + die_at // 3 * 3
    resumed.fit(passes(), batches)
    assert_same_state(whole, resumed)
    assert figures_of(tmp_path / "killed") == figures_of(tmp_path / "whole")


def figures_of(folder):
    """The lines of metrics.jsonl without times and rates."""
    lines = read_metrics(folder / "metrics.jsonl")
    return [{name: line[name] for name in line.keys() - {"time", "sequences_per_second"}} for line in lines]


@pytest.mark.parametrize("log_steps", [2, 7])
def test_the_means_of_a_resumed_pass_are_over_all_its_steps(tmp_path, log_steps):
    """A killed run logs the losses of an uninterrupted run, even if lines and passes do not end at checkpoints."""
    whole, killed = (new_run(tmp_path / name, log_steps=log_steps) for name in ("whole", "killed"))
    losses = {"whole": [], "killed": []}

    def mean_loss(run, name):
        losses[name].append(float(run.model.mean_loss.result()))
        return {"recall@10": 0.0, "NDCG@10": 0.0, "MRR": 0.0}

    whole.fit(passes(), batches, lambda: mean_loss(whole, "whole"))
    dying = lambda current, first: batches(current, first, 7 if current == passes()[1] else None)  # noqa: E731
    with pytest.raises(Exception, match="Killed"):
        killed.fit(passes(), dying, lambda: mean_loss(killed, "killed"))
    resumed = new_run(tmp_path / "killed", log_steps=log_steps)
    assert resumed.restore() and resumed.step == 8 + 6
    resumed.fit(passes(), batches, lambda: mean_loss(resumed, "killed"))
    assert losses["killed"] == losses["whole"] and len(set(losses["whole"])) == 4
    assert figures_of(tmp_path / "killed") == figures_of(tmp_path / "whole")


def test_a_pass_does_not_continue_the_means_of_another(tmp_path):
    """Two passes are unfinished, and the first one is resumed."""
    run = new_run(tmp_path, log_steps=100)
    first, second = passes(epochs=1)
    run.fit([first], batches, until_step=5)
    run.fit([second], batches, until_step=8)
    seen = []
    run.fit([first], batches, lambda: seen.append(float(run.model.mean_loss.count)) or figures([0.1])())
    assert seen == [3]


def test_finished_passes_are_not_repeated_and_new_data_is_trained(tmp_path):
    run = new_run(tmp_path)
    run.fit(passes(), batches)
    resumed = new_run(tmp_path)
    resumed.restore()
    seen = []
    resumed.fit(passes(), lambda current, first: batches(current, first, seen=seen))
    assert seen == [] and resumed.step == 32
    resumed.fit(passes(parts=(A, CHANGED_B)), lambda current, first: batches(current, first, seen=seen))
    assert resumed.step == 48
    assert {name for name, _ in seen} == {"part-001, epoch 1", "part-001, epoch 2"}


def test_new_data_is_trained_with_a_learning_rate_above_0(tmp_path):
    """The learning rate was 0 at the end of the first passes."""
    run = new_run(tmp_path)
    run.fit(passes(), batches)
    assert float(run.schedule(32)) == 0
    before = run.model.table.numpy()
    run.fit(passes(parts=(A, CHANGED_B)), batches)
    assert np.abs(run.model.table.numpy() - before).max() > 0.01
    assert run.progress.schedule == [32, 48]


def test_a_plan_is_kept_and_extended(tmp_path):
    run = new_run(tmp_path)
    run.fit(passes(parts=(A,)), batches, planned=passes())
    assert run.progress.schedule == [0, 32]
    run.fit(passes(parts=(B,)), batches, planned=passes())
    assert run.step == 32 and run.progress.schedule == [0, 32]
    longer = new_run(tmp_path / "longer")
    longer.fit(passes(parts=(A,)), batches, planned=passes())
    longer.fit(passes(parts=(B,)), batches, planned=passes(epochs=4))
    assert longer.progress.schedule == [0, 64]


def test_a_pass_in_another_order_starts_from_its_first_step(tmp_path):
    run = new_run(tmp_path)
    run.fit(passes(), batches, until_step=5)
    reordered = [Pass(earlier.parts, earlier.epoch, 3, order="larger batches") for earlier in passes()]
    run.fit(reordered, batches)
    assert run.step == 5 + 4 * 3


def test_until_step_stops_within_a_pass_and_the_run_resumes_there(tmp_path):
    run = new_run(tmp_path)
    run.fit(passes(), batches, until_step=11)
    assert run.step == 11
    resumed = new_run(tmp_path)
    resumed.restore()
    seen = []
    resumed.fit(passes(), lambda current, first: batches(current, first, seen=seen), until_step=17)
    assert resumed.step == 17
    assert seen[0] == ("part-000, epoch 2", 3)
    whole = new_run(tmp_path / "whole")
    whole.fit(passes(), batches, until_step=11)
    whole.fit(passes(), batches, until_step=17)
    assert_same_state(whole, resumed)


def figures(values):
    values = iter(values)
    return lambda: {"recall@10": 0.0, "NDCG@10": next(values), "MRR": 0.0}


def test_best_checkpoint_and_patience(tmp_path):
    run = new_run(tmp_path, patience=2)
    run.fit(passes(epochs=6, parts=(A,)), batches, figures([0.1, 0.3, 0.2, 0.25, 0.9, 0.9]))
    assert run.step == 4 * 8  # two evaluations without a gain after the second
    best = new_run(tmp_path)
    assert read_model(best.model, tmp_path) == 2 * 8
    latest = new_run(tmp_path, patience=2)
    latest.restore()
    latest.fit(passes(epochs=6, parts=(A,)), batches, figures([]))
    assert latest.step == 4 * 8  # an early end is stored


def test_a_falling_figure_is_better(tmp_path):
    monitor = Monitor(falls=True, min_delta=0.01)
    run = new_run(tmp_path, monitor=monitor, patience=2)
    run.fit(passes(epochs=6, parts=(A,)), batches, figures([0.9, 0.5, 0.495, 0.6, 0.1]))
    assert run.step == 4 * 8, "the third improves by less than min_delta, so it is not a gain"
    best = new_run(tmp_path, monitor=monitor)
    assert read_model(best.model, tmp_path) == 3 * 8 and read_progress(tmp_path).comparison.best == -0.495, (
        "the lowest is the best"
    )


def test_the_learning_rate_is_halved_after_evaluations_without_a_gain(tmp_path):
    monitor = Monitor(falls=True, halve_after=2)
    run = new_run(tmp_path, monitor=monitor)
    rates = []

    def values():
        for value in (0.5, 0.6, 0.6, 0.4, 0.5, 0.5, 0.5, 0.5):
            rates.append(float(run.schedule.scale))
            yield value

    run.fit(passes(epochs=8, parts=(A,)), batches, figures(values()))
    assert rates == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25] and float(run.schedule.scale) == 0.125
    resumed = new_run(tmp_path, monitor=monitor)
    resumed.restore()
    resumed.fit([], batches)
    assert float(resumed.schedule.scale) == 0.125, "a resumed run keeps its learning rate"


def test_kept_states(tmp_path):
    run = new_run(tmp_path)
    for current in passes(epochs=4, parts=(A,)):
        run.fit([current], batches)
        run.checkpoints.keep(run.step, most=2)
    kept = tmp_path / "checkpoints" / "kept"
    assert sorted(path.stem for path in kept.glob("*.index")) == ["ckpt-24", "ckpt-32"]
    assert run.step == 32 and len(checkpoint_paths(tmp_path / "checkpoints")) == 2


def test_patience_counts_evaluations_of_the_same_parts(tmp_path):
    run = new_run(tmp_path, patience=1)
    run.fit(passes(epochs=3), batches, figures([0.5, 0.4, 0.3, 0.2]))
    done = {(part, epoch) for part, _, epoch in run.progress.finished}
    assert done == {("part-000", 0), ("part-000", 1), ("part-001", 0)}


def test_evaluate_every(tmp_path):
    run = new_run(tmp_path, evaluate_every=3)
    run.fit(passes(epochs=7, parts=(A,)), batches, figures([0.1, 0.2]))
    lines = read_metrics(tmp_path / "metrics.jsonl")
    assert [line["step"] for line in lines if line["kind"] == "valid"] == [24, 48]


def test_metrics_lines(tmp_path):
    new_run(tmp_path).fit(passes(epochs=1, parts=(A,)), batches)
    lines = read_metrics(tmp_path / "metrics.jsonl")
    assert [line["step"] for line in lines] == [2, 4, 6, 8]
    assert all(line["kind"] == "train" and line["sequences_per_second"] > 0 and line["loss"] >= 0 for line in lines)
    assert list((tmp_path / "tensorboard").iterdir())


def test_a_line_has_the_means_since_the_line_before(tmp_path):
    losses = {}
    for log_steps in (1, 2):
        new_run(tmp_path / str(log_steps), log_steps=log_steps).fit(passes(epochs=2, parts=(A,)), batches)
        losses[log_steps] = [line["loss"] for line in read_metrics(tmp_path / str(log_steps) / "metrics.jsonl")]
    assert len(losses[1]) == 16 and len(set(losses[1])) == 16
    np.testing.assert_allclose(losses[2], np.reshape(losses[1], [8, 2]).mean(axis=1), atol=2e-6)


def test_the_unfinished_line_of_a_killed_run(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2}\n{"ste', encoding="utf-8")
    assert read_metrics(tmp_path / "metrics.jsonl") == [{"step": 1}, {"step": 2}]


def test_a_repeated_evaluation_of_a_killed_run_writes_no_second_line(tmp_path):
    """The process was killed after the line of its last evaluation, before the step ended."""
    run = new_run(tmp_path)
    run.fit(passes(epochs=1, parts=(A,)), batches)
    run.log_figures("test", {"recall@10": 0.51234567})
    before = figures_of(tmp_path)
    resumed = new_run(tmp_path)
    assert resumed.restore()
    resumed.log_figures("test", {"recall@10": 0.51234567})
    assert figures_of(tmp_path) == before and before[-1]["kind"] == "test"
    resumed.log_figures("test", {"recall@10": 0.6})
    resumed.log_figures("test", {"recall@10": 0.6})
    assert [line.get("recall@10") for line in figures_of(tmp_path)[-2:]] == [0.512346, 0.6]


def test_a_checkpoint_of_another_model(tmp_path):
    run = new_run(tmp_path, rows=6)
    run.save()
    with pytest.raises(KerasrecError, match="fits this model"):
        new_run(tmp_path, rows=7).restore()


def test_a_damaged_checkpoint(tmp_path, logged):
    run = new_run(tmp_path)
    run.fit(passes(epochs=1, parts=(A,)), batches)
    newest, earlier = checkpoint_paths(tmp_path / "checkpoints")[::-1]
    damage(newest)
    resumed = new_run(tmp_path)
    assert resumed.restore() and resumed.step == 6
    assert f"{newest} cannot be used" in logged()
    damage(earlier)
    with pytest.raises(KerasrecError, match="damaged"):
        new_run(tmp_path).restore()


def damage(checkpoint):
    data = Path(f"{checkpoint}.data-00000-of-00001")
    data.write_bytes(data.read_bytes()[:20])


@pytest.mark.parametrize("number", signals.SIGNALS)
@pytest.mark.usefixtures("default_signals")
def test_a_signal_saves_a_checkpoint_at_the_next_step_and_the_run_ends_bit_equal(tmp_path, number):
    whole = new_run(tmp_path / "whole", checkpoint_steps=100)
    whole.fit(passes(), batches)
    stopped = new_run(tmp_path / "stopped", checkpoint_steps=100)

    def signalled(current, first_step):
        # Batches are prefetched, so the step of the signal varies.
        return batches(current, first_step).map(lambda batch: tf.py_function(send, [batch], batch.dtype))

    def send(batch):
        if stopped.step >= 4 and not signals.is_stop_requested():
            os.kill(os.getpid(), number)
        return batch

    with pytest.raises(signals.Stopped) as raised:
        stopped.fit(passes(), signalled)
    assert raised.value.signal == number and 4 <= stopped.step < 32
    resumed = new_run(tmp_path / "stopped")
    assert resumed.restore() and resumed.step == stopped.step
    resumed.fit(passes(), batches)
    assert_same_state(whole, resumed)


def test_a_signal_during_an_evaluation_repeats_the_evaluation(tmp_path):
    whole, stopped = (new_run(tmp_path / name, checkpoint_steps=100) for name in ("whole", "stopped"))
    whole.fit(passes(), batches, figures([0.1, 0.4, 0.3, 0.2]))

    def signalled():
        if stopped.step == 16:
            os.kill(os.getpid(), signal.SIGTERM)
        return {"recall@10": 0.0, "NDCG@10": 0.1, "MRR": 0.0}

    with pytest.raises(signals.Stopped):
        stopped.fit(passes(), batches, signalled)
    resumed = new_run(tmp_path / "stopped")
    assert resumed.restore() and resumed.step == 16 and resumed.progress.passes == 1
    resumed.fit(passes(), batches, figures([0.4, 0.3, 0.2]))
    assert_same_state(whole, resumed)
    assert vars(whole.progress.comparison) == vars(resumed.progress.comparison)


def test_a_signal_while_the_last_state_is_saved_is_not_lost(tmp_path, monkeypatch):
    run = new_run(tmp_path)
    save = run.checkpoints.save

    def signalled(step):
        save(step)
        if step == 32:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(run.checkpoints, "save", signalled)
    with pytest.raises(signals.Stopped):
        run.fit(passes(), batches)


def test_disk_full(tmp_path, monkeypatch):
    run = new_run(tmp_path)
    run.save()

    def full(prefix, **options):
        raise tf.errors.ResourceExhaustedError(None, None, f"{prefix}; No space left on device")

    monkeypatch.setattr(run.checkpoints._state, "_write", full)
    with pytest.raises(KerasrecError, match="no space left on the disk"):
        run.fit(passes(), batches)
    resumed = new_run(tmp_path)
    assert resumed.restore() and resumed.step == 0


def test_disk_full_while_figures_are_written(tmp_path, monkeypatch):
    run = new_run(tmp_path)

    def full(writer):
        raise tf.errors.UnknownError(None, None, "events.out.tfevents.1; No space left on device")

    monkeypatch.setattr(type(run._metrics.board), "flush", full)
    with pytest.raises(KerasrecError, match="no space left on the disk"):
        run.fit(passes(), batches)


def test_changed_data_is_logged_and_resets_the_comparison(tmp_path, logged):
    run = new_run(tmp_path)
    run.trained_on(lists="aa")
    run.fit(passes(), batches, figures([0.4, 0.3, 0.2, 0.1]))
    run.trained_on(lists="aa")
    assert run.progress.comparison.best == 0.4 and "lists changed" not in logged()
    run.trained_on(lists="bb")
    assert run.progress.comparison.best == -np.inf and "lists changed since the last checkpoint" in logged()
    run.fit(passes(epochs=3), batches, figures([0.3, 0.2]))
    report.draw(tmp_path, run.settings.monitor, "valid split")
    best = json.loads((tmp_path / "summary.json").read_text())["best"]
    assert best["NDCG@10"] == 0.3, "the better figure belongs to other lists"


def test_a_log_file_has_one_line_per_pass(tmp_path, logged, capfd):
    """There are no control characters for a terminal, and Keras does not warn about slow callbacks."""
    run = new_run(tmp_path, checkpoint_steps=1)
    run.fit(passes(epochs=2, parts=(A,)), batches)
    assert [line.split(":")[0] for line in logged().splitlines()] == [
        "part-000, epoch 1, step 0 to 8",
        "part-000, epoch 2, step 8 to 16",
    ]
    out, err = capfd.readouterr()
    assert not set(out + err) & {"\r", "\b"} and "slow" not in out + err


def test_no_checkpoint_yet(tmp_path):
    assert not new_run(tmp_path).restore() and read_progress(tmp_path) is None


def test_carry_over_grows_tables_and_slots(tmp_path):
    small, large = new_run(tmp_path / "small", rows=6), new_run(tmp_path / "large", rows=9)
    small.fit(passes(epochs=1), batches)
    initial = large.model.table.numpy()
    carry_over(small.model, large.model)
    for before, after in zip(state(small), state(large), strict=True):
        np.testing.assert_array_equal(before, after[: len(before)] if before.shape else after)
    np.testing.assert_array_equal(large.model.table.numpy()[6:], initial[6:])
    slots = [variable.numpy() for variable in large.model.optimizer.variables if variable.shape == (9, 3)]
    assert len(slots) == 2
    for slot in slots:
        assert np.abs(slot[:5]).max() > 0
        np.testing.assert_array_equal(slot[6:], 0)
    large.fit(passes(epochs=1, steps=3), batches)


def test_progress_can_be_stored_and_read():
    progress = Progress()
    progress.finished.add((*A, 0))
    progress.within["x"] = 3
    stored = Progress()
    stored.deserialize(progress.serialize())
    assert vars(stored)["finished"] == {(*A, 0)} and stored.within == {"x": 3} and stored.comparison.best == -np.inf
    assert json.loads(progress.serialize())
