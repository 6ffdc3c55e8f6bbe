"""The settings of the two-sentence model: one frozen dataclass for each step; imports no TensorFlow."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kerasrec.choices import require_choices
from kerasrec.errors import KerasrecError, require, require_seed
from kerasrec.workspace.run_folders import require_model_folder

TRAINS = "kerasrec sentence-pair train"
"""The command that trains, as in `config.json` and in messages."""


@dataclass(frozen=True)
class Objective:
    """What the model learns from a pair."""

    loss: Literal["softmax", "cosine", "cosent", "ranking"] = "softmax"
    """softmax: the class of the pair. cosine: its score, as the cosine of its sides. cosent: pairs with higher labels
    have higher cosines. ranking: for pairs with a label above 0, the right second side among all second sides of the
    batch."""
    num_labels: int = 2
    """Number of classes, N; labels are 0 to N - 1, or N other numbers or words, which are sorted and stored."""
    highest_score: float = 5.0
    """With --loss cosine: the label that means a cosine of 1; 5 for STS benchmarks."""
    dropout: float = 0.3
    """Share of the features before the classifier that is dropped in training; 0.1 to 0.5."""
    reduce_dim: int | None = None
    """Width of a tanh layer before the classifier; by default there is no such layer."""

    def __post_init__(self):
        require_choices(self)
        require(self.num_labels >= 2, "num_labels", self.num_labels, "at least 2")
        require(self.highest_score > 0, "highest_score", self.highest_score, "above 0")
        require(0 <= self.dropout < 1, "dropout", self.dropout, "from 0 to below 1")
        require(self.reduce_dim is None or self.reduce_dim >= 1, "reduce_dim", self.reduce_dim, "at least 1")

    @property
    def compares_pairs(self) -> bool:
        """Whether the loss compares the pairs of a batch with each other."""
        return self.loss in ("cosent", "ranking")


@dataclass(frozen=True)
class Train:
    """Train on labelled pairs from pretrained or random weights, or resume from the last checkpoint; predict."""

    output_dir: Path
    """Folder for checkpoints, figures and curves."""
    bert_model: Path | None = None
    """A pretrained BERT: Google's checkpoint folder or a Hugging Face folder. Without it and init_checkpoint, training
    starts from random weights."""
    init_checkpoint: Path | None = None
    """Only the weights of a pretrained BERT: a file, or the prefix of a TensorFlow checkpoint."""
    bert_config_file: Path | None = None
    """bert_config.json: the shape of the pretrained BERT, if it is not in the folder of the weights; or the shape for
    random weights, by default 2 layers of width 128."""
    vocab_file: Path | None = None
    """The vocabulary of the pretrained BERT, if it is not in the folder of the weights. For random weights, the
    vocabulary is learned from the training pairs by default."""
    do_lower_case: bool = False
    """Lower-case the texts; not needed if tokenizer.json or tokenizer_config.json of the vocabulary says so."""
    train_file: Path | None = None
    """Pairs to train on: a file or a folder of `side A TAB side B TAB label [TAB name]`, where a side is one sentence
    or several joined by `||`; or a CSV file or JSON lines with names such as sentence1, sentence2 and label."""
    eval_file: Path | None = None
    """Pairs that are evaluated after each pass, and choose the best model. This file and copies of it are left out of
    the training files."""
    predict_file: Path | None = None
    """Pairs to predict, with labels or without; left out of the training files, like eval_file."""
    result_file: Path | None = None
    """The CSV file of the predictions; by default predictions.csv in output_dir."""
    do_train: bool = False
    """Train."""
    do_predict: bool = False
    """Predict with the best model."""
    max_seq_length: int = 200
    """Longest sentence in tokens, [CLS] and [SEP] included; 64 is enough for short questions."""
    top_n: int | None = None
    """Read only the first sentences of a side, this many."""
    train_batch_size: int = 32
    """Pairs per step."""
    eval_batch_size: int = 64
    """Pairs per batch in evaluation and prediction."""
    learning_rate: float | None = None
    """Highest learning rate; by default 5e-5 for pretrained and 5e-4 for random weights."""
    num_train_epochs: float = 3
    """Passes over the pairs; a whole number, which may be written as 3.0. Random weights need more, say 15."""
    warmup_proportion: float = 0.1
    """Share of the steps in which the learning rate rises; it falls to 0 over the other steps."""
    gradient_accumulation_steps: int = 1
    """Slices of a batch that are computed one after the other, for the memory of one slice."""
    save_checkpoints_steps: int = 1000
    """Steps between two checkpoints; there is also one at the end of each pass."""
    no_cuda: bool = False
    """Train on the CPU even if there are GPUs."""
    fp16: bool = False
    """Compute products in float16, for GPUs."""
    bf16: bool = False
    """Compute products in bfloat16, for CPUs and newer GPUs."""
    seed: int = 42
    """Seed of random weights and of the order of the pairs."""
    max_reject_share: float = 0.01
    """Largest share of bad rows in a file; above it the training stops."""
    objective: Objective = Objective()

    def __post_init__(self):
        for name in ("train_batch_size", "eval_batch_size", "gradient_accumulation_steps", "save_checkpoints_steps"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        require(self.max_seq_length >= 3, "max_seq_length", self.max_seq_length, "at least 3: [CLS] word [SEP]")
        require(self.top_n is None or self.top_n >= 1, "top_n", self.top_n, "at least 1")
        rate = self.learning_rate
        require(rate is None or rate > 0, "learning_rate", rate, "above 0")
        epochs = self.num_train_epochs
        require(epochs >= 0 and epochs % 1 == 0, "num_train_epochs", epochs, "a whole number, 0 or more")
        object.__setattr__(self, "num_train_epochs", int(epochs))
        require(0 <= self.warmup_proportion <= 1, "warmup_proportion", self.warmup_proportion, "between 0 and 1")
        require(0 <= self.max_reject_share <= 1, "max_reject_share", self.max_reject_share, "between 0 and 1")
        require_seed(self.seed)
        require_model_folder("output_dir", self.output_dir)
        for name, file in (("do_train", "train_file"), ("do_predict", "predict_file")):
            if getattr(self, name) and getattr(self, file) is None:
                raise KerasrecError(f"--{name} needs --{file}")
        if not (self.do_train or self.do_predict):
            raise KerasrecError("neither --do_train nor --do_predict is given: give one of them, or both")
        if self.fp16 and self.bf16:
            raise KerasrecError("--fp16 and --bf16 are both given: give one of them")


@dataclass(frozen=True)
class Evaluate:
    """Evaluate the best model on labelled pairs, next to the untrained model, the majority class and character
    counts."""

    output_dir: Path
    """The folder of the trained model."""
    eval_file: Path
    """The pairs."""
    eval_batch_size: int = 64
    """Pairs per batch."""
    max_reject_share: float = 0.01
    """Largest share of bad rows; above it the step stops."""


@dataclass(frozen=True)
class Predict:
    """Write the classes and probabilities of pairs, or their cosines, to a CSV file; print figures if there are
    labels."""

    output_dir: Path
    """The folder of the trained model."""
    predict_file: Path
    """The pairs, with labels or without."""
    result_file: Path
    """The CSV file to write."""
    eval_batch_size: int = 64
    """Pairs per batch."""


@dataclass(frozen=True)
class Encode:
    """Write the vectors of sentences, one sentence per line, to a .npy file: float32 [n, H], each of length 1."""

    output_dir: Path
    """The folder of the trained model, or of a pretrained BERT, whose vectors are the mean of the token vectors."""
    texts: Path
    """A file with one sentence per line."""
    vectors: Path
    """The file to write."""


@dataclass(frozen=True)
class Export:
    """Write the best model as a SavedModel that takes raw strings."""

    output_dir: Path
    """The folder of the trained model."""
    export_path: Path
    """The folder of versions."""

    def __post_init__(self):
        require_model_folder("export_path", self.export_path)
