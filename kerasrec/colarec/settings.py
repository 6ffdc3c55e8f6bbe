"""The settings of ColaRec: one frozen dataclass for each step; imports no TensorFlow."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import tyro
from tyro.conf import Positional, UseAppendAction

from kerasrec.choices import require_choices
from kerasrec.data.inputs.times import TimeUnit
from kerasrec.data.items.settings import BatchSettings, MaskingRules
from kerasrec.data.logs.seen_items import SeenItems
from kerasrec.errors import KerasrecError, require, require_seed
from kerasrec.nn.settings import ItemModelSettings, T5Config
from kerasrec.training.settings import DeviceSettings, LoopSettings, OptimizerSettings
from kerasrec.workspace.run_folders import RunFolders

TRAINS = "kerasrec colarec train"
"""The command that trains, as in `config.json` and in messages."""

LONGEST_LIST = 20
"""Length of the lists in evaluations; a beam search needs at least as many candidates."""

Formulation = Literal["code", "paper"]
Checkpoint = Literal["best", "latest"]
History = Literal["latest", "random"]
Preset = Literal["long", "mlshort", "micshort", "short"]


class Lengths(NamedTuple):
    """The lengths of the encoder's rows."""

    items: int
    """Most items of a history."""
    tokens: int
    """Longest row, the task token and the end token included."""
    item_tokens: int
    """Most tokens per item, its atomic id included."""
    sampled_items: int
    """Items that are drawn from a history for a training row."""


LENGTHS: dict[Preset, Lengths] = {
    "long": Lengths(40, 500, 50, 30),
    "mlshort": Lengths(40, 256, 30, 20),
    "micshort": Lengths(20, 256, 35, 15),
    "short": Lengths(20, 256, 30, 10),
}


@dataclass(frozen=True)
class Prepare(SeenItems):
    """Read interactions and item texts; number the users and items; tokenise the texts."""

    name: Positional[str]
    """Name of the run; its folders are data/NAME, output/NAME and export/NAME."""
    interactions: Path
    """A CSV file with the columns user_id, item_id and time, a folder of such files, or a glob; plain or compressed.
    The files of `valid` and `test`, and copies of them, are left out."""
    corpus: Path
    """A JSON file {item_id: {"content": text}}; an item can also have ready codes, "cid": [code, ...]."""
    valid: Path | None = None
    """CSV with the columns user_id and item_id, a file or a folder: the targets that choose the best model. Without
    `valid` and `test`, the last two events of each user with three events or more become a valid and a test target."""
    test: Path | None = None
    """Targets of the final evaluation, in the same form."""
    time_unit: TimeUnit = "auto"
    """The unit of numbers in the column of times: s, ms, us or ns since 1970, or date for digits such as 20210419; auto
    detects it by their size. ISO 8601 times are always read."""
    tokenizer: Path | None = None
    """The spiece.model of a pretrained T5; by default a tokenizer is trained on the corpus."""
    text_tokens: int = 8000
    """Most tokens of a tokenizer that is trained on the corpus."""
    cold_share: float = 0.0
    """Share of the items that are left out of all training, say 0.05; their events become the targets of the split
    `cold`."""
    max_reject_share: float = 0.01
    """Largest share of bad rows; above it the step stops."""
    seed: int = 12345
    """Seed for the choice of cold items."""
    folders: RunFolders = RunFolders()

    def __post_init__(self):
        super().__post_init__()
        if (self.valid is None) != (self.test is None):
            given, missing = ("--test", "--valid") if self.valid is None else ("--valid", "--test")
            raise KerasrecError(f"{given} is given and {missing} is not: give both files of targets, or neither")
        require(self.text_tokens >= 16, "text_tokens", self.text_tokens, "at least 16")
        require(0 <= self.cold_share < 1, "cold_share", self.cold_share, "from 0 to below 1")
        require(0 <= self.max_reject_share <= 1, "max_reject_share", self.max_reject_share, "between 0 and 1")
        require_seed(self.seed)


