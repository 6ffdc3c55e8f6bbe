"""A task's model: made, and found again."""

import dataclasses
import json

from kerasrec.backend import tf
from kerasrec.data.files import replacing
from kerasrec.errors import KerasrecError
from kerasrec.nn.item_model import ItemModel
from kerasrec.nn.settings import ItemModelSettings
from kerasrec.recall.prepared import Prepared
from kerasrec.recall.settings import Train
from kerasrec.recall.tasks import Task
from kerasrec.training.loop import TrainingRun
from kerasrec.training.optimizers import adamw
from kerasrec.training.settings import LoopSettings, OptimizerSettings


def new_run(
    model: ItemModelSettings,
    vocab_size: int,
    max_seq_length: int,
    task: Task,
    *,
    optimizer: OptimizerSettings = OptimizerSettings(),
    total_steps: int = 1,
    loop: LoopSettings = LoopSettings(),
    batch_size: int = 1,
    seed: int = 0,
) -> TrainingRun:
    """A model with fresh weights, ready to be trained or restored."""
    item_model = ItemModel(model, vocab_size, max_seq_length, seed)
    item_model.compile(optimizer=adamw(optimizer, total_steps))
    return TrainingRun(item_model, task.output, loop, batch_size)


def config_of(command: Train, prepared: Prepared) -> dict:
    """What `config.json` keeps of a run."""
    return {
        "vocab_size": len(prepared.vocab),
        "vocab_digest": prepared.vocab.digest(),
        "max_seq_length": prepared.settings.max_seq_length,
        "model": dataclasses.asdict(command.model),
        "examples": dataclasses.asdict(prepared.settings),
        "train": json.loads(json.dumps(dataclasses.asdict(command), default=str)),
    }


def write_config(task: Task, config: dict) -> None:
    with replacing(task.output / "config.json") as unfinished:
        unfinished.write_text(json.dumps(config, indent=1, ensure_ascii=False), encoding="utf-8")


def read_config(folder) -> dict:
    """The `config.json` of an output folder.

    Raises:
        KerasrecError: nothing was trained there.
    """
    try:
        return json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise KerasrecError(f"there is no trained model in {folder}: run `kerasrec recall train` first") from None


def check_vocab(config: dict, prepared: Prepared, folder) -> None:
    """Refuse a vocabulary that is neither the one a model was trained with nor has grown from it.

    Raises:
        KerasrecError: as said.
    """
    size = config["vocab_size"]
    if size > len(prepared.vocab) or prepared.vocab.digest(size) != config["vocab_digest"]:
        raise KerasrecError(
            f"the vocabulary {prepared.task.vocab_path} does not belong to the checkpoint in {folder}: it is neither "
            "the one it was trained with nor grown from it; put that one back, or train into another output folder"
        )


def trained_model(task: Task, prepared: Prepared, which: str) -> ItemModel:
    """The `best` or the `latest` state of a task's model; the latest where no best one was chosen.

    Raises:
        KerasrecError: nothing was trained, or with another vocabulary.
    """
    config = read_config(task.output)
    check_vocab(config, prepared, task.output)
    if config["vocab_size"] != len(prepared.vocab):
        raise KerasrecError(
            f"the vocabulary has grown since the model in {task.output} was trained: train again, so that it grows, too"
        )
    run = new_run(ItemModelSettings(**config["model"]), config["vocab_size"], config["max_seq_length"], task)
    if not (which == "best" and run.restore("best")) and not run.restore("latest"):
        raise KerasrecError(f"there is no checkpoint in {task.output}: run `kerasrec recall train` first")
    return run.model


def scorer(model: ItemModel):
    """A model's scores of evaluation rows, for `rank_catalogue`."""
    scores = tf.function(
        model.last_item_scores,
        input_signature=[tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None], tf.int32)],
    )
    return lambda batch, offsets, ids: scores(batch["input_ids"], batch["masked_lm_positions"][:, 0])
