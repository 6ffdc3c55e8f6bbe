"""The siamese BERT as one Python object."""

import logging
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from kerasrec.base_api import System
from kerasrec.data.text.frames import Groups, Pairs, groups_file, pairs_file
from kerasrec.keywords import keyword_names, keywords_of, require_known, settings_of
from kerasrec.serving.arguments import list_length, strings
from kerasrec.serving.exported import Exported
from kerasrec.serving.text_search import TextSearch
from kerasrec.siamese import evaluate as evaluation
from kerasrec.siamese.dataset import PreparedData
from kerasrec.siamese.export import export_model
from kerasrec.siamese.prepare import prepare
from kerasrec.siamese.query import paraphrases
from kerasrec.siamese.run import Trained
from kerasrec.siamese.settings import TRAINS, Evaluate, Prepare, Sampling, Train
from kerasrec.siamese.train import train
from kerasrec.training.devices import restored_precision
from kerasrec.workspace.config import read_config

logger = logging.getLogger(__name__)


class SiameseBert(TextSearch, System):
    """Vectors of texts, similar texts and paraphrases, from groups of texts with the same meaning (SimBERT).

    It runs the steps of `kerasrec siamese`. With `pretrained`, the vocabulary is that of the pretrained BERT unless
    `vocab_file` is given. Without both, the vocabulary is learned from the groups, and a small model starts from random
    weights.

    Args:
        folder: Where the run's files are stored; by default a temporary folder.
        settings: Settings of `prepare` and `train` by the names of the options, such as `pretrained`, `epochs`,
            `batch_size` and `learning_rate`.

    Raises:
        KerasrecError: a setting is unknown.

    Example:
        >>> model = SiameseBert(epochs=1, batch_size=2)
        >>> _ = model.fit([["buy tea", "tea, please"], ["sell a car", "a car for sale"], ["hello", "hi"]])
        >>> model.encode(["buy tea", "hello"]).shape
        (2, 128)
        >>> list(model.similar(["tea, please"], k=2, among=["buy tea", "hi"]).columns)
        ['text', 'rank', 'similar_text', 'score']

    Source: https://kexue.fm/archives/7427
    """

    STEPS = (Prepare, Train)
    SET_HERE = ("name", "folders", "train_file", "valid_file", "test_file")

    def fit(self, groups: Groups, valid: Pairs | None = None, test: Pairs | None = None) -> "SiameseBert":
        """Prepare the texts and train; the same data in the same folder resumes the training.

        Args:
            groups: Groups of texts with the same meaning: lists of texts, a dictionary of such lists, a
                DataFrame(group, text), or the path of a file or folder as `kerasrec siamese prepare` reads it.
            valid: Pairs that choose the best model and the best threshold: a DataFrame(text_a, text_b, label), where
                label 1 means the same meaning and 0 another one, or the path of a file.
            test: Further pairs for `evaluate`.

        Returns:
            The object itself.

        Raises:
            KerasrecError: the data or a setting is invalid.
        """
        train_command = self._step(Train, name=self.name, folders=self._folders)
        files = {
            "train_file": groups_file(groups, self._input("groups.json")),
            "valid_file": None if valid is None else pairs_file(valid, self._input("valid.jsonl")),
            "test_file": None if test is None else pairs_file(test, self._input("test.jsonl")),
        }
        if "vocab_file" not in self.settings:
            files["vocab_file"] = train_command.pretrained
        logger.info(prepare(self._step(Prepare, name=self.name, folders=self._folders, **files)))
        with restored_precision():
            logger.info(train(train_command))
        self.__dict__.pop("_trained", None)
        return self

    def evaluate(self) -> pd.DataFrame:
        """Figures of the valid and the test pairs for the model, the untrained model and character counts.

        Returns:
            One row per figure (index `figure`), one column per scorer; `attrs["protocol"]` says how they are computed.

        Raises:
            KerasrecError: there is no trained model, or `fit` had no valid pairs.
        """
        self._require_model(self._task.output)
        return evaluation.evaluate(Evaluate(self.name, self._folders))

    def similar(self, texts: Iterable[str], k: int = 10, among: Iterable[str] | None = None) -> pd.DataFrame:
        """The most similar texts of each text.

        Args:
            texts: N strings.
            k: Length of the lists.
            among: The texts that are compared; by default the texts of the training groups.

        Returns:
            DataFrame(text, rank, similar_text, score): rank from 1, score is the cosine.

        Raises:
            KerasrecError: there is no trained model, or an argument is invalid.
        """
        self._require_model(self._task.output)
        return super().similar(texts, k, among=PreparedData(self.name, self._folders).texts if among is None else among)

    def generate(self, text: str, n: int = 10, **sampling: object) -> pd.DataFrame:
        """Paraphrases of a text, the most similar first.

        Args:
            text: The text.
            n: Most paraphrases in the result.
            sampling: Settings of `Sampling`: samples, top_p, max_length, seed.

        Returns:
            DataFrame(text, rank, paraphrase, score): rank from 1, score is the cosine with the text.

        Raises:
            KerasrecError: there is no trained model, or an argument is invalid.
        """
        require_known(sampling, keyword_names(Sampling), "generate")
        texts = strings([text], "text")
        return paraphrases(self._trained, texts, list_length(n), settings_of(Sampling, sampling))

    def export(self, path: str | Path | None = None) -> Exported:
        """Write the best model as a SavedModel that takes raw strings.

        Args:
            path: The folder of versions; by default the export folder of the run.

        Returns:
            The version's folder and its signatures; `kerasrec.load` opens it.

        Raises:
            KerasrecError: there is no trained model.
        """
        return export_model(self._trained, self._task.export if path is None else Path(path))

    @classmethod
    def from_folder(cls, folder: str | Path, name: str | None = None) -> "SiameseBert":
        """Open a run that an earlier object or `kerasrec siamese` left, with its settings.

        Args:
            folder: The parent of the folders `data`, `output` and `export`.
            name: Name of the run, if the folder has several.

        Raises:
            KerasrecError: there is no such run.
        """
        folder = Path(folder)
        name = cls._find_run(folder, TRAINS, name)
        config = read_config(folder / "output" / name, TRAINS)
        model = cls(folder, **keywords_of(config["train"], Train, cls.SET_HERE), lower_case=config["lower_case"])
        model.name = name
        return model

    def _vectors(self, texts: list[str]) -> np.ndarray:
        return self._trained.encoder.encode(texts)

    @cached_property
    def _trained(self) -> Trained:
        self._require_model(self._task.output)
        return Trained(self._task.output)
