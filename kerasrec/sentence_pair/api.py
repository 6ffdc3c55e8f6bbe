"""The two-sentence model as one Python object."""

import logging
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from kerasrec.base_api import System
from kerasrec.data.text.frames import Pairs, pairs_file, sides_of
from kerasrec.errors import require
from kerasrec.keywords import keywords_of
from kerasrec.sentence_pair.dataset import PairEvaluator
from kerasrec.sentence_pair.evaluate import evaluate
from kerasrec.sentence_pair.export import export_model
from kerasrec.sentence_pair.predict import predictions_frame
from kerasrec.sentence_pair.run import Trained
from kerasrec.sentence_pair.settings import TRAINS, Evaluate, Train
from kerasrec.sentence_pair.train import train
from kerasrec.serving.exported import Exported
from kerasrec.serving.text_search import TextSearch
from kerasrec.workspace.config import read_config

logger = logging.getLogger(__name__)


class SentencePair(TextSearch, System):
    """Classes or similarities of pairs of texts, and vectors of texts, from labelled pairs (Sentence-BERT).

    It runs the steps of `kerasrec sentence-pair`. Without `bert_model` and `init_checkpoint`, a small model starts from
    random weights, and its vocabulary is learned from the pairs unless `vocab_file` is given.

    Args:
        folder: The output folder (`--output_dir`); by default a temporary folder.
        settings: Settings of `train` by the names of the options, such as `bert_model`, `loss`, `num_train_epochs` and
            `learning_rate`.

    Raises:
        KerasrecError: a setting is unknown.

    Example:
        >>> rows = [("buy tea", "tea, please", 1), ("buy tea", "sell a car", 0), ("hello", "hi", 1), ("hi", "bye", 0)]
        >>> pairs = pd.DataFrame(rows, columns=["text_a", "text_b", "label"])
        >>> model = SentencePair(num_train_epochs=1, train_batch_size=2).fit(pairs)
        >>> list(model.predict(pairs[["text_a", "text_b"]]).columns)
        ['text_a', 'text_b', 'predicted', 'probability_0', 'probability_1']
        >>> model.encode(["buy tea", "hello"]).shape
        (2, 128)

    Source: https://arxiv.org/abs/1908.10084
    """

    STEPS = (Train,)
    SET_HERE = ("output_dir", "train_file", "eval_file", "predict_file", "result_file", "do_train", "do_predict")

    def fit(self, pairs: Pairs, valid: Pairs | None = None) -> "SentencePair":
        """Train on labelled pairs; the same pairs in the same folder resume the training.

        Args:
            pairs: A DataFrame(text_a, text_b, label), or the path of a file or folder as `--train_file` reads it.
                Several sentences of a side are joined by `||`. Labels are classes or, with other losses than softmax,
                scores.
            valid: Pairs that choose the best model, in the same form.

        Returns:
            The object itself.

        Raises:
            KerasrecError: the pairs or a setting are invalid.
        """
        files = {
            "train_file": pairs_file(pairs, self._input("train.jsonl")),
            "eval_file": None if valid is None else pairs_file(valid, self._input("valid.jsonl")),
        }
        logger.info(train(self._step(Train, output_dir=self.folder, do_train=True, **files)))
        self.__dict__.pop("_trained", None)
        return self

    def evaluate(self, pairs: Pairs) -> pd.DataFrame:
        """Figures of labelled pairs for the model, the untrained model and character counts.

        Args:
            pairs: Labelled pairs, as in `fit`.

        Returns:
            One row per figure (index `figure`), one column per scorer; `attrs["protocol"]` says how they are computed.

        Raises:
            KerasrecError: there is no trained model, or the pairs are invalid.
        """
        self._require_model(self.folder)
        file = pairs_file(pairs, self._input("evaluate.jsonl"))
        return evaluate(Evaluate(self.folder, file, self._batch_size))

    def predict(self, pairs: pd.DataFrame) -> pd.DataFrame:
        """Classes or cosines of pairs.

        Args:
            pairs: DataFrame(text_a, text_b[, label]).

        Returns:
            One row per pair, with the index of `pairs`: text_a, text_b, label if it was given, and either predicted and
            `probability_CLASS` for each class, or cosine. `label` and `predicted` have the names of classes, strings
            also for numbers, so that they can be compared; labels of a model of scores are float32.

        Raises:
            KerasrecError: there is no trained model, or the pairs are invalid.
        """
        trained = self._trained
        require(isinstance(pairs, pd.DataFrame), "pairs", pairs, "a DataFrame with the columns text_a, text_b")
        file = pairs_file(pairs, self._input("predict.jsonl"), labelled=False)
        for side in ("text_a", "text_b"):
            sides_of(pairs[side], f"pairs.{side}")  # each pair has a row in the result
        tokens = trained.reader.read(file, self._input("predict.rejects.parquet"), labelled=False)
        outputs = PairEvaluator(trained.model, trained.max_length, self._batch_size).outputs(tokens)
        predictions = predictions_frame(tokens, outputs).set_axis(pairs.index)
        if trained.classes is None:
            predictions["label"] = tokens.sides.labels
        if "label" not in pairs.columns:
            predictions = predictions.drop(columns="label")
        return pd.concat([pairs[["text_a", "text_b"]], predictions], axis=1)

    def export(self, path: str | Path | None = None) -> Exported:
        """Write the best model as a SavedModel that takes raw strings.

        Args:
            path: The folder of versions; by default `export` in the folder.

        Returns:
            The version's folder and its signatures; `kerasrec.load` opens it.

        Raises:
            KerasrecError: there is no trained model.
        """
        return export_model(self._trained, self.folder / "export" if path is None else Path(path))

    @classmethod
    def from_folder(cls, folder: str | Path) -> "SentencePair":
        """Open a model that an earlier object or `kerasrec sentence-pair` left, with its settings.

        Args:
            folder: The output folder.

        Raises:
            KerasrecError: the folder has no such model.
        """
        folder = Path(folder)
        config = read_config(folder, TRAINS)
        return cls(folder, **keywords_of(config["train"], Train, cls.SET_HERE))

    @property
    def _batch_size(self) -> int:
        return self.settings.get("eval_batch_size", Train.eval_batch_size)

    def _vectors(self, texts: list[str]) -> np.ndarray:
        return self._trained.encoder.encode(texts)

    @cached_property
    def _trained(self) -> Trained:
        self._require_model(self.folder)
        return Trained(self.folder)
