"""Results of the steps of the anime recommender."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd


@dataclass(frozen=True)
class StoredData:
    """A database after a step that stored titles or lists.

    Attributes:
        database: The SQLite file.
        titles: Number of titles in it.
        lists: Number of users whose list is complete.
        summary: What the step did, in one or two sentences.
    """

    database: Path
    titles: int
    lists: int
    summary: str

    def __str__(self) -> str:
        return self.summary


@dataclass(frozen=True)
class TrainedModel:
    """A training after its end.

    Attributes:
        path: Folder of the exported best model.
        step: Training steps, over all starts.
        plots: Folder of the curves.
        figures: Figures of the best model and of the baselines, as
            `kerasrec.evaluation.figures.figures_frame` returns them.
    """

    path: Path
    step: int
    plots: Path
    figures: pd.DataFrame

    def __str__(self) -> str:
        return f"{self.path}: the best model, of step {self.step}; {self.plots}: its curves"


class DrawnCurves(tuple[Path, ...]):
    """The pictures that were drawn; its text has one path per line."""

    def __str__(self) -> str:
        return "\n".join(map(str, self))
