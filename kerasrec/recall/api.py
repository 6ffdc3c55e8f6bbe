"""Item recall as one Python object."""

import dataclasses
import logging
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import pandas as pd

from kerasrec.data.items.settings import ExampleSettings
from kerasrec.data.logs.frames import remove_other_logs, write_log
from kerasrec.errors import KerasrecError, quoted, require
from kerasrec.keywords import keyword_names, keywords_of, settings_of
from kerasrec.recall.dataset import PreparedData
from kerasrec.recall.evaluate import evaluate
from kerasrec.recall.export import export_baseline, export_model
from kerasrec.recall.histories import user_histories
from kerasrec.recall.prepare import examples, split, vocab
from kerasrec.recall.run import TRAINS, trained_model
from kerasrec.recall.serving import model_recommender
from kerasrec.recall.settings import Evaluate, Examples, Export, Split, Train, Vocab
from kerasrec.recall.suitable_settings import Recipe, suitable_keywords
from kerasrec.recall.time_budget import planned_for_minutes
from kerasrec.recall.train import train
from kerasrec.recall.tuned_settings import with_tuned_settings
from kerasrec.serving.exported import Exported
from kerasrec.serving.item_lists import SimilarItems
from kerasrec.serving.item_system import ItemSystem
from kerasrec.serving.recommender import Recommender
from kerasrec.training.devices import restored_precision
from kerasrec.workspace.config import read_config
from kerasrec.workspace.manifest import Manifest
from kerasrec.workspace.run_folders import RunFolders, find_parts, require_model_folder
from kerasrec.workspace.task_names import TaskName, task_folder_name

logger = logging.getLogger(__name__)


