"""The settings of the siamese BERT: one frozen dataclass for each step; imports no TensorFlow."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional, UseAppendAction

from kerasrec.errors import KerasrecError, require, require_seed
from kerasrec.training.settings import DeviceSettings, LoopSettings, OptimizerSettings
from kerasrec.workspace.run_folders import RunFolders


@dataclass(frozen=True)
class Prepare:
    """Texts that mean the same, and labelled pairs to judge by, into token ids."""

    name: Positional[str]
    """Name of the run; its folders are data/NAME, output/NAME and export/NAME."""
    train_file: Path
    """Groups of texts that mean the same: {id: [text, ...]}, or SimBERT's {"text": ..., "synonyms": [...]} records."""
    vocab_file: Path
    """vocab.txt or tokenizer.json of the checkpoint that training starts from, or its folder."""
    valid_file: Path | None = None
    """Pairs, `text1 TAB text2 TAB label`, that choose the best model and the best threshold. This file and copies of it
    are left out of the training files."""
    test_file: Path | None = None
    """Pairs for `evaluate` only; left out of the training and the valid files."""
    lower_case: Annotated[bool, tyro.conf.arg(help="The vocabulary is cased.", help_behavior_hint="")] = True
    """Whether the vocabulary is lower-cased; tokenizer.json or tokenizer_config.json in its folder overrides this."""
    simplified: Annotated[
        bool, tyro.conf.arg(help="Keep tokens that cannot occur in a text.", help_behavior_hint="")
    ] = True
    """Whether tokens that cannot occur in a text are left out."""
    max_reject_share: float = 0.01
    """The step stops when a larger share of a file's rows is bad."""
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
    """Inverse temperature of the similarity."""

    def __post_init__(self):
        for name in ("seq2seq_weight", "similarity_weight"):
            require(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")
        weights = (self.seq2seq_weight, self.similarity_weight)
        if not any(weights):
            raise KerasrecError("all losses have the weight 0: give at least one a weight above 0")
        require(self.scale > 0, "scale", self.scale, "above 0")


@dataclass(frozen=True)
class Train:
    """Train from pretrained or random weights, or on from the last checkpoint."""

    name: Positional[str]
    """Name of the run."""
    pretrained: Path | None = None
    """A pretrained BERT: Google's checkpoint or a Hugging Face folder."""
    config_file: Path | None = None
    """bert_config.json of a model that starts from random weights instead."""
    epochs: int = 5
    """Passes over the groups; each gives a pair of different texts a pass."""
    batch_size: int = 64
    """Groups a step; each gives two rows."""
    max_length: int = 64
    """Longest row, of two texts, in tokens; the longer text is cut first."""
    threshold: float = 0.8
    """The fixed threshold of the cosine."""
    seed: int = 12345
    """Of fresh weights, the pairs and their order."""
    losses: Losses = Losses()
    optimizer: OptimizerSettings = OptimizerSettings(learning_rate=2e-5)
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
    """Evaluate the best model on the labelled pairs, beside the untrained one and the cosine of characters."""

    name: Positional[str]
    """Name of the run."""
    folders: RunFolders = RunFolders()


@dataclass(frozen=True)
class Encode:
    """Vectors of texts, one a line, into a .npy file: float32 [n, H] of length 1."""

    name: Positional[str]
    """Name of the run."""
    texts: Path
    """A file with a text a line."""
    vectors: Path
    """The file to write."""
    folders: RunFolders = RunFolders()


@dataclass(frozen=True)
class Similar:
    """The texts of a file that are most similar to a query."""

    name: Positional[str]
    """Name of the run."""
    texts: Path
    """A file with a text a line."""
    query: UseAppendAction[tuple[str, ...]]
    """A text; say it once for each query."""
    vectors: Path | None = None
    """The vectors of the file, from `encode`; without them they are made now."""
    k: int = 10
    """Length of the list."""
    folders: RunFolders = RunFolders()

    def __post_init__(self):
        require(self.k >= 1, "k", self.k, "at least 1")


@dataclass(frozen=True)
class Generate:
    """Write paraphrases of a text by nucleus sampling, the most similar first."""

    name: Positional[str]
    """Name of the run."""
    text: str
    """The text."""
    samples: int = 100
    """How many are drawn."""
    k: int = 20
    """How many are shown."""
    top_p: float = 0.95
    """Each token is drawn from the fewest that have this much of the probability together."""
    max_length: int = 32
    """Longest paraphrase, in tokens."""
    seed: int = 12345
    """Of the draws."""
    folders: RunFolders = RunFolders()

    def __post_init__(self):
        for name in ("samples", "k", "max_length"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        require(0 < self.top_p <= 1, "top_p", self.top_p, "above 0 and at most 1")


@dataclass(frozen=True)
class Export:
    """Write the best model as a SavedModel that takes raw strings."""

    name: Positional[str]
    """Name of the run."""
    folders: RunFolders = RunFolders()
