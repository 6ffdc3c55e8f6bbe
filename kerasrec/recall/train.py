"""Train part after part, and look at the model on the way."""

import itertools
import math
from collections.abc import Iterator

from kerasrec.backend import distribution, limit_gpu_memory, require_gpu, set_precision, set_seed, tf
from kerasrec.data.batches import Terms, training_batches
from kerasrec.data.files import exclusive
from kerasrec.errors import KerasrecError
from kerasrec.nn.settings import ItemModelSettings
from kerasrec.recall import model as models
from kerasrec.recall.evaluate import print_table
from kerasrec.recall.prepared import Prepared
from kerasrec.recall.settings import Train
from kerasrec.recall.tasks import Task, find_parts
from kerasrec.training import report
from kerasrec.training.loop import Leg, TrainingRun, carry_over
from kerasrec.training.ranking import Protocol, rank_catalogue


def train(command: Train) -> None:
    """Train a part, or all of a task, from the last checkpoint; evaluate; draw the curves."""
    task, parts = find_parts(command.name, command.places, command.task)
    prepared = Prepared(task, parts)
    terms = Terms(command.model.seq2seq_weight > 0, command.model.similarity_weight > 0)
    if (terms.seq2seq or terms.similarity) and prepared.settings.masking == "static":
        raise KerasrecError(
            "the seq2seq and similarity losses need whole windows, and these examples are masked already: write them "
            "with --masking dynamic"
        )
    _use_devices(command)
    with exclusive(task.output):
        strategy = distribution()
        with strategy.scope():
            run = _run(command, prepared)
        models.write_config(task, models.config_of(command, prepared))

        def batches(leg: Leg, first_step: int) -> "tf.data.Dataset":
            return training_batches(
                prepared.training_files([part for part, _ in leg.parts]),
                prepared.settings,
                command.batches,
                terms,
                vocab_size=len(prepared.vocab),
                seed=command.seed,
                epoch=leg.epoch,
                first_step=first_step,
                replicas=strategy.num_replicas_in_sync,
            )

        until = math.inf if command.train_multi is None else command.train_multi * command.steps_per_multi
        with prepared.reading():
            if command.eval_mode == 1:
                _evaluate_parts(run, prepared, "before training")
            run.fit(_legs(command, prepared), batches, _valid_figures(command, run, prepared), until)
            if command.eval_mode == 0:
                _evaluate_parts(run, prepared, "after training")
        report.draw(task.output)
    print(f"{task.output}: the model at step {run.step}, metrics.jsonl, plots/, tensorboard/")


def _use_devices(command: Train) -> None:
    if command.gpu is not None or command.gpu_memory is not None:
        card = require_gpu(command.gpu or 0)
        tf.config.set_visible_devices(card, "GPU")
        if command.gpu_memory is not None:
            limit_gpu_memory(command.gpu_memory, command.gpu or 0)
    set_precision(command.precision)
    set_seed(command.seed)


def _run(command: Train, prepared: Prepared) -> TrainingRun:
    """The run as its last checkpoint left it, grown where the vocabulary has; else a new one."""
    task = prepared.task
    run = _new_run(command, prepared, command.model, len(prepared.vocab), task)
    if (task.output / "config.json").is_file():
        source = task
    elif command.init_from:
        source = Task(command.init_from.name, task.data, command.init_from, task.export)
    else:
        return run
    config = models.read_config(source.output)
    models.check_vocab(config, prepared, source.output)
    _check_same_model(command, prepared, config, source)
    if source is task and config["vocab_size"] == len(prepared.vocab):
        run.restore()
        return run
    old = _new_run(command, prepared, command.model, config["vocab_size"], source)
    if not old.restore():
        if source is task:
            return run
        raise KerasrecError(f"there is no checkpoint in {source.output} to start from")
    carry_over(old.model, run.model)
    if source is task:
        run.progress.deserialize(old.progress.serialize())
    else:
        run.model.optimizer.iterations.assign(0)  # a run of its own, with a warm-up of its own
    print(f"started from {source.output}: {config['vocab_size']:,} of {len(prepared.vocab):,} tokens known")
    return run


def _new_run(
    command: Train, prepared: Prepared, settings: ItemModelSettings, vocab_size: int, task: Task
) -> TrainingRun:
    return models.new_run(
        settings,
        vocab_size,
        prepared.settings.max_seq_length,
        task,
        optimizer=command.optimizer,
        total_steps=_total_steps(command, prepared),
        loop=command.loop,
        batch_size=command.batches.batch_size,
        seed=command.seed,
    )


def _check_same_model(command: Train, prepared: Prepared, config: dict, source: Task) -> None:
    given = models.config_of(command, prepared)
    for name in ("model", "max_seq_length"):
        if given[name] != config[name]:
            raise KerasrecError(
                f"{name} is {given[name]} and the checkpoint in {source.output} was trained with {config[name]}: give "
                "the same settings, or train into another output folder"
            )


def _total_steps(command: Train, prepared: Prepared) -> int:
    """Steps over which the learning rate falls: what is asked for, over all parts that the manifest knows."""
    if command.train_multi is not None:
        return command.train_multi * command.steps_per_multi
    return command.epochs * sum(
        prepared.steps(group, command.batches.batch_size)
        for group in _groups(command, prepared, list(prepared.entries))
    )


def _groups(command: Train, prepared: Prepared, parts: list[str]) -> list[list[str]]:
    """Parts that are trained together."""
    together = len(prepared.parts) > 1 and not command.sequential
    return [parts] if together else [[part] for part in parts]


def _legs(command: Train, prepared: Prepared) -> Iterator[Leg]:
    groups = _groups(command, prepared, prepared.parts)
    if prepared.rows("train") == 0:
        print(f"{', '.join(prepared.parts)}: no training rows, nothing to learn")
        return
    if command.train_multi is None:
        passes = ((group, epoch) for group in groups for epoch in range(command.epochs))
    else:
        passes = ((group, epoch) for epoch in itertools.count() for group in groups)
    for group, epoch in passes:
        parts = tuple((part, prepared.digest(part)) for part in group)
        yield Leg(parts, epoch, prepared.steps(group, command.batches.batch_size))


def _valid_figures(command: Train, run: TrainingRun, prepared: Prepared):
    """Figures on the same valid users, drawn from all parts, whichever part is trained: so that they compare."""
    everyone = list(prepared.entries)
    if command.valid_users == 0 or prepared.rows("valid", everyone) == 0:
        return None
    score = models.scorer(run.model)
    rows = list(prepared.evaluation("valid", everyone, command.valid_users))
    return lambda: rank_catalogue(score, rows, prepared.training_counts, Protocol("valid"))


def _evaluate_parts(run: TrainingRun, prepared: Prepared, when: str) -> None:
    if when == "before training" and run.step == 0:
        print("there is no checkpoint to evaluate yet: training starts from random weights")
        return
    if prepared.rows("test") == 0:
        print(f"{', '.join(prepared.parts)}: no test targets, nothing to evaluate")
        return
    protocol = Protocol("test")
    rows = prepared.evaluation("test", prepared.parts)
    figures = rank_catalogue(models.scorer(run.model), rows, prepared.training_counts, protocol)
    run.log_figures("test", figures)
    print_table({f"model {when}, step {run.step}": figures}, protocol)
