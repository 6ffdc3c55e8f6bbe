"""Rank the targets of a split with all that the run has trained."""

from kerasrec.colarec import item_recall
from kerasrec.colarec import lightgcn as graph
from kerasrec.colarec.comparison import popularity, protocol, rank
from kerasrec.colarec.dataset import PreparedData
from kerasrec.colarec.run import Trained, recommender
from kerasrec.colarec.settings import Evaluate
from kerasrec.console import say
from kerasrec.evaluation.full_ranking import print_table
from kerasrec.training import curves as report

SEED = 12345  # of what is shown of a user with --history random


def evaluate(command: Evaluate) -> None:
    """Print one table, ColaRec and whatever of the baselines was trained, and what lies between them; keep it."""
    table = figures(command)
    how = protocol(command.split, PreparedData(command.name, command.folders).filter_seen)
    print_table(table, how)
    say(f"ColaRec: --checkpoint {command.checkpoint} --beam {command.beam} --history {command.history}")
    own, *others = table
    for other in others:
        gap = table[own]["NDCG@10"] - table[other]["NDCG@10"]
        say(f"NDCG@10 of {own} minus that of {other}: {gap:+.4f}")
    path = command.folders.task(command.name).output / f"evaluation-{command.split}.json"
    asked = {"beam": command.beam, "history": command.history, "checkpoint": command.checkpoint}
    report.write_figures(path, {"protocol": str(how), **asked, "figures": table})


def figures(command: Evaluate) -> dict[str, dict[str, float]]:
    """Figures by the name of what recommends; the first is ColaRec."""
    prepared = PreparedData(command.name, command.folders)
    found = Trained(prepared, command.checkpoint)
    drawn_with = SEED if command.history == "random" else None
    recommenders = {
        "ColaRec": recommender(prepared, found.model, found.make, found.tree, command.beam, drawn_with),
        "popularity": popularity(prepared.interactions, prepared.seen),
        **graph.trained(prepared),
        **item_recall.trained(prepared),
    }
    targets = prepared.targets(command.split)
    return {
        name: rank(recommend, targets, prepared.interactions, prepared.seen, name)
        for name, recommend in recommenders.items()
    }
