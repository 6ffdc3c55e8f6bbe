"""ColaRec as one Python object."""

import logging
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal

import pandas as pd

from kerasrec.colarec import item_recall as item_recall_step
from kerasrec.colarec import lightgcn as lightgcn_step
from kerasrec.colarec.dataset import PreparedData
from kerasrec.colarec.evaluate import evaluate
from kerasrec.colarec.explain import user_history
from kerasrec.colarec.export import export_model
from kerasrec.colarec.frames import (
    Events,
    Items,
    corpus_file,
    interactions_file,
    no_new_files_after_errors,
    targets_file,
)
from kerasrec.colarec.identifiers import identifiers
from kerasrec.colarec.prepare import prepare
from kerasrec.colarec.recommend import described
from kerasrec.colarec.run import Trained
from kerasrec.colarec.settings import TRAINS, Evaluate, Export, Identifiers, ItemRecall, LightGcn, Prepare, Train
from kerasrec.colarec.signatures import served_model
from kerasrec.colarec.train import train
from kerasrec.keywords import keyword_names, keywords_of, require_known, settings_of
from kerasrec.serving import arguments
from kerasrec.serving.exported import Exported
from kerasrec.serving.item_system import ItemSystem
from kerasrec.serving.recommender import Recommender
from kerasrec.training.devices import restored_precision
from kerasrec.workspace.config import read_config
from kerasrec.workspace.run_folders import require_model_folder

logger = logging.getLogger(__name__)


_NOT_SEPARATE = ("name", "folders", "split")
"""Fields of the steps lightgcn and item-recall that the class sets."""


