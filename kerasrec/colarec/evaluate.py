"""The step `evaluate`: rank the targets of a split with all trained models of a run."""

import logging

import pandas as pd

from kerasrec.colarec import item_recall, lightgcn
from kerasrec.colarec.comparison import popularity, protocol, rank
from kerasrec.colarec.dataset import PreparedData
from kerasrec.colarec.run import Trained, recommender
from kerasrec.colarec.settings import Evaluate
from kerasrec.evaluation.figures import figures_frame
from kerasrec.training.curves import write_figures

logger = logging.getLogger(__name__)

SEED = 12345  # of the items that the model reads with --history random


def evaluate(command: Evaluate) -> pd.DataFrame:
    """Rank the targets with ColaRec, popularity and the baselines that were trained; store the figures.

    Returns:
        The figures as `figures_frame` has them; the first column is ColaRec. They are also in
        `evaluation-SPLIT.json`.

    Raises:
        KerasrecError: there is no trained model, or the split has no targets.
    """
    prepared = PreparedData(command.name, command.folders)
    figures = _figures(command, prepared)
    how = str(protocol(command.split, prepared.filter_seen))
    settings = {"beam": command.beam, "history": command.history, "checkpoint": command.checkpoint}
    path = prepared.output / f"evaluation-{command.split}.json"
    write_figures(path, {"protocol": how, **settings, "figures": figures})
    own, *others = figures
    shown = (f"--{name} {settings[name]}" for name in ("checkpoint", "beam", "history"))
    logger.info("ColaRec: " + " ".join(shown))
    for other in others:
        difference = figures[own]["NDCG@10"] - figures[other]["NDCG@10"]
        logger.info(f"NDCG@10 of {own} minus NDCG@10 of {other}: {difference:+.4f}")
    return figures_frame(figures, how, path)


def _figures(command: Evaluate, prepared: PreparedData) -> dict[str, dict[str, float]]:
    trained = Trained(prepared, command.checkpoint)
    seed = SEED if command.history == "random" else None
    recommenders = {
        "ColaRec": recommender(prepared, trained.model, trained.row_maker, trained.tree, command.beam, seed),
        "popularity": popularity(prepared.interactions, prepared.seen),
        **lightgcn.trained_recommenders(prepared),
        **item_recall.trained_recommenders(prepared),
    }
    targets = prepared.targets(command.split)
    return {
        name: rank(recommend, targets, prepared.interactions, prepared.seen, name)
        for name, recommend in recommenders.items()
    }
