"""The settings of ColaRec: one frozen dataclass for each step; imports no TensorFlow."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import tyro
from tyro.conf import Positional, UseAppendAction

from kerasrec.data.inputs.times import TimeUnit
from kerasrec.data.items.settings import BatchSettings, MaskingRules
from kerasrec.data.logs.seen_items import SeenItems
from kerasrec.errors import KerasrecError, require, require_seed
from kerasrec.nn.settings import ItemModelSettings, T5Config
from kerasrec.training.settings import DeviceSettings, LoopSettings, OptimizerSettings
from kerasrec.workspace.run_folders import RunFolders


class Lengths(NamedTuple):
    """How much of a user and of an item the encoder is given."""

    items: int
    """Most items of a history."""
    tokens: int
    """Longest row, the task token and the end token included."""
    item_tokens: int
    """Most tokens an item, its atomic id included."""
    sampled_items: int
    """Items that are drawn from a history for a row of training."""


LENGTHS = {
    "long": Lengths(40, 500, 50, 30),
    "mlshort": Lengths(40, 256, 30, 20),
    "micshort": Lengths(20, 256, 35, 15),
    "short": Lengths(20, 256, 30, 10),
}


@dataclass(frozen=True)
class Prepare(SeenItems):
    """Interactions and item texts into numbered users, items and tokens."""

    name: Positional[str]
    """Name of the run; its folders are data/NAME, output/NAME and export/NAME."""
    interactions: Path
    """A CSV file with the columns user_id, item_id and time, a folder of such files, or a glob; plain or compressed.
    The files of `valid` and `test`, and copies of them, are left out."""
    corpus: Path
    """A JSON file {item_id: {"content": text, "cid": [code, ...] if there are ready ones}}."""
    valid: Path | None = None
    """CSV with the columns user_id and item_id, a file or a folder: the targets that choose the best model. Without it
    and without `test`, the last two events of users with three or more become a valid and a test target."""
    test: Path | None = None
    """The same for what is to be found at the end."""
    time_unit: TimeUnit = "auto"
    """The unit of numbers in the column of times: s, ms, us or ns since 1970, or date for digits such as 20210419; auto
    detects it by their size. ISO 8601 times are always read."""
    tokenizer: Path | None = None
    """A spiece.model, as T5's folder has one; by default one is trained on the corpus."""
    text_tokens: int = 8000
    """Most tokens of one that is trained."""
    cold_share: float = 0.0
    """Share of the items that is held out of all training; their events become the targets of the split `cold`."""
    max_reject_share: float = 0.01
    """The step stops when a larger share of the rows is bad."""
    seed: int = 12345
    """Of the cold items."""
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
    """LightGCN and how it is trained."""

    size: int = 64
    """Length of a user's and an item's embedding."""
    propagations: int = 3
    """Layers K; 0 is matrix factorisation, which is kept beside LightGCN."""
    regularization: float = 1e-4
    """Weight of the squared norm of the initial embeddings."""
    learning_rate: float = 1e-3
    """Of Adam."""
    batch_size: int = 2048
    """Interactions a step."""
    epochs: int = 200
    """Most passes over the interactions."""
    evaluate_every: int = 5
    """Passes between two looks at the valid split."""
    patience: int = 5
    """End after so many looks without a gain."""

    def __post_init__(self):
        require(self.size >= 1, "size", self.size, "at least 1")
        require(self.propagations >= 0, "propagations", self.propagations, "0 or more")
        require(self.regularization >= 0, "regularization", self.regularization, "0 or more")
        require(self.learning_rate > 0, "learning_rate", self.learning_rate, "above 0")
        for name in ("batch_size", "epochs", "evaluate_every", "patience"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")


@dataclass(frozen=True)
class LightGcn:
    """Train LightGCN on the graph of users and items or, without propagations, matrix factorisation (BPR-MF); rank."""

    name: Positional[str]
    """Name of the run."""
    graph: GraphSettings = GraphSettings()
    valid_users: int = 10_000
    """Users whose valid targets choose the best embeddings, evenly over all."""
    split: Literal["valid", "test"] = "valid"
    """Whose targets are ranked in the end: test, once all else is chosen."""
    seed: int = 12345
    """Of the embeddings, the order and the negatives."""
    folders: RunFolders = RunFolders()

    def __post_init__(self):
        require(self.valid_users >= 1, "valid_users", self.valid_users, "at least 1")
        require(self.split in ("valid", "test"), "split", self.split, "valid or test")
        require_seed(self.seed)


@dataclass(frozen=True)
class CodeSettings:
    """The form of the identifiers."""

    source: Literal["graph", "content", "random", "ready"] = "graph"
    """What items share a prefix: those near in LightGCN's embeddings, those with similar texts, those that chance has
    put together, or what the corpus says."""
    length: int = 3
    """Codes an item, l."""
    codes: int | None = None
    """Codes a level, K: 1 to K; by default about as many as make three times as many sequences as there are items."""

    def __post_init__(self):
        require(self.length >= 2, "length", self.length, "at least 2")
        require(self.codes is None or self.codes >= 2, "codes", self.codes, "at least 2")
        known = ("graph", "content", "random", "ready")
        require(self.source in known, "source", self.source, f"one of {', '.join(known)}")


@dataclass(frozen=True)
class Identifiers:
    """Give every item its own sequence of codes."""

    name: Positional[str]
    """Name of the run."""
    identifiers: CodeSettings = CodeSettings()
    seed: int = 12345
    """Of the clusters."""
    folders: RunFolders = RunFolders()

    def __post_init__(self):
        require_seed(self.seed)


@dataclass(frozen=True)
class ItemRecall:
    """Train this package's item recall on the same interactions, to stand beside ColaRec.

    Where seen items are filtered, unique_items is always on; where they are kept, it is refused.
    """

    name: Positional[str]
    """Name of the run."""
    model: ItemModelSettings = ItemModelSettings(dropout=0.3)
    max_seq_length: int = 50
    """Longest row; longer histories become several."""
    masking: MaskingRules = MaskingRules(masked_lm_prob=0.3, max_predictions_per_seq=20)
    batches: BatchSettings = BatchSettings(batch_size=128, last_item_prob=0.3)
    epochs: int = 60
    """Passes over the histories."""
    seed: int = 12345
    """Of the weights, the order and the masks."""
    optimizer: OptimizerSettings = OptimizerSettings()
    loop: LoopSettings = LoopSettings(evaluate_every=5)
    folders: RunFolders = RunFolders()

    def __post_init__(self):
        require(self.epochs >= 0, "epochs", self.epochs, "0 or more")
        require_seed(self.seed)


@dataclass(frozen=True)
class Losses:
    """The losses and their weights, which are those of the authors' code."""

    recommendation_weight: float = 0.08
    """Weight of L_rec: a user's row into the codes of the item."""
    index_weight: float = 0.08
    """Weight of L_index: the rows of the item and of the negative one into their own codes."""
    ranking_weight: float = 1.0
    """Weight of L_bpr: the user's state is nearer to the item's than to the negative one's."""
    contrastive_weight: float = 0.1
    """Weight of L_c: an item's state is nearer to that of an item like it than to the negative one's."""

    def __post_init__(self):
        weights = {name: getattr(self, name) for name in self.__dataclass_fields__}
        for name, weight in weights.items():
            require(weight >= 0, name, weight, "0 or more")
        require(
            self.recommendation_weight > 0,
            "recommendation_weight",
            self.recommendation_weight,
            "above 0: nothing else teaches the decoder to recommend",
        )


@dataclass(frozen=True)
class RowSettings:
    """What the encoder is given of users and items."""

    preset: Literal["long", "mlshort", "micshort", "short"] = "short"
    """Most items of a history, tokens a row, tokens an item, and items drawn for a row of training: long 40, 500, 50
    and 30; mlshort 40, 256, 30 and 20; micshort 20, 256, 35 and 15; short 20, 256, 30 and 10."""
    sampled_users: int = 1
    """Users in the row of an item."""
    content: Annotated[
        bool, tyro.conf.arg(help="Do not read texts: an item is its atomic id.", help_behavior_hint="")
    ] = True
    """Whether texts are read; without them an item is its atomic id."""
    item_positions: bool = False
    """Whether folders within an item have embeddings of their own, beside T5's relative positions."""

    def __post_init__(self):
        require(self.preset in LENGTHS, "preset", self.preset, f"one of {', '.join(LENGTHS)}")
        require(self.sampled_users >= 0, "sampled_users", self.sampled_users, "0 or more")

    @property
    def lengths(self) -> Lengths:
        """The preset's numbers."""
        return LENGTHS[self.preset]


@dataclass(frozen=True)
class Train:
    """Train ColaRec, from random weights or those of a T5, or on from the last checkpoint."""

    name: Positional[str]
    """Name of the run, which has identifiers."""
    pretrained: Path | None = None
    """A Hugging Face folder of a T5, whose tokenizer `prepare` was given."""
    model: T5Config = T5Config()
    """Shape of a model that starts from random weights."""
    formulation: Literal["code", "paper"] = "code"
    """Where the authors' code and their paper differ: heads of their own and a mean over the codes, or the code
    embeddings as heads and a sum."""
    rows: RowSettings = RowSettings()
    losses: Losses = Losses()
    tables: Literal["fresh", "graph"] = "fresh"
    """What the embeddings of items and users start from: random numbers, or those of LightGCN."""
    augmentation: Path | None = None
    """A JSON file {item_id: {"sec": [item_id, ...]}} of the items that each is like; by default those that share all
    codes but the last."""
    epochs: int = 20
    """Passes over the interactions."""
    batch_size: int = 128
    """Interactions a step."""
    beam: int = 50
    """Candidates of the beam search, in training for the valid users."""
    valid_users: int = 2000
    """Users whose valid targets choose the best checkpoint, evenly over all; 0 trains without looking."""
    seed: int = 12345
    """Of fresh weights, the order and all draws."""
    optimizer: OptimizerSettings = OptimizerSettings(learning_rate=5e-4, schedule="constant", clip_norm=1.0)
    loop: LoopSettings = LoopSettings()
    devices: DeviceSettings = DeviceSettings()
    folders: RunFolders = RunFolders()

    def __post_init__(self):
        require(self.formulation in ("code", "paper"), "formulation", self.formulation, "code or paper")
        require(self.tables in ("fresh", "graph"), "tables", self.tables, "fresh or graph")
        require(self.epochs >= 0, "epochs", self.epochs, "0 or more")
        require(self.batch_size >= 1, "batch_size", self.batch_size, "at least 1")
        require(self.beam >= 20, "beam", self.beam, "at least 20, the longest list that is looked at")
        require(self.valid_users >= 0, "valid_users", self.valid_users, "0 or more")
        require_seed(self.seed)


@dataclass(frozen=True)
class Evaluate:
    """Rank the targets of a split beside popularity, LightGCN, matrix factorisation and masked-item recall."""

    name: Positional[str]
    """Name of the run."""
    split: Literal["valid", "test", "cold"] = "test"
    """Whose targets."""
    beam: int = 50
    """Candidates of the beam search."""
    history: Literal["latest", "random"] = "latest"
    """What the model is shown of a user: the latest items, newest first, or as in training so many drawn from all."""
    checkpoint: Literal["best", "latest"] = "best"
    """Which state of the model."""
    folders: RunFolders = RunFolders()

    def __post_init__(self):
        require(self.beam >= 20, "beam", self.beam, "at least 20, the longest list that is looked at")
        require(self.history in ("latest", "random"), "history", self.history, "latest or random")


@dataclass(frozen=True)
class Export:
    """Write the best model as a SavedModel: raw item ids in, raw item ids and scores out."""

    name: Positional[str]
    """Name of the run."""
    beam: int = 50
    """Candidates of the beam search, and length of the lists."""
    checkpoint: Literal["best", "latest"] = "best"
    """Which state of the model."""
    folders: RunFolders = RunFolders()

    def __post_init__(self):
        require(self.beam >= 1, "beam", self.beam, "at least 1")


@dataclass(frozen=True)
class Recommend:
    """Ask the exported model, and see what its answers' codes stand for."""

    name: Positional[str]
    """Name of the run."""
    items: UseAppendAction[tuple[str, ...]] = field(default=())
    """An item of the history, oldest first; say it once for each item."""
    user: str | None = None
    """A raw user id, whose training history is taken instead."""
    k: int = 10
    """Length of the list, at most the export's beam."""
    folders: RunFolders = RunFolders()

    def __post_init__(self):
        require(self.k >= 1, "k", self.k, "at least 1")