class ColaRec(ItemSystem):
    """Recommends items by writing their identifiers, from interactions and item texts (ColaRec).

    It runs the steps of `kerasrec colarec`, with their defaults: an object and command lines in the same folder
    continue each other's work. A model belongs to the data that it was trained on; other data needs another folder.

    Args:
        folder: Where the data, the model and the exports are stored; by default a temporary folder.
        lightgcn: Settings of the step `lightgcn` by the names of its options, such as `size` and `epochs`.
        item_recall: Settings of the step `item-recall`, a model for comparison; None leaves this step out.
        settings: Settings of the steps `prepare`, `identifiers` and `train` by the names of their options, such as
            `text_tokens`, `source`, `length`, `codes`, `epochs`, `d_model` and `beam`.

    Raises:
        KerasrecError: a setting is unknown. A value is checked when a step uses it.

    Example:
        >>> texts = {f"i{n}": f"{colour} {kind}" for n, (colour, kind) in enumerate(
        ...     (colour, kind) for colour in ("red", "blue", "green") for kind in ("tea", "cup", "pot", "can"))}
        >>> log = pd.DataFrame([(f"u{n}", f"i{(n + 4 * t) % 12}") for n in range(8) for t in range(4)])
        >>> small = {"d_model": 8, "d_kv": 4, "d_ff": 8, "num_heads": 2, "text_tokens": 40}
        >>> shop = ColaRec(lightgcn={"epochs": 2, "size": 4}, length=2, codes=4, epochs=1, filter_seen=True, **small)
        >>> _ = shop.fit(log.set_axis(["user_id", "item_id"], axis=1), items=texts)
        >>> shop.recommend(users=["u3"], k=2)["rank"].tolist()
        [1, 2]
        >>> shop.identifiers().columns.tolist()
        ['item_id', 'content', 'codes', 'similar']

    Source: https://arxiv.org/abs/2403.18480
    """

    STEPS: ClassVar = (Prepare, Identifiers, Train)
    SET_HERE: ClassVar = ("name", "folders", "interactions", "corpus", "valid", "test")

    def __init__(
        self,
        folder: str | Path | None = None,
        *,
        lightgcn: Mapping[str, object] | None = None,
        item_recall: Mapping[str, object] | None = None,
        **settings: object,
    ):
        super().__init__(folder, **settings)
        self.lightgcn = dict(lightgcn or {})
        self.item_recall = None if item_recall is None else dict(item_recall)
        for kind, name in ((LightGcn, "lightgcn"), (ItemRecall, "item_recall")):
            known = keyword_names(kind, without=_NOT_SEPARATE)
            require_known(getattr(self, name) or {}, known, f"ColaRec({name}=...)")

    def fit(
        self, interactions: Events, items: Items, valid: Events | None = None, test: Events | None = None
    ) -> "ColaRec":
        """Prepare the data and train; the same data in the same folder resumes the training.

        The steps are prepare, lightgcn (if the identifiers or the initial tables need its embeddings, or if it has
        settings), identifiers, item-recall (if it has settings) and train.

        Args:
            interactions: A DataFrame(user_id, item_id[, timestamp]), one row per event, whose ids are strings or whole
                numbers; without timestamps, its rows are in time order. Or the path of CSV files, as `kerasrec colarec
                prepare` reads them.
            items: The texts of all items: `{item_id: text}`, a Series of texts whose index has the item ids, a
                DataFrame(item_id, text[, codes]), or the path of a corpus.
            valid: Targets that choose the best model: a DataFrame(user_id, item_id), or the path of CSV files. Without
                `valid` and `test`, the last two events of each user with three events or more are the targets.
            test: Targets of the final evaluation, in the same form.

        Returns:
            The object itself.

        Raises:
            KerasrecError: the data or a setting is invalid, or the folder has a model of other data. No prepared file
                is replaced then.
        """
        for name in ("_trained", "_recommender", "prepared"):
            self.__dict__.pop(name, None)
        fixed = {"name": self.name, "folders": self._folders}
        identifier_command, train_command = self._step(Identifiers, **fixed), self._step(Train, **fixed)
        tokenizer = {}
        if train_command.pretrained is not None and "tokenizer" not in self.settings:
            tokenizer["tokenizer"] = train_command.pretrained / "spiece.model"
        with no_new_files_after_errors(self.folder / "inputs"):
            files = {
                "interactions": interactions_file(interactions, self._input("interactions.csv")),
                "corpus": corpus_file(items, self._input("corpus.json")),
                "valid": None if valid is None else targets_file(valid, self._input("valid.csv")),
                "test": None if test is None else targets_file(test, self._input("test.csv")),
            }
            logger.info(prepare(self._step(Prepare, **files, **tokenizer, **fixed)))
        if self.lightgcn or "graph" in (identifier_command.identifiers.source, train_command.tables):
            logger.info(lightgcn_step.lightgcn(settings_of(LightGcn, self._shared | self.lightgcn, **fixed)))
        logger.info(identifiers(identifier_command))
        if self.item_recall is not None:
            command = settings_of(ItemRecall, self._shared | self.item_recall, **fixed)
            logger.info(item_recall_step.item_recall(command))
        with restored_precision():
            logger.info(train(train_command))
        return self

    def evaluate(self, split: Literal["valid", "test", "cold"] = "test") -> pd.DataFrame:
        """Rank the targets of a split against the whole catalogue, with ColaRec and all other models of the run.

        Args:
            split: The targets.

        Returns:
            Figures, float64: one row per figure (index `figure`) and one column per recommender. `.attrs["protocol"]`
            says how they are computed.

        Raises:
            KerasrecError: there is no trained model, or the split has no targets.
        """
        self._require_model(self._task.output)
        return evaluate(self._step(Evaluate, name=self.name, split=split, folders=self._folders))

    def identifiers(self, items: Sequence[str] | None = None) -> pd.DataFrame:
        """The identifiers of items.

        Args:
            items: Raw item ids; by default all items.

        Returns:
            DataFrame(item_id, content, codes, similar): `codes` has the codes with spaces between them, `similar` the
            contents of popular items with the same codes except for the last.

        Raises:
            KerasrecError: there are no identifiers, or an item is unknown.
        """
        self._require_model(self._task.output)
        item_ids = self.prepared.item_ids if items is None else arguments.ids(items, "items")
        rows = [{"item_id": item, **described(self.prepared, item)} for item in item_ids]
        return pd.DataFrame(rows, columns=["item_id", "content", "codes", "similar"])

    def export(self, path: str | Path | None = None) -> Exported:
        """Write the best model as a SavedModel that takes and gives raw item ids.

        Args:
            path: The folder of versions; a new version is written into it. By default the export folder of the run.

        Returns:
            The version's folder and its signatures; `kerasrec.load` opens it.

        Raises:
            KerasrecError: there is no trained model, or the path cannot be written.
        """
        folder = self._task.export if path is None else Path(path)
        require_model_folder("path", folder)
        return export_model(self._trained, self.prepared, self._export.beam, folder)

    @classmethod
    def from_folder(cls, folder: str | Path, name: str | None = None) -> "ColaRec":
        """Open a run that an earlier object or `kerasrec colarec` left, with its settings.

        Args:
            folder: The parent of the folders `data`, `output` and `export`.
            name: Name of the run, if the folder has several.

        Raises:
            KerasrecError: there is no such run, or its files are damaged.
        """
        shop = cls(folder)
        shop.name = cls._find_run(shop.folder, TRAINS, name)
        prepared, output = shop.prepared, shop._task.output
        shop._restore_settings(Prepare, prepared.manifest, prepared.data / "items.parquet")
        shop._restore_settings(Identifiers, prepared.manifest, prepared.data / "codes.npy")
        config = read_config(output, TRAINS)
        if config.get("augmentation") is not None:  # only the digest of the file is stored
            del config["augmentation"]
        shop.settings |= keywords_of(config, Train, cls.SET_HERE)
        shop.lightgcn = _stored(LightGcn, output / lightgcn_step.GRAPH, lightgcn_step.TRAINS) or {}
        shop.item_recall = _stored(ItemRecall, output / "item-recall", item_recall_step.TRAINS)
        return shop

    @cached_property
    def prepared(self) -> PreparedData:
        """The data of the run.

        Raises:
            KerasrecError: nothing is prepared, or files are damaged.
        """
        return PreparedData(self.name, self._folders)

    def _histories(self, users: Sequence[str]) -> Sequence[Sequence[str]]:
        return [user_history(self.prepared, user) for user in users]

    @property
    def _shared(self) -> dict[str, object]:
        """Settings of all steps."""
        return {"seed": self.settings["seed"]} if "seed" in self.settings else {}

    @property
    def _export(self) -> Export:
        return self._step(Export, name=self.name, folders=self._folders)

    @cached_property
    def _trained(self) -> Trained:
        self._require_model(self._task.output)
        return Trained(self.prepared, self._export.checkpoint)

    @cached_property
    def _recommender(self) -> Recommender:
        """The trained model in memory, as its export has it."""
        with served_model(self._trained, self.prepared, self._export.beam) as module:
            return Recommender.of_module(self._task.output, module, self.prepared.item_ids)


def _stored(kind: type, folder: Path, trained_by: str) -> dict[str, object] | None:
    """The settings in the `config.json` of a further model; None without such a model."""
    if not (folder / "config.json").exists():
        return None
    return keywords_of(read_config(folder, trained_by), kind, _NOT_SEPARATE)
