"""Open any export."""

from pathlib import Path
from typing import TYPE_CHECKING

from kerasrec.extras import missing_package
from kerasrec.serving.item_lists import ItemLists
from kerasrec.serving.recommender import Recommender
from kerasrec.serving.versions import check_files, latest_version

if TYPE_CHECKING:
    from kerasrec.serving.text_model import TextModel

EXPORTS = "kerasrec SYSTEM export"


def load(path: "str | Path") -> "ItemLists | TextModel":
    """Open an export of any system.

    Args:
        path: A version's folder, or the folder of versions, of which the highest is opened.

    Returns:
        An object with the methods of the class that wrote the export, as far as they need no training data: `recommend`
        and `similar_items` for items, `encode`, `similar`, `similarity` and `predict` for texts.

    Raises:
        KerasrecError: there is no export, it is damaged, or kerasrec did not write it.

    Example:
        >>> load("no/such/folder")
        Traceback (most recent call last):
        kerasrec.errors.KerasrecError: there is no exported model in no/such/folder: run `kerasrec SYSTEM export` first

        `kerasrec.ItemRecall` shows how an export is written and opened.
    """
    version = latest_version(path, EXPORTS)
    if (version / "assets" / "items.txt").is_file():
        return ItemLists(Recommender(version, EXPORTS))
    check_files(version, EXPORTS)
    try:
        from kerasrec.serving.text_model import TextModel
    except ModuleNotFoundError as error:
        raise missing_package(error) from None
    return TextModel(version)