@dataclass(frozen=True)
class GraphSettings:
    """LightGCN and its training."""

    size: int = 64
    """Length of the embeddings of users and items."""
    propagations: int = 3
    """Layers K; 0 is matrix factorisation, whose embeddings are stored next to those of LightGCN."""
    regularization: float = 1e-4
    """Weight of the squared norm of the initial embeddings."""
    learning_rate: float = 1e-3
    """Learning rate of Adam."""
    batch_size: int = 2048
    """Interactions per step."""
    epochs: int = 200
    """Most passes over the interactions."""
    evaluate_every: int = 5
    """Passes between two evaluations on the valid split."""
    patience: int = 5
    """End after this many evaluations without a gain."""

    def __post_init__(self):
        require(self.size >= 1, "size", self.size, "at least 1")
        require(self.propagations >= 0, "propagations", self.propagations, "0 or more")
        require(self.regularization >= 0, "regularization", self.regularization, "0 or more")
        require(self.learning_rate > 0, "learning_rate", self.learning_rate, "above 0")
        for name in ("batch_size", "epochs", "evaluate_every", "patience"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")


@dataclass(frozen=True)
class LightGcn:
    """Train LightGCN on the graph of users and items or, without propagations, matrix factorisation (BPR-MF); rank the
    targets."""

    name: Positional[str]
    """Name of the run."""
    graph: GraphSettings = GraphSettings()
    valid_users: int = 10_000
    """Number of users whose valid targets choose the best embeddings, spread evenly over all users."""
    split: Literal["valid", "test"] = "valid"
    """The targets that are ranked after the training; use test when all settings are chosen."""
    seed: int = 12345
    """Seed of the embeddings, the order and the negatives."""
    folders: RunFolders = RunFolders()

    def __post_init__(self):
        require(self.valid_users >= 1, "valid_users", self.valid_users, "at least 1")
        require_choices(self)
        require_seed(self.seed)


@dataclass(frozen=True)
class CodeSettings:
    """The form of the identifiers."""

    source: Literal["graph", "content", "random", "ready"] = "graph"
    """Which items share the first codes. graph: items with similar LightGCN embeddings; content: items with similar
    texts; random: random items; ready: the codes of the corpus."""
    length: int = 3
    """Codes per item, l."""
    codes: int | None = None
    """Codes per level, K; by default so many that there are about three times as many sequences as items."""

    def __post_init__(self):
        require(self.length >= 2, "length", self.length, "at least 2")
        require(self.codes is None or self.codes >= 2, "codes", self.codes, "at least 2")
        require_choices(self)


@dataclass(frozen=True)
class Identifiers:
    """Give each item its own sequence of codes."""

    name: Positional[str]
    """Name of the run."""
    identifiers: CodeSettings = CodeSettings()
    seed: int = 12345
    """Seed of the clusters."""
    folders: RunFolders = RunFolders()

    def __post_init__(self):
        require_seed(self.seed)


@dataclass(frozen=True)
class ItemRecall:
    """Train the package's item recall on the same interactions, for comparison with ColaRec.

    If seen items are filtered, unique_items is always on; if they are kept, unique_items is refused.
    """

    name: Positional[str]
    """Name of the run."""
    model: ItemModelSettings = ItemModelSettings(dropout=0.3)
    max_seq_length: int = 50
    """Longest row; a longer history becomes several rows."""
    masking: MaskingRules = MaskingRules(masked_lm_prob=0.3, max_predictions_per_seq=20)
    batches: BatchSettings = BatchSettings(batch_size=128, last_item_prob=0.3)
    epochs: int = 60
    """Passes over the histories."""
    seed: int = 12345
    """Seed of the weights, the order and the masks."""
    optimizer: OptimizerSettings = OptimizerSettings()
    loop: LoopSettings = LoopSettings(evaluate_every=5)
    folders: RunFolders = RunFolders()

    def __post_init__(self):
        require(self.epochs >= 0, "epochs", self.epochs, "0 or more")
        require_seed(self.seed)


@dataclass(frozen=True)
class Losses:
    """Weights of the losses; the defaults are those of the authors' code."""

    recommendation_weight: float = 0.08
    """Weight of L_rec: predict the codes of the item from the user's row."""
    index_weight: float = 0.08
    """Weight of L_index: predict the codes of an item from the item's own row, for the item and the negative item."""
    ranking_weight: float = 1.0
    """Weight of L_bpr: the user's state is more similar to the item's state than to the negative item's."""
    contrastive_weight: float = 0.1
    """Weight of L_c: the item's state is more similar to the state of a similar item than to the negative item's."""

    def __post_init__(self):
        weights = {name: getattr(self, name) for name in self.__dataclass_fields__}
        for name, weight in weights.items():
            require(weight >= 0, name, weight, "0 or more")
        require(
            self.recommendation_weight > 0,
            "recommendation_weight",
            self.recommendation_weight,
            "above 0: only this loss trains the decoder to recommend",
        )


@dataclass(frozen=True)
class RowSettings:
    """The rows that the encoder reads."""

    preset: Preset = "short"
    """Most items per history, tokens per row and tokens per item, and items drawn for a training row: long 40, 500, 50
    and 30; mlshort 40, 256, 30 and 20; micshort 20, 256, 35 and 15; short 20, 256, 30 and 10."""
    sampled_users: int = 1
    """Users in the row of an item."""
    content: Annotated[
        bool, tyro.conf.arg(help="Do not read texts: a row has only the atomic ids of items.", help_behavior_hint="")
    ] = True
    """Whether texts are read; without them a row has only the atomic ids of items."""
    item_positions: bool = False
    """Whether positions within an item have their own embeddings, in addition to T5's relative positions."""

    def __post_init__(self):
        require_choices(self)
        require(self.sampled_users >= 0, "sampled_users", self.sampled_users, "0 or more")

    @property
    def lengths(self) -> Lengths:
        """The lengths of the preset."""
        return LENGTHS[self.preset]


@dataclass(frozen=True)
class Train:
    """Train ColaRec from random weights or a pretrained T5, or resume from the last checkpoint."""

    name: Positional[str]
    """Name of the run; it must have identifiers."""
    pretrained: Path | None = None
    """A Hugging Face folder of a T5; `prepare` needs its tokenizer."""
    model: T5Config = T5Config()
    """Shape of a model that starts from random weights."""
    formulation: Formulation = "code"
    """The authors' code and their paper differ. code: one output layer per code position, and the mean loss over the
    codes; paper: the code embeddings are the output layers, and losses are summed over the codes."""
    rows: RowSettings = RowSettings()
    losses: Losses = Losses()
    tables: Literal["fresh", "graph"] = "fresh"
    """Initial embeddings of items and users: fresh random numbers, or the embeddings of LightGCN."""
    augmentation: Path | None = None
    """A JSON file {item_id: {"sec": [item_id, ...]}} with the similar items of each item; by default items that share
    all codes but the last are similar."""
    epochs: int = 20
    """Passes over the interactions."""
    batch_size: int = 128
    """Interactions per step."""
    beam: int = 50
    """Candidates of the beam search, for the evaluations in training."""
    valid_users: int = 2000
    """Number of users whose valid targets choose the best checkpoint, spread evenly over all users; 0 trains without
    evaluations."""
    seed: int = 12345
    """Seed of random weights, the order and all draws."""
    optimizer: OptimizerSettings = OptimizerSettings(learning_rate=5e-4, schedule="constant", clip_norm=1.0)
    loop: LoopSettings = LoopSettings()
    devices: DeviceSettings = DeviceSettings()
    folders: RunFolders = RunFolders()

    def __post_init__(self):
        require_choices(self)
        require(self.epochs >= 0, "epochs", self.epochs, "0 or more")
        require(self.batch_size >= 1, "batch_size", self.batch_size, "at least 1")
        _require_beam(self.beam)
        require(self.valid_users >= 0, "valid_users", self.valid_users, "0 or more")
        require_seed(self.seed)


@dataclass(frozen=True)
class Evaluate:
    """Rank the targets of a split with ColaRec, popularity and the other trained models of the run."""

    name: Positional[str]
    """Name of the run."""
    split: Literal["valid", "test", "cold"] = "test"
    """The targets."""
    beam: int = 50
    """Candidates of the beam search."""
    history: History = "latest"
    """The items of a user that the model reads: the latest ones, newest first, or as many random ones as in
    training."""
    checkpoint: Checkpoint = "best"
    """The state of the model."""
    folders: RunFolders = RunFolders()

    def __post_init__(self):
        _require_beam(self.beam)
        require_choices(self)


@dataclass(frozen=True)
class Export:
    """Write the best model as a SavedModel: raw item ids in, raw item ids and scores out."""

    name: Positional[str]
    """Name of the run."""
    beam: int = 50
    """Candidates of the beam search, and length of the lists."""
    checkpoint: Checkpoint = "best"
    """The state of the model."""
    folders: RunFolders = RunFolders()

    def __post_init__(self):
        require(self.beam >= 1, "beam", self.beam, "at least 1")
        require_choices(self)


@dataclass(frozen=True)
class Recommend:
    """Recommend items with the exported model, and explain their codes."""

    name: Positional[str]
    """Name of the run."""
    items: UseAppendAction[tuple[str, ...]] = field(default=())
    """An item of the history, oldest first; repeat the option for each item."""
    user: str | None = None
    """A raw user id; the training history of the user is used instead of --items."""
    k: int = 10
    """Length of the list, at most the export's beam."""
    folders: RunFolders = RunFolders()

    def __post_init__(self):
        require(self.k >= 1, "k", self.k, "at least 1")


def _require_beam(beam: int) -> None:
    require(beam >= LONGEST_LIST, "beam", beam, f"at least {LONGEST_LIST}, the length of the lists in evaluations")
