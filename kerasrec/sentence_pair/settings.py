"""The settings of the two-sentence model: one frozen dataclass for each step; imports no TensorFlow."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kerasrec.errors import KerasrecError, require, require_seed
from kerasrec.workspace.run_folders import require_model_folder


@dataclass(frozen=True)
class Objective:
    """What is learned from a pair."""

    loss: Literal["softmax", "cosine", "cosent", "ranking"] = "softmax"
    """softmax: its class. cosine: its score, as the cosine. cosent: the order of the cosines is that of the labels.
    ranking: of all second sides in the batch, the pair's own, where the label is above 0."""
    num_labels: int = 2
    """Number of classes, N; labels are 0 to N - 1, or N other numbers or words, which are sorted and stored."""
    highest_score: float = 5.0
    """The score that asks for a cosine of 1 (--loss cosine)."""
    dropout: float = 0.3
    """Share of the features before the classifier that is dropped in training."""
    reduce_dim: int | None = None
    """Width of a tanh layer before the classifier; left out by default."""

    def __post_init__(self):
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
    """Train on labelled pairs from pretrained or random weights, or on from the last checkpoint; predict."""

    output_dir: Path
    """Where checkpoints, figures and curves go."""
    bert_model: Path | None = None
    """A pretrained BERT: Google's checkpoint folder or a Hugging Face folder."""
    init_checkpoint: Path | None = None
    """Its weights alone: a file, or the prefix of a TensorFlow checkpoint."""
    bert_config_file: Path | None = None
    """Its shape, where it does not lie beside the weights; without weights, training starts from random ones."""
    vocab_file: Path | None = None
    """Its vocabulary, where it does not lie beside the weights."""
    do_lower_case: bool = False
    """The vocabulary is lower-cased; not needed if its tokenizer.json or tokenizer_config.json says so."""
    train_file: Path | None = None
    """Pairs to train on: a file or a folder of `side A TAB side B TAB label [TAB name]`, a side being one sentence or
    several joined by `||`; or a CSV file or JSON lines with names such as sentence1, sentence2 and label."""
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
    """Longest sentence in tokens, [CLS] and [SEP] included."""
    top_n: int | None = None
    """Only the first so many sentences of a side."""
    train_batch_size: int = 32
    """Pairs a step."""
    eval_batch_size: int = 64
    """Pairs at a time when nothing is learned."""
    learning_rate: float = 5e-5
    """Highest learning rate."""
    num_train_epochs: float = 3
    """Passes over the pairs; a whole number, which may be written as 3.0."""
    warmup_proportion: float = 0.1
    """Share of the steps over which the learning rate rises; it falls to 0 over the rest."""
    gradient_accumulation_steps: int = 1
    """Slices in which a batch goes through the model, for the memory of one of them."""
    save_checkpoints_steps: int = 1000
    """Steps between two checkpoints; there is one at the end of each pass, too."""
    no_cuda: bool = False
    """Train on the CPU even if there are GPUs."""
    fp16: bool = False
    """Products in float16, for cards."""
    bf16: bool = False
    """Products in bfloat16, for processors and newer cards."""
    seed: int = 42
    """Of fresh weights and of the order of the pairs."""
    max_reject_share: float = 0.01
    """Training stops when a larger share of a file's rows is bad."""
    objective: Objective = Objective()

    def __post_init__(self):
        for name in ("train_batch_size", "eval_batch_size", "gradient_accumulation_steps", "save_checkpoints_steps"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        require(self.max_seq_length >= 3, "max_seq_length", self.max_seq_length, "at least 3: [CLS] word [SEP]")
        require(self.top_n is None or self.top_n >= 1, "top_n", self.top_n, "at least 1")
        require(self.learning_rate > 0, "learning_rate", self.learning_rate, "above 0")
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
            raise KerasrecError("neither --do_train nor --do_predict is given: say what to do")
        if self.fp16 and self.bf16:
            raise KerasrecError("--fp16 and --bf16 are both given: take one")


@dataclass(frozen=True)
class Evaluate:
    """Evaluate the best model on labelled pairs; compare it with the untrained model, the majority and characters."""

    output_dir: Path
    """The trained model's folder."""
    eval_file: Path
    """The pairs."""
    eval_batch_size: int = 64
    """Pairs at a time."""
    max_reject_share: float = 0.01
    """Largest share of rows that may be bad; above it the step stops."""


@dataclass(frozen=True)
class Predict:
    """Classes and probabilities of pairs as CSV, and accuracy and F1 where labels are there."""

    output_dir: Path
    """The trained model's folder."""
    predict_file: Path
    """The pairs, with labels or without."""
    result_file: Path
    """The CSV file to write."""
    eval_batch_size: int = 64
    """Pairs at a time."""


@dataclass(frozen=True)
class Encode:
    """Vectors of sentences, one a line, into a .npy file: float32 [n, H] of length 1."""

    output_dir: Path
    """The trained model's folder, or that of a pretrained BERT; its vectors are the mean of the token vectors."""
    texts: Path
    """A file with a sentence a line."""
    vectors: Path
    """The file to write."""


@dataclass(frozen=True)
class Export:
    """Write the best model as a SavedModel that takes raw strings."""

    output_dir: Path
    """The trained model's folder."""
    export_path: Path
    """The folder of versions."""

    def __post_init__(self):
        require_model_folder("export_path", self.export_path)
