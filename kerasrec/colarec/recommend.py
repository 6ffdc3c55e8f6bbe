"""The step `recommend`: items for a history from the exported model, with an explanation of their codes."""

import logging

import pandas as pd

from kerasrec.colarec.dataset import PreparedData
from kerasrec.colarec.explain import explain, item_number, user_history
from kerasrec.colarec.settings import Export, Recommend
from kerasrec.command_text import command_line
from kerasrec.errors import KerasrecError
from kerasrec.serving.recommender import Recommender

logger = logging.getLogger(__name__)

LOGGED_ITEMS = 5


def recommend(command: Recommend) -> pd.DataFrame:
    """The k best next items for a history or a user.

    Returns:
        One row per item, the best first: `rank` from 1, `item_id`, `content`, `codes`, `similar`: popular items with
        the same codes except for the last, and `score`: the log-probability of the codes.

    Raises:
        KerasrecError: both or neither of a history and a user are given, an item or the user is unknown, there is no
            export, or it is older than the identifiers.
    """
    prepared = PreparedData(command.name, command.folders)
    if bool(command.items) == (command.user is not None):
        raise KerasrecError("give either --items, once for each item of a history, or --user")
    history = list(command.items) if command.user is None else user_history(prepared, command.user)
    for item in command.items:
        item_number(prepared, item)
    export_command = command_line("kerasrec colarec export", Export(command.name, folders=command.folders))
    recommender = Recommender(prepared.export, export_command)
    if recommender.made_of != (prepared.digest, prepared.codes_digest):
        raise KerasrecError(
            f"{recommender.path} was exported with other files or identifiers than those in {prepared.data}: train "
            f"with these, run kerasrec colarec export {prepared.name}, and run this command again"
        )
    if command.k > recommender.longest:
        raise KerasrecError(
            f"k is {command.k} and the lists of {recommender.path} have {recommender.longest} items: give a smaller k, "
            f"or export with --beam {command.k}"
        )
    [best] = recommender.recommend([history], command.k)
    contents = dict(zip(prepared.item_ids, prepared.contents, strict=True))
    logger.info("history: " + "; ".join(contents[item] for item in history[-LOGGED_ITEMS:]))
    rows = [
        {"rank": rank, "item_id": item, **described(prepared, item), "score": score}
        for rank, (item, score) in enumerate(best, 1)
    ]
    return pd.DataFrame(rows, columns=["rank", "item_id", "content", "codes", "similar", "score"])


def described(prepared: PreparedData, item_id: str) -> dict[str, str]:
    """The content and the codes of an item, and the contents of popular items with the same codes except for the
    last."""
    number = item_number(prepared, item_id)
    *_, nearest = explain(prepared, item_id)
    similar = [prepared.contents[item_number(prepared, other)][:40] for other in nearest.item_ids]
    return {
        "content": prepared.contents[number][:80],
        "codes": " ".join(map(str, prepared.codes[number])),
        "similar": "; ".join(similar),
    }
