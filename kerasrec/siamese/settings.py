"""The settings of the siamese BERT: one frozen dataclass for each step; imports no TensorFlow."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional, UseAppendAction

from kerasrec.errors import KerasrecError, require, require_seed
from kerasrec.training.settings import DeviceSettings, LoopSettings, OptimizerSettings
from kerasrec.workspace.run_folders import RunFolders

TRAINS = "kerasrec siamese train"
"""The command that trains, as in `config.json` and in messages."""


@dataclass(frozen=True)
class Prepare:
    """Read and tokenise groups of texts with the same meaning, and labelled pairs for the evaluation."""

    name: Positional[str]
    """Name of the run; its folders are data/NAME, output/NAME and export/NAME."""
    train_file: Path
    """Groups of texts with the same meaning: {id: [text, ...]}, or SimBERT's {"text": ..., "synonyms": [...]}
    records."""
    vocab_file: Path | None = None
    """Vocabulary of the checkpoint that training starts from: vocab.txt, tokenizer.json, or their folder. Without it,
    the vocabulary of the model in output/NAME is kept; without a model, a vocabulary is learned from the groups, for
    training from random weights."""
    valid_file: Path | None = None
    """Pairs, `text1 TAB text2 TAB label`, that choose the best model and the best threshold. This file and copies of it
    are left out of the training files."""
    test_file: Path | None = None
    """Pairs for `evaluate` only; left out of the training and the valid files."""
    lower_case: Annotated[bool, tyro.conf.arg(help="Do not lower-case texts.", help_behavior_hint="")] = True
    """Whether texts are lower-cased; tokenizer.json or tokenizer_config.json in the vocabulary's folder overrides
    this."""
    simplified: Annotated[
        bool, tyro.conf.arg(help="Keep tokens that cannot occur in a text.", help_behavior_hint="")
    ] = True
    """Whether tokens that cannot occur in a text are removed from the vocabulary."""
    max_reject_share: float = 0.01
    """Largest share of bad rows in a file; above it the step stops."""
    folders: RunFolders = RunFolders()

    def __post_init__(self):
        require(0 <= self.max_reject_share <= 1, "max_reject_share", self.max_reject_share, "between 0 and 1")


@dataclass(frozen=True)
class Losses:
    """The two losses of SimBERT."""

    seq2seq_weight: float = 1.0
    """Weight of the cross-entropy of the second text."""
    similarity_weight: float = 1.0
    """Weight of the in-batch similarity."""
    scale: float = 30.0
    """Inverse temperature of the similarity; typical values are 20 to 30."""

    def __post_init__(self):
        for name in ("seq2seq_weight", "similarity_weight"):
            require(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")
        weights = (self.seq2seq_weight, self.similarity_weight)
        if not any(weights):
            raise KerasrecError("all losses have the weight 0: give at least one a weight above 0")
        require(self.scale > 0, "scale", self.scale, "above 0")


@dataclass(frozen=True)
class FineTuningSettings(OptimizerSettings):
    """How weights are updated."""

    learning_rate: float | None = None
    """Highest learning rate, reached at the end of the warm-up; by default 2e-5 for pretrained weights and 5e-4 for
    random weights."""

    def __post_init__(self):
        self.with_default_rate(1.0)  # checks the values

    def with_default_rate(self, learning_rate: float) -> OptimizerSettings:
        """The settings with this learning rate, if none was given."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        if self.learning_rate is None:
            values["learning_rate"] = learning_rate
        return OptimizerSettings(**values)


@dataclass(frozen=True)
class Train:
    """Train from pretrained or random weights, or resume from the last checkpoint."""

    name: Positional[str]
    """Name of the run."""
    pretrained: Path | None = None
    """A pretrained BERT: Google's checkpoint or a Hugging Face folder. Without it, training starts from random
    weights."""
    config_file: Path | None = None
    """bert_config.json with the shape of a model that starts from random weights; by default 2 layers of width 128."""
    epochs: int = 5
    """Passes over the groups; in a pass each group gives one pair of its texts. Random weights need more, say 50."""
    batch_size: int = 64
    """Groups per step; each gives two rows. Larger batches compare a text with more others."""
    max_length: int = 64
    """Longest row, of two texts, in tokens; the longer text is cut first."""
    threshold: float = 0.8
    """The fixed threshold of the cosine in the figures."""
    seed: int = 12345
    """Seed of random weights, of the pairs and of their order."""
    losses: Losses = Losses()
    optimizer: FineTuningSettings = FineTuningSettings()
    loop: LoopSettings = LoopSettings()
    devices: DeviceSettings = DeviceSettings()
    folders: RunFolders = RunFolders()

    def __post_init__(self):
        require(self.epochs >= 0, "epochs", self.epochs, "0 or more")
        require(self.batch_size >= 1, "batch_size", self.batch_size, "at least 1")
        require(self.max_length >= 5, "max_length", self.max_length, "at least 5: [CLS] a [SEP] b [SEP]")
        require(-1 <= self.threshold <= 1, "threshold", self.threshold, "between -1 and 1")
        require_seed(self.seed)


@dataclass(frozen=True)
class Evaluate:
    """Evaluate the best model on the labelled pairs, next to the untrained model and the cosine of character counts."""

    name: Positional[str]
    """Name of the run."""
    folders: RunFolders = RunFolders()


@dataclass(frozen=True)
class Encode:
    """Write the vectors of texts, one text per line, to a .npy file: float32 [n, H], each of length 1."""

    name: Positional[str]
    """Name of the run."""
    texts: Path
    """A file with one text per line."""
    vectors: Path
    """The file to write."""
    folders: RunFolders = RunFolders()


@dataclass(frozen=True)
class Similar:
    """List the texts of a file that are most similar to a query."""

    name: Positional[str]
    """Name of the run."""
    texts: Path
    """A file with one text per line."""
    query: UseAppendAction[tuple[str, ...]]
    """A text; repeat the option for several queries."""
    vectors: Path | None = None
    """The vectors of the file, from `encode`; without them the texts are encoded now."""
    k: int = 10
    """Length of the list."""
    folders: RunFolders = RunFolders()

    def __post_init__(self):
        require(self.k >= 1, "k", self.k, "at least 1")


@dataclass(frozen=True)
class Sampling:
    """How paraphrases are written (nucleus sampling, https://arxiv.org/abs/1904.09751)."""

    samples: int = 100
    """Number of paraphrases to write; the best of them are shown."""
    top_p: float = 0.95
    """Each token is drawn from the most likely tokens that have this probability together; less is more careful."""
    max_length: int = 32
    """Longest paraphrase, in tokens."""
    seed: int = 12345
    """Seed of the draws."""

    def __post_init__(self):
        for name in ("samples", "max_length"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        require(0 < self.top_p <= 1, "top_p", self.top_p, "above 0 and at most 1")
        require_seed(self.seed)


@dataclass(frozen=True)
class Generate:
    """Write paraphrases of a text, the most similar first."""

    name: Positional[str]
    """Name of the run."""
    text: str
    """The text."""
    k: int = 20
    """Number of paraphrases in the list."""
    sampling: Sampling = Sampling()
    folders: RunFolders = RunFolders()

    def __post_init__(self):
        require(self.k >= 1, "k", self.k, "at least 1")


@dataclass(frozen=True)
class Export:
    """Write the best model as a SavedModel that takes raw strings."""

    name: Positional[str]
    """Name of the run."""
    folders: RunFolders = RunFolders()
