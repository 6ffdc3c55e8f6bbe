"""The settings of item recall: one frozen dataclass per step; imports no TensorFlow."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional, UseAppendAction

from kerasrec.choices import require_choices
from kerasrec.data.items.settings import BatchSettings, ExampleSettings
from kerasrec.data.logs.seen_items import SeenItems
from kerasrec.data.logs.settings import SplitSettings
from kerasrec.errors import KerasrecError, require, require_seed
from kerasrec.nn.settings import ItemModelSettings
from kerasrec.recall.suitable_settings import Recipe
from kerasrec.training.settings import DeviceSettings, LoopSettings, OptimizerSettings
from kerasrec.workspace.run_folders import RunFolders


@dataclass(frozen=True)
class Split(SplitSettings):
    """Split a log into parts. All events of a user are in one part."""

    log: str = ""
    save_path: str | None = None
    """Old name of the option for the work folder. Without `log`, the old form is read: data_path is the log and
    save_path is the work folder."""

    def __post_init__(self):
        _ = self.current_form  # raises an error for bad values

    @property
    def current_form(self) -> SplitSettings:
        """The same settings without the old options.

        Raises:
            KerasrecError: no log is given, two work folders are given, or a value is out of range.
        """
        default = SplitSettings.data_path
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(SplitSettings)}
        if not self.log:
            if self.save_path is None and self.data_path == default:
                raise KerasrecError("no log is given: pass --log FILE_OR_FOLDER")
            values |= {"log": self.data_path, "data_path": self.save_path or default}
        elif self.save_path is not None:
            if self.data_path not in (default, self.save_path):
                raise KerasrecError(
                    f"--data-path {self.data_path} and --save-path {self.save_path} both name the work folder: give one"
                )
            values["data_path"] = self.save_path
        return SplitSettings(**values)

    @property
    def is_old_form(self) -> bool:
        """Whether the old options are used."""
        return not self.log or self.save_path is not None


@dataclass(frozen=True)
class Vocab:
    """Build one vocabulary from all parts. An existing vocabulary grows, and its token ids do not change."""

    name: Positional[str]
    """The task, for example 20210419-task-refine-0-all, task-refine-0-all or all."""
    folders: RunFolders = RunFolders()
    min_count: int = 1
    """Fewest events of an item; rarer items become [UNK]. Items of an existing vocabulary, or of init_from, are kept.
    Typical for noisy logs: 5."""
    init_from: Path | None = None
    """The vocab.parquet of an earlier task, which grows, so that training can continue from the model of that task."""


@dataclass(frozen=True)
class Examples:
    """Write train, valid and test TFRecords of a part, of a range of parts or of all parts."""

    name: Positional[str]
    """A part (part-000), a task (task-refine-0-all), or with --first and --last the beginning of part names."""
    task: str | None = None
    """The task, if the name fits several tasks."""
    first: int | None = None
    """Number of the first part of a range."""
    last: int | None = None
    """Number of the last part of a range; it is included."""
    jobs: int | None = None
    """Number of processes; by default one per processor. Use fewer if memory is short."""
    folders: RunFolders = RunFolders()
    examples: ExampleSettings = ExampleSettings()


@dataclass(frozen=True)
class Train(SeenItems):
    """Train from the last checkpoint, and evaluate."""

    name: Positional[str]
    """A part (part-000), or a task (task-refine-0-all)."""
    task: str | None = None
    """The task, if the name fits several tasks."""
    epochs: int = 1
    """Passes over each part, unless train_multi is given. Typical: 10 to 100."""
    train_multi: int | None = None
    """Train until the global step is train_multi times steps_per_multi, in as many passes as needed."""
    steps_per_multi: int = 40_000
    """Number of steps in one unit of train_multi."""
    eval_mode: Literal[0, 1] = 0
    """0: train, then evaluate on the test users of these parts. 1: evaluate the last checkpoint, then train."""
    sequential: bool = False
    """Train part after part, each for all its epochs (with train_multi one pass each in turn), instead of all parts
    together."""
    init_from: Path | None = None
    """Output folder of an earlier task: training starts from its last state. Its vocabulary may be smaller."""
    tuned: bool = False
    """Use the settings that `kerasrec recall tune` found for this task. Options that it chooses have to be left out."""
    item_start: Literal["co-occurrence", "random"] = "co-occurrence"
    """Initial item embeddings of a new model: from the co-occurrence of items in histories, which learns faster, or
    random."""
    valid_users: int = 10_000
    """Number of users, over all parts, whose valid items choose the best checkpoint; 0 trains without evaluation."""
    test_users: int = 100_000
    """Largest number of users whose test items are ranked before or after the training, 0 for none; `evaluate` ranks
    all users."""
    seed: int = 12345
    """Seed of the weights, the order of the rows and the masks."""
    folders: RunFolders = RunFolders()
    model: ItemModelSettings = ItemModelSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    batches: BatchSettings = BatchSettings()
    loop: LoopSettings = LoopSettings()
    devices: DeviceSettings = DeviceSettings()

    def __post_init__(self):
        super().__post_init__()
        require_choices(self)
        require(self.epochs >= 0, "epochs", self.epochs, "0 or more")
        require(self.train_multi is None or self.train_multi >= 1, "train_multi", self.train_multi, "at least 1")
        require(self.steps_per_multi >= 1, "steps_per_multi", self.steps_per_multi, "at least 1")
        require(self.valid_users >= 0, "valid_users", self.valid_users, "0 or more")
        require(self.test_users >= 0, "test_users", self.test_users, "0 or more")
        if self.model.count_prior:
            require(
                self.valid_users > 0,
                "valid_users",
                self.valid_users,
                "above 0 with count_prior, whose weight they choose",
            )
        require_seed(self.seed)


@dataclass(frozen=True)
class Evaluate(SeenItems):
    """Rank the test items of a task or a part against the whole catalogue, with baselines."""

    name: Positional[str]
    """A part (part-000), or a task (task-refine-0-all)."""
    task: str | None = None
    """The task, if the name fits several tasks."""
    split: Literal["valid", "test"] = "test"
    """The split whose targets are ranked."""
    checkpoint: Literal["best", "latest"] = "best"
    """The state of the model: the best one of the valid evaluations, or the latest."""
    sampled: bool = False
    """Also rank among 100 sampled items, drawn uniformly and by popularity, to compare with papers that do so."""
    baselines: Annotated[bool, tyro.conf.arg(help="Leave the baselines out of the table.", help_behavior_hint="")] = (
        True
    )
    """Whether the table also shows popularity, item co-occurrence, a Markov chain and, up to 20,000 items, EASE."""
    compare: Path | None = None
    """Output folder of another model of the same task. The table also shows this model, and the differences of the two
    models are tested user by user."""
    users: int | None = None
    """Rank for about this number of users, chosen evenly; by default for all users."""
    seed: int = 12345
    """Seed of the sampled items."""
    folders: RunFolders = RunFolders()

    def __post_init__(self):
        super().__post_init__()
        require(self.users is None or self.users >= 1, "users", self.users, "at least 1")


@dataclass(frozen=True)
class Export:
    """Write the best model as a SavedModel whose inputs and outputs are raw item ids."""

    name: Positional[str]
    """The task, for example task-refine-0-all."""
    scorer: Literal["model", "popularity", "co-occurrence", "markov-chain", "ease"] = "model"
    """What is exported: the model, or a baseline, which is fitted as in `evaluate`."""
    checkpoint: Literal["best", "latest"] = "best"
    """The state of the model: the best one of the valid evaluations, or the latest."""
    max_k: int = 100
    """Length of the lists in the signatures. Requests cannot get longer lists."""
    folders: RunFolders = RunFolders()

    def __post_init__(self):
        require_choices(self)
        is_model = self.scorer == "model"
        require(is_model or self.checkpoint == "best", "checkpoint", self.checkpoint, "left out with a baseline")
        require(self.max_k >= 1, "max_k", self.max_k, "at least 1")


@dataclass(frozen=True)
class Recommend(SeenItems):
    """Recommend items for a history with the exported model."""

    name: Positional[str]
    """The task, for example task-refine-0-all."""
    items: UseAppendAction[tuple[str, ...]] = field(default=())
    """Raw id of an item of the history, oldest first; repeat the option for each item."""
    user: str | None = None
    """Raw id of a user of the log, instead of items."""
    exclude: UseAppendAction[tuple[str, ...]] = field(default=())
    """Raw id of an item that is not recommended; repeat the option for each item."""
    k: int = 10
    """Length of the list."""
    names: Path | None = None
    """A CSV file with a header whose first two columns are item id and title, to show titles."""
    folders: RunFolders = RunFolders()

    def __post_init__(self):
        super().__post_init__()
        require(self.k >= 1, "k", self.k, "at least 1")


@dataclass(frozen=True)
class Fit:
    """All steps in one: from a log to a ranked and exported model, with settings that fit the log."""

    log: Positional[str]
    """The raw log: a file, a folder with its sub-folders, or a quoted glob."""
    name: str = "task"
    """The name of the data set, which is the middle part of the task's name."""
    objective: Literal["causal", "masked"] | None = None
    """causal predicts the next item at every position (SASRec), masked predicts hidden items (BERT4Rec). By default
    causal, which is usually better and trains faster; masked with the recipe bert4rec."""
    recipe: Recipe = "auto"
    """auto chooses the settings for the log. bert4rec is the model of the BERT4Rec paper, with the defaults of the step
    commands."""
    minutes: float | None = None
    """Time for the training. The number of passes is planned for it, after the speed was measured."""
    major_name: str = SplitSettings.major_name
    """Name of the user column."""
    candidate_name: str = SplitSettings.candidate_name
    """Name of the item column."""
    time_name: str = SplitSettings.time_name
    """Name of the time column. A log without this column is assumed to be in time order."""
    seq_min_len: int = 3
    """Minimum number of events per user. With 3, the last two events are held out and one is left."""
    min_item_events: int = 1
    """Minimum number of events per item, typically 1 to 5."""
    seed: int = 12345
    """Seed of the weights, the order of the rows and the masks."""
    folders: RunFolders = RunFolders()

    def __post_init__(self):
        require_choices(self)
        if self.recipe == "bert4rec":
            require(self.objective != "causal", "objective", self.objective, "masked with the recipe bert4rec")
        require(self.minutes is None or self.minutes > 0, "minutes", self.minutes, "above 0")
        require_seed(self.seed)

    @property
    def chosen_objective(self) -> Literal["causal", "masked"]:
        """The objective, by default that of the recipe."""
        return self.objective or ("masked" if self.recipe == "bert4rec" else "causal")


@dataclass(frozen=True)
class Tune:
    """Search better settings for the training, around those that fit the log, and store them for `train --tuned`."""

    name: Positional[str]
    """The task, for example task-refine-0-all. Its examples are written already."""
    minutes: float = 60.0
    """Time for the search; a trial that is running then ends with its pass. Typical: 20 to 100 times the minutes of one
    training."""
    objective: Literal["causal", "masked"] = "causal"
    """The objective of the model, as of `train`."""
    seed: int = 12345
    """Seed of the search and of the trainings."""
    folders: RunFolders = RunFolders()

    def __post_init__(self):
        require_choices(self)
        require(self.minutes > 0, "minutes", self.minutes, "above 0")
        require_seed(self.seed)


@dataclass(frozen=True)
class Quickstart:
    """Run all steps of item recall on a simulated log whose best possible score is known."""

    folder: Path = Path("quickstart")
    """Folder of the log, the model and the export."""
    epochs: int = 10
    """Number of passes over the log."""
    seed: int = 12345
    """Seed of the log and of the model."""
