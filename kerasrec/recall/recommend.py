"""Recommend items for a history, with the newest export of a task."""

import csv
import logging
from pathlib import Path

import pandas as pd

from kerasrec.command_text import command_line
from kerasrec.errors import KerasrecError, reason
from kerasrec.recall.histories import user_histories
from kerasrec.recall.settings import Export, Recommend
from kerasrec.serving.recommender import Recommender
from kerasrec.workspace.run_folders import find_task

logger = logging.getLogger(__name__)

LOGGED_ITEMS = 5


def recommend(command: Recommend) -> pd.DataFrame:
    """The k best next items for a history or a user, from the newest export.

    Returns:
        One row per item, the best first: `rank` from 1, `item_id`, `title` where titles are given, and `score`.

    Raises:
        KerasrecError: both or neither of a history and a user are given, the user is unknown, there is no export, or
            the file of titles cannot be read.
    """
    task = find_task(command.name, command.folders)
    if bool(command.items) == (command.user is not None):
        raise KerasrecError("give either --items, once for each item of a history, or --user")
    history = list(command.items)
    if command.user is not None:
        [history] = user_histories(task, [command.user])
    export_all = Export(f"{task.name}-all", folders=command.folders)
    recommender = Recommender(task.export, command_line("kerasrec recall export", export_all))
    if recommender.unique_items and command.keep_seen:
        raise KerasrecError(
            f"{recommender.path} is of a model with unique_items, whose scores of seen items mean nothing: leave out "
            "--keep-seen, or train without --unique-items"
        )
    [best] = recommender.recommend([history], command.k, command.exclude, command.filters_seen)
    titles = read_titles(command.names) if command.names else {}
    _log_history(history, titles)
    items, scores = [item for item, _ in best], [score for _, score in best]
    columns = {"rank": range(1, len(best) + 1), "item_id": items}
    if titles:
        columns["title"] = [titles.get(item, "") for item in items]
    return pd.DataFrame({**columns, "score": scores})


def read_titles(path: Path) -> dict[str, str]:
    """Item titles by raw id, from the first two columns of a CSV file with a header.

    Raises:
        KerasrecError: the file cannot be read, or is not such a file.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.reader(file)
            next(rows)
            return {row[0]: row[1] for row in rows if row}
    except (OSError, UnicodeDecodeError, StopIteration, IndexError, csv.Error) as error:
        raise KerasrecError(
            f"{path} is not a UTF-8 CSV file with a header and the columns id, title ({reason(error)})"
        ) from None


def _log_history(history: list[str], titles: dict[str, str]) -> None:
    latest = history[-LOGGED_ITEMS:]
    which = f", the last {len(latest)} of {len(history)}" if len(history) > LOGGED_ITEMS else ""
    logger.info(f"history{which}: {', '.join(titles.get(item, item) for item in latest) or 'empty'}")
