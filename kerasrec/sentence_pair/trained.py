"""A model in an output folder: made, and found again."""

import dataclasses
import math
from pathlib import Path

from kerasrec.data.tokenizer import WordPieceTokenizer
from kerasrec.errors import KerasrecError
from kerasrec.nn.lean_encoder import LeanEncoder
from kerasrec.nn.settings import BertConfig
from kerasrec.sentence_pair.model import SentencePairModel
from kerasrec.sentence_pair.settings import Objective, Train
from kerasrec.serving.encoding import SentenceEncoder
from kerasrec.training.config import read_config
from kerasrec.training.loop import TrainingRun, read_progress
from kerasrec.training.optimizers import adamw, warmup_schedule
from kerasrec.training.settings import LoopSettings, OptimizerSettings

TRAINS = "kerasrec sentence-pair train"


def new_run(
    config: BertConfig,
    objective: Objective,
    folder: Path,
    shown: tuple[str, ...],
    *,
    optimizer: OptimizerSettings = OptimizerSettings(),
    loop: LoopSettings = LoopSettings(),
    batch_size: int = 1,
    seed: int = 0,
) -> TrainingRun:
    """A model with fresh weights, ready to be trained in a folder, or restored from it."""
    model = SentencePairModel(config, objective, seed)
    schedule = warmup_schedule(optimizer)
    model.compile(optimizer=adamw(optimizer, schedule))
    return TrainingRun(model, folder, loop, batch_size, schedule, shown)


class Trained:
    """The best state of a model; the latest where no best one was chosen.

    Args:
        folder: The output folder.

    Attributes:
        model: The model.
        tokenizer: Its vocabulary.
        max_length: Longest row of a sentence.
        top_n: Sentences of a side that it looks at; None for all.
        encoder: Sentences into vectors of length 1.

    Raises:
        KerasrecError: nothing was trained there.
    """

    def __init__(self, folder: Path):
        settings = read_config(folder, TRAINS)
        progress = read_progress(folder)
        if progress is None:
            raise KerasrecError(f"there is no checkpoint in {folder}: run {TRAINS} first")
        bert, lower_case = BertConfig(**settings["bert"]), settings["train"]["do_lower_case"]
        self.tokenizer = WordPieceTokenizer.load(folder / "vocab.txt", lower_case, bert.vocab_size)
        run = new_run(bert, Objective(**settings["train"]["objective"]), folder, ())
        run.restore("best" if progress.best > -math.inf else "latest")
        self.model: SentencePairModel = run.model
        self.max_length: int = settings["train"]["max_seq_length"]
        self.top_n: int | None = settings["train"]["top_n"]
        self.encoder = SentenceEncoder(LeanEncoder(self.model.encoder), self.tokenizer, self.max_length)


def config_of(bert: BertConfig, command: Train) -> dict:
    """What `config.json` keeps of a run."""
    return {"bert": dataclasses.asdict(bert), "train": dataclasses.asdict(command)}