class ItemRecall(SimilarItems, ItemSystem):
    """Recommends the next items of histories: BERT4Rec (masked items) or SASRec (the next item at every position).

    It runs the steps of `kerasrec recall`: an object and command lines in the same folder continue each other's work.
    Settings that are not given are chosen for the log, as by `kerasrec recall fit`, and `fit` logs the reasons. A model
    that is trained further keeps its settings.

    Args:
        folder: Where the data, the model and the exports are stored; a folder that holds a run continues it. By default
            a temporary folder.
        recipe: `auto` chooses settings for the log; `bert4rec` is the model of the BERT4Rec paper, with the defaults of
            the step commands.
        settings: Settings of all steps by the names of the options, with `_` for `-`: for example `seq_min_len`,
            `min_rating`, `max_seq_length`, `objective`, `hidden_size`, `epochs`, `minutes`, `learning_rate`, `max_k`.
            With `minutes` and without `epochs`, the number of passes is planned for this time. `init_from`, the output
            folder of an earlier task, starts a new task from the last state of its model and from its vocabulary.

    Raises:
        KerasrecError: a setting is unknown. A value is checked when a step uses it.

    Example:
        >>> import kerasrec, tempfile
        >>> log = pd.DataFrame(
        ...     {"user_id": [f"u{n // 6}" for n in range(60)], "item_id": [f"i{n % 7}" for n in range(60)]}
        ... )
        >>> films = kerasrec.ItemRecall(hidden_size=8, num_layers=1, epochs=1).fit(log)
        >>> films.evaluate().columns.tolist()
        ['model', 'popularity', 'co-occurrence', 'Markov chain', 'EASE']
        >>> films.recommend(users=["u3"], k=1).columns.tolist()
        ['user_id', 'rank', 'item_id', 'score']
        >>> served = kerasrec.load(films.export(tempfile.mkdtemp()))
        >>> served.recommend(histories=[["i1", "i2"]], k=3)["rank"].tolist()
        [1, 2, 3]

    Sources: https://arxiv.org/abs/1904.06690 (BERT4Rec), https://arxiv.org/abs/1808.09781 (SASRec).
    """

    STEPS: ClassVar = (Split, Vocab, Examples, Train, Export)
    SET_HERE: ClassVar = (
        *("name", "folders", "task", "first", "last"),
        *("log", "data_path", "save_path", "scorer"),
    )

    def __init__(self, folder: str | Path | None = None, *, recipe: Recipe = "auto", **settings: object):
        super().__init__(folder, **settings)
        require(recipe in get_args(Recipe), "recipe", recipe, " or ".join(get_args(Recipe)))
        self.recipe: Recipe = recipe
        self.name = ""  # known after the split
        self._data = self.folder / "data"
        self._masking: dict[str, Any] = {}  # of examples that were written already

    def prepare(self, data: pd.DataFrame | str | Path) -> "ItemRecall":
        """Run the steps before the training: split the log, build the vocabulary, write the examples.

        Args:
            data: As for `fit`.

        Returns:
            The object itself.

        Raises:
            KerasrecError: as for `fit`.
        """
        self.__dict__.pop("_recommender", None)
        if folder := _task_folder(data):
            self.name, self._data = folder.name, folder.parent
        else:
            self._split(data)
        task = self._task
        if not (folder and task.vocab_path.exists()):
            logger.info(vocab(self._vocab))
        asked = keyword_names(ExampleSettings, without=["seed"]) & self.settings.keys()
        if not folder or asked or PreparedData.written(task) != task.part_names():
            logger.info(examples(self._examples))
        else:
            self._masking = {"masking": self.prepared.settings.masking}
        return self

    def fit(self, data: pd.DataFrame | str | Path) -> "ItemRecall":
        """Prepare a log and train on it.

        A second call with the same data resumes an interrupted training, and changes nothing after its end. Other data
        in the same folder replaces the log; the vocabulary grows, and the training continues from the last state.

        Args:
            data: A DataFrame(user_id, item_id[, timestamp]), one row per event, whose ids are strings or whole numbers
                (other names: `major_name`, `candidate_name`, `time_name`); without timestamps, its rows are in time
                order. Or the path of a raw log, as `kerasrec recall split --log` takes it. Or the folder of a task
                that is prepared already.

        Returns:
            The object itself.

        Raises:
            KerasrecError: the data or a setting is invalid, or the folder holds a run with other fixed settings.
        """
        self.prepare(data)
        training = self.training_settings
        minutes = None if "epochs" in self.settings else training.loop.minutes
        with restored_precision():
            if self._earlier_model is None:
                _, reasons = self._suitable
                logger.info("settings: " + "; ".join(reasons))
                if minutes is not None:
                    training = planned_for_minutes(training, self.prepared, minutes)
            logger.info(train(training))
        return self

    def evaluate(
        self,
        split: Literal["valid", "test"] = "test",
        *,
        sampled: bool = False,
        baselines: bool = True,
        users: int | None = None,
        compare: str | Path | None = None,
    ) -> pd.DataFrame:
        """Rank the targets of all users against the whole catalogue.

        Args:
            split: Whose targets are ranked.
            sampled: Also rank among 100 sampled items, uniform and by popularity.
            baselines: Whether popularity, item co-occurrence, a Markov chain and EASE are ranked as well.
            users: Rank for about so many users only.
            compare: Output folder of another model of the same data, which is ranked and compared as well.

        Returns:
            Figures, float64: one row per figure (index `figure`) and one column per scorer. `.attrs` has `protocol`:
            how they are computed; `intervals`: their 95% intervals over users, by scorer and figure; `more`: further
            tables by title, of slices of the targets and of the comparison.

        Raises:
            KerasrecError: there is no trained model, or an argument is out of range.
        """
        self._require_trained()
        asked = {"split": split, "sampled": sampled, "baselines": baselines, "users": users}
        asked["compare"] = None if compare is None else Path(compare)
        return evaluate(self._step(Evaluate, name=self._all, folders=self._folders, task=None, **asked))

    def export(self, path: str | Path | None = None, *, scorer: str = "model") -> Exported:
        """Write the model, or a baseline, as a SavedModel that takes and gives raw item ids.

        Args:
            path: The folder of versions; a new version is written into it. By default the export folder of the run.
            scorer: Name of a baseline, as `kerasrec recall export --scorer` takes it; by default the trained model.

        Returns:
            The version's folder and its signatures; `kerasrec.load` opens it.

        Raises:
            KerasrecError: there is no trained model, the scorer is unknown, or the path cannot be written.
        """
        self._require_prepared()
        folder = self._task.export if path is None else Path(path)
        require_model_folder("path", folder)
        command = self._step(Export, name=self._all, folders=self._folders, scorer=scorer)
        if command.scorer != "model":
            return export_baseline(command.scorer, self.prepared, folder, command.max_k)
        self._require_trained()
        model, _ = trained_model(self.prepared, command.checkpoint)
        return export_model(model, self.prepared, folder, command.max_k)

    @classmethod
    def from_folder(cls, folder: str | Path, name: str | None = None) -> "ItemRecall":
        """Open a run that an earlier object or `kerasrec recall` left, with its settings.

        Args:
            folder: The parent of the folders `data`, `output` and `export`.
            name: Name of the task, say `20210419-task-refine-0`, if the folder holds several runs.

        Raises:
            KerasrecError: there is no such run, or its files are damaged.
        """
        films = cls(folder)
        films.name = cls._find_run(films.folder, TRAINS, name)
        config = read_config(films._task.output, TRAINS)
        if not films._task.data.is_dir():
            films._data = Path(config["train"]["folders"]["data_path"])
        manifest = Manifest(films._task.manifest_path)
        films._restore_settings(Split, manifest, films._task.users_path)
        films._restore_settings(Vocab, manifest, films._task.vocab_path)
        films.settings |= keywords_of(config.get("examples", {}), ExampleSettings)
        films.settings |= keywords_of(config["train"], Train, cls.SET_HERE)  # its init_from replaces that of Vocab
        return films

    @property
    def prepared(self) -> PreparedData:
        """The vocabulary and the examples of the run.

        Raises:
            KerasrecError: nothing is prepared, or files are damaged.
        """
        self._require_prepared()
        return PreparedData(*find_parts(self._all, self._folders))

    @property
    def training_settings(self) -> Train:
        """The settings of the training.

        Raises:
            KerasrecError: nothing is prepared, or a setting is invalid.
        """
        self._require_prepared()
        own = {"name": self._all, "folders": self._folders}
        if self.settings.get("tuned"):
            return with_tuned_settings(settings_of(Train, self.settings, **own), self._task.output)
        return settings_of(Train, self._all_settings, **own)

    @property
    def _earlier_model(self) -> Path | None:
        """The output folder of the model that is trained further; None for a new model."""
        own = self._task.output
        return own if (own / "config.json").exists() else self._step(Train, name=self._all).init_from

    @property
    def _all_settings(self) -> dict[str, Any]:
        """The given settings; the others are those of the model that is trained further, or fit the log."""
        earlier = self._earlier_model
        if earlier is None:
            return self._suitable[0]
        config = read_config(earlier, TRAINS)
        if self.recipe == "bert4rec" and config["model"].get("count_prior"):
            raise KerasrecError(
                f"recipe is bert4rec, and the model in {earlier} began with auto: give that one, or another folder"
            )
        kept = keywords_of(config.get("examples", {}), ExampleSettings)
        return kept | keywords_of(config["train"], Train, (*self.SET_HERE, "init_from", "minutes")) | self.settings

    @property
    def _suitable(self) -> tuple[dict[str, Any], tuple[str, ...]]:
        report = Manifest(self._task.manifest_path).section("split")
        keywords, reasons = suitable_keywords(report, self._masking | self.settings, self.recipe)
        return {"test_users": 0} | keywords, reasons  # `evaluate` ranks the test split

    def _histories(self, users: Sequence[str]) -> Sequence[Sequence[str]]:
        return user_histories(self._task, users)

    @property
    def _folders(self) -> RunFolders:
        return RunFolders(self._data, self.folder / "output", self.folder / "export")

    @property
    def _all(self) -> str:
        return f"{self.name}-all"

    @property
    def _vocab(self) -> Vocab:
        """The settings of the vocabulary; a new one grows from that of the task whose output folder `init_from` is."""
        command = self._step(Vocab, name=self._all, folders=self._folders)
        if command.init_from is None:
            return command
        is_new = not self._task.vocab_path.exists()
        return dataclasses.replace(command, init_from=_vocab_path(command.init_from) if is_new else None)

    @property
    def _examples(self) -> Examples:
        """The settings of the examples."""
        # Several processes import the user's script again, which fails without a __main__ guard.
        return settings_of(Examples, {"jobs": 1} | self._all_settings, name=self._all, folders=self._folders)

    def _split(self, data: pd.DataFrame | str | Path) -> None:
        name = self.name or self._stored_name()
        fixed: dict[str, str | None] = {"data_path": str(self._data)}
        if name and "date" not in self.settings:
            fixed["date"] = name[:8]
        if not isinstance(data, pd.DataFrame):
            log = str(_require_path(data))
        else:
            log = str(self.folder / "logs" / "frame.parquet")
            fixed["columns"] = None
        command = self._step(Split, log=log, **fixed)
        if isinstance(data, pd.DataFrame):
            command = dataclasses.replace(command, log=str(write_log(data, self.folder / "logs", command)))
        report = split(command)
        logger.info(report)
        self.name = Path(report.task).name
        if isinstance(data, pd.DataFrame):
            remove_other_logs(Path(command.log))

    def _stored_name(self) -> str:
        """The name of the task that the data folder holds; empty if it holds none.

        Raises:
            KerasrecError: it holds several tasks.
        """
        wanted = TaskName(*map(self.settings.get, ("date", "dataset_name", "refine")))
        folders = self._data.glob("*-refine-[01]")
        names = [
            str(name)
            for name in map(task_folder_name, (path.name for path in folders))
            if name and name.is_compatible(wanted)
        ]
        if len(names) > 1:
            raise KerasrecError(
                f"{self._data} holds the tasks {', '.join(sorted(names))}: give date, dataset_name or refine, or open "
                "one of them with from_folder"
            )
        return names[0] if names else ""

    def _require_prepared(self) -> None:
        self.name = self.name or self._stored_name()
        if not self.name:
            raise KerasrecError(f"{type(self).__name__} has no data in {self.folder}: call fit first")

    def _require_trained(self) -> None:
        self._require_prepared()
        self._require_model(self._task.output)

    @cached_property
    def _recommender(self) -> Recommender:
        self._require_trained()
        return model_recommender(self.prepared, self._step(Export, name=self._all).checkpoint)


def _vocab_path(output: Path) -> Path:
    """The vocabulary of the task that was trained into an output folder."""
    stored = read_config(output, TRAINS)["train"]["folders"]
    moved = output.parent.parent / "data"
    folders = RunFolders(moved if (moved / output.name).is_dir() else Path(stored["data_path"]))
    return folders.task(output.name).vocab_path


def _require_path(data: object) -> Path:
    if not isinstance(data, (str, Path)):
        raise KerasrecError(f"the log is {quoted(type(data).__name__)}; it must be a DataFrame or a path")
    return Path(data).expanduser()


def _task_folder(data: object) -> Path | None:
    """The folder of a prepared task, if `data` is its path or that of its folder of parts or of examples."""
    if isinstance(data, pd.DataFrame):
        return None
    path = _require_path(data)
    folder = path.parent if path.name in ("parts", "tfrecord") else path
    is_task = task_folder_name(folder.name) is not None and (folder / "manifest.json").is_file()
    return folder if is_task and (folder / "parts").is_dir() else None
