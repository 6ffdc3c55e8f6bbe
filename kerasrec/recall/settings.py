"""The settings of item recall: one frozen dataclass for each step, every default stated once.

The command line is generated from them; so that it answers at once, this module imports no TensorFlow.
"""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional, UseAppendAction

from kerasrec.data.items.settings import BatchSettings, ExampleSettings
from kerasrec.data.logs.seen_items import SeenItems
from kerasrec.data.logs.settings import SplitSettings
from kerasrec.errors import KerasrecError, require, require_seed
from kerasrec.nn.settings import ItemModelSettings
from kerasrec.training.settings import DeviceSettings, LoopSettings, OptimizerSettings
from kerasrec.workspace.run_folders import RunFolders


@dataclass(frozen=True)
class Split(SplitSettings):
    """Step 1: split a log into parts. All events of a user are in one part."""

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
    """Step 2: one vocabulary over all parts. One that is there grows; no token id ever moves."""

    name: Positional[str]
    """The task, say 20210419-task-refine-0-all, task-refine-0-all or all."""
    folders: RunFolders = RunFolders()
    min_count: int = 1
    """Items seen less often become [UNK]. Items of an existing vocabulary, or of `init_from`, are always kept."""
    init_from: Path | None = None
    """An earlier task's vocab.parquet to grow from, so that its model can go on with this task."""


@dataclass(frozen=True)
class Examples:
    """Step 3: train, valid and test TFRecords of a part, of a range of parts or of all."""

    name: Positional[str]
    """A part (part-000), all of a task (task-refine-0-all), or with --first and --last the beginning of part names."""
    task: str | None = None
    """The task, where the name leaves it open."""
    first: int | None = None
    """First part of a range."""
    last: int | None = None
    """Last part of a range, included."""
    jobs: int | None = None
    """Processes; by default one for each processor."""
    folders: RunFolders = RunFolders()
    examples: ExampleSettings = ExampleSettings()


@dataclass(frozen=True)
class Train(SeenItems):
    """Steps 4 and 5: train from the last checkpoint and evaluate."""

    name: Positional[str]
    """A part (part-000), or all of a task (task-refine-0-all)."""
    task: str | None = None
    """The task, where the name leaves it open."""
    epochs: int = 1
    """Passes over each part, unless train_multi is given."""
    train_multi: int | None = None
    """Train until the global step stands at so many times steps_per_multi, in as many passes as that takes."""
    steps_per_multi: int = 40_000
    """The unit of train_multi."""
    eval_mode: Literal[0, 1] = 0
    """0: train, then evaluate on these parts' test users. 1: evaluate the last checkpoint first, then train."""
    sequential: bool = False
    """Part after part, each for all its epochs (one pass each in turn with train_multi), instead of all together."""
    init_from: Path | None = None
    """Output folder of an earlier task, whose last state this one starts from; its vocabulary may be smaller."""
    item_start: Literal["co-occurrence", "random"] = "co-occurrence"
    """What the item embeddings of a new model start from: what stands near what in the histories, or nothing."""
    valid_users: int = 10_000
    """Users, over all parts, whose valid items choose the best checkpoint; 0 trains without looking."""
    test_users: int = 100_000
    """Users, over the parts that are trained, whose test items are ranked before or after; `evaluate` ranks all."""
    seed: int = 12345
    """Of the weights, the order and the masks."""
    folders: RunFolders = RunFolders()
    model: ItemModelSettings = ItemModelSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    batches: BatchSettings = BatchSettings()
    loop: LoopSettings = LoopSettings()
    devices: DeviceSettings = DeviceSettings()

    def __post_init__(self):
        super().__post_init__()
        require(self.epochs >= 0, "epochs", self.epochs, "0 or more")
        require(self.train_multi is None or self.train_multi >= 1, "train_multi", self.train_multi, "at least 1")
        require(self.steps_per_multi >= 1, "steps_per_multi", self.steps_per_multi, "at least 1")
        starts = ("co-occurrence", "random")
        require(self.item_start in starts, "item_start", self.item_start, f"one of {', '.join(starts)}")
        require(self.valid_users >= 0, "valid_users", self.valid_users, "0 or more")
        require(self.test_users >= 1, "test_users", self.test_users, "at least 1")
        require_seed(self.seed)


@dataclass(frozen=True)
class Evaluate(SeenItems):
    """Rank the test items of a task or a part against the whole catalogue, beside the baselines."""

    name: Positional[str]
    """A part (part-000), or all of a task (task-refine-0-all)."""
    task: str | None = None
    """The task, where the name leaves it open."""
    split: Literal["valid", "test"] = "test"
    """Whose targets are ranked."""
    checkpoint: Literal["best", "latest"] = "best"
    """Which state of the model."""
    sampled: bool = False
    """Also rank among 100 sampled items, uniform and by popularity, as some papers do."""
    baselines: Annotated[
        bool, tyro.conf.arg(help="Leave popularity and item co-occurrence out of the table.", help_behavior_hint="")
    ] = True
    """Whether the table also shows popularity and item co-occurrence."""
    users: int | None = None
    """Rank for about so many users, evenly over all of them; by default for everyone."""
    seed: int = 12345
    """Of the sampled items."""
    folders: RunFolders = RunFolders()

    def __post_init__(self):
        super().__post_init__()
        require(self.users is None or self.users >= 1, "users", self.users, "at least 1")


@dataclass(frozen=True)
class Export:
    """Step 6: write the best model as a SavedModel that takes and gives raw item ids."""

    name: Positional[str]
    """The task, say task-refine-0-all."""
    checkpoint: Literal["best", "latest"] = "best"
    """Which state of the model."""
    max_k: int = 100
    """Length of the lists that the signatures give."""
    folders: RunFolders = RunFolders()

    def __post_init__(self):
        require(self.max_k >= 1, "max_k", self.max_k, "at least 1")


@dataclass(frozen=True)
class Recommend(SeenItems):
    """Ask the exported model: raw item ids in, raw item ids and scores out."""

    name: Positional[str]
    """The task, say task-refine-0-all."""
    items: UseAppendAction[tuple[str, ...]] = field(default=())
    """An item of the history, oldest first; say it once for each item."""
    user: str | None = None
    """A raw user id of the log, whose history is taken instead."""
    exclude: UseAppendAction[tuple[str, ...]] = field(default=())
    """An item that is not to be recommended; say it once for each item."""
    k: int = 10
    """Length of the list."""
    names: Path | None = None
    """A CSV file with a header, item id and title in its first two columns, to show titles."""
    folders: RunFolders = RunFolders()

    def __post_init__(self):
        super().__post_init__()
        require(self.k >= 1, "k", self.k, "at least 1")


@dataclass(frozen=True)
class Quickstart:
    """All of item recall on a made-up log whose best reachable score is known."""

    folder: Path = Path("quickstart")
    """Where the log, the model and the export go."""
    epochs: int = 10
    """Passes over the log."""
    seed: int = 12345
    """Of the log and the model."""
