"""The best model as a SavedModel, and asking it."""

import logging
from pathlib import Path

from rich.table import Table

from kerasrec.colarec.dataset import PreparedData
from kerasrec.colarec.explain import explain, item_number, user_history
from kerasrec.colarec.run import Trained
from kerasrec.colarec.settings import Export, Recommend
from kerasrec.colarec.signatures import export_colarec
from kerasrec.commands import command_line
from kerasrec.console import say, show
from kerasrec.errors import KerasrecError
from kerasrec.serving.recommender import Recommender

logger = logging.getLogger(__name__)


def export(command: Export) -> Path:
    """Write the next version of a run's served model; returns its folder."""
    prepared = PreparedData(command.name, command.folders)
    version, signatures = export_colarec(Trained(prepared, command.checkpoint), prepared, command.beam)
    logger.info(f"{version}: a SavedModel with the signatures {', '.join(signatures)}")
    return version


def recommend(command: Recommend) -> list[tuple[str, float]]:
    """Print the k best next items for a history, each with its codes and popular items that share all but the last."""
    prepared = PreparedData(command.name, command.folders)
    if bool(command.items) == (command.user is not None):
        raise KerasrecError("give either --items, once for each item of a history, or --user")
    history = list(command.items) if command.user is None else user_history(prepared, command.user)
    for item in command.items:
        item_number(prepared, item)
    again = command_line("kerasrec colarec export", Export(command.name, folders=command.folders))
    recommender = Recommender(prepared.export, again)
    if recommender.made_of != (prepared.digest, prepared.codes_digest):
        raise KerasrecError(
            f"{recommender.path} was exported with other files or identifiers than those in {prepared.data}: train "
            f"with these, run kerasrec colarec export {prepared.name}, and ask again"
        )
    if command.k > recommender.longest:
        raise KerasrecError(
            f"k is {command.k} and the lists of {recommender.path} have {recommender.longest} items: give a smaller k, "
            f"or export with --beam {command.k}"
        )
    [best] = recommender.recommend([history], command.k)
    contents = dict(zip(prepared.item_ids, prepared.contents, strict=True))
    say("history: " + "; ".join(contents[item] for item in history[-5:]))
    sheet = Table()
    for name in ("item", "content", "codes", "others whose codes begin so", "log-probability"):
        sheet.add_column(name)
    codes = dict(zip(prepared.item_ids, prepared.codes.tolist(), strict=True))
    for item, score in best:
        *_, nearest = explain(prepared, item)
        others = "; ".join(contents[other][:40] for other in nearest.item_ids)
        sheet.add_row(item, contents[item][:80], " ".join(map(str, codes[item])), others, f"{score:.2f}")
    show(sheet)
    return best
