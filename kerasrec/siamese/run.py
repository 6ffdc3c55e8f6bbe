"""The trained model of a run, and the content of its `config.json`."""

import dataclasses
from pathlib import Path

from kerasrec.command_text import command_line
from kerasrec.data.text.tokenizer import WordPieceTokenizer
from kerasrec.nn.inference_encoder import InferenceEncoder
from kerasrec.nn.settings import BertConfig
from kerasrec.serving.encoding import SentenceEncoder
from kerasrec.siamese.dataset import PreparedData
from kerasrec.siamese.model import SiameseModel
from kerasrec.siamese.settings import TRAINS, Losses, Train
from kerasrec.training.checkpoints import read_initial_weights, read_model, require_checkpoint
from kerasrec.training.contract import Contract
from kerasrec.workspace.config import read_config
from kerasrec.workspace.digests import errors_name_file, require_intact

CONTRACT = Contract(
    fixed=("pretrained", "config_file", "max_length", "seed", "losses"),
    announced=("epochs", "batch_size", "optimizer", "devices.precision"),
    free=("name", "threshold", "loop", "devices", "folders"),
)


class Trained:
    """The best state of a run's model; the latest state if no evaluation has chosen a best one.

    Args:
        folder: The run's output folder.
        untrained: Load the weights before the first training step instead.

    Attributes:
        model: The model.
        tokenizer: Its vocabulary.
        max_length: Longest row of one text, in tokens.
        encoder: Encodes texts as vectors of length 1.
        threshold: The fixed threshold of the cosine.

    Raises:
        KerasrecError: the folder has no trained model.
    """

    def __init__(self, folder: Path, untrained: bool = False):
        settings = read_config(folder, TRAINS)
        with errors_name_file(folder / "config.json", f"run {TRAINS} again"):
            bert, lower_case = BertConfig(**settings["bert"]), settings["lower_case"]
            losses = Losses(**settings["train"]["losses"])
            self.max_length: int = int(settings["train"]["max_length"])
            self.threshold: float = float(settings["train"]["threshold"])
        restore_command = settings.get("again", f"{TRAINS} {folder.name}")
        vocab = require_intact(folder / "vocab.txt", settings.get("vocab"), restore_command)
        self.tokenizer = WordPieceTokenizer.load(vocab, lower_case, bert.vocab_size)
        require_checkpoint(folder, TRAINS)
        self.model = SiameseModel(bert, losses)
        if untrained:
            read_initial_weights(self.model, folder)
        else:
            read_model(self.model, folder)
        self.encoder = SentenceEncoder(inference_encoder(self.model), self.tokenizer, self.max_length)


def inference_encoder(model: SiameseModel) -> InferenceEncoder:
    """The part of a model that encodes texts, for inference."""
    return InferenceEncoder(model.encoder, pooling="cls", pooler=model.pooler)


def config_of(bert: BertConfig, prepared: PreparedData, settings: Train) -> dict:
    """The content of a run's `config.json`."""
    return {
        "bert": dataclasses.asdict(bert),
        "lower_case": prepared.tokenizer.lower_case,
        "vocab": prepared.vocab_digest,
        "train": dataclasses.asdict(settings),
        "again": command_line(TRAINS, settings),
    }
