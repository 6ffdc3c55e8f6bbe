"""Passes of a training that fit into a time."""

import dataclasses
import logging
import time

from kerasrec.data.items.batches import Epoch, training_batches
from kerasrec.recall.dataset import PreparedData
from kerasrec.recall.new_model import new_model, objectives
from kerasrec.recall.settings import Train
from kerasrec.training.optimizers import adamw, warmup_schedule

logger = logging.getLogger(__name__)

TIMED_STEPS = 30
FIRST_STEPS = 5
"""Steps that are not timed, because the graph is traced in them."""
FOR_STEPS = 0.8
"""Share of the time that is planned for training steps; the rest is for evaluations."""


def planned_for_minutes(training: Train, prepared: PreparedData, minutes: float) -> Train:
    """The settings of a training with as many passes as fit into the time, after the speed was measured.

    Args:
        training: The settings; it has at most as many passes as they say.
        prepared: The task.
        minutes: The time.
    """
    if prepared.rows("train") == 0:
        return training  # `train` says that there is nothing to learn
    seconds = _seconds_of_pass(training, prepared)
    epochs = max(1, min(training.epochs, int(FOR_STEPS * 60 * minutes / seconds)))
    if epochs < 8 or epochs % 2:  # the last pass has to be evaluated
        training = dataclasses.replace(training, loop=dataclasses.replace(training.loop, evaluate_every=1))
    logger.info(f"a pass takes about {seconds:,.0f} s: {epochs} passes are planned for {minutes:g} minutes")
    return dataclasses.replace(training, epochs=epochs)


def _seconds_of_pass(training: Train, prepared: PreparedData) -> float:
    """The time of one pass, measured on some steps of a model that is not kept."""
    batch_size = training.batches.batch_size
    model = new_model(training, prepared)
    schedule = warmup_schedule(training.optimizer)
    model.compile(optimizer=adamw(training.optimizer, schedule, rowwise=True))
    epoch, terms = Epoch(0, training.seed, 0), objectives(training)
    files = prepared.files("train", prepared.parts)
    batches = training_batches(files, prepared.settings, training.batches, epoch, len(prepared.vocab), terms)
    step = model.make_train_function()
    rows = iter(batches.repeat())
    for _ in range(FIRST_STEPS):
        step(rows)
    began = time.monotonic()
    for _ in range(TIMED_STEPS):
        step(rows)
    seconds = (time.monotonic() - began) / TIMED_STEPS
    return seconds * prepared.steps(prepared.parts, batch_size)
