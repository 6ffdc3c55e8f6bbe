"""The losses over a catalogue and the sources of negatives that an item model can be trained with, by name.

To add one, write its module and add one line here. This module imports no TensorFlow, so that the settings, and with
them the command line, can list the names.
"""

import pkgutil
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple


class ItemLoss(NamedTuple):
    """A loss over the items of a catalogue.

    Its function takes `queries`, `table`, `bias`, `ids`, `visible` and, if it has sources of negatives, `negatives`
    (`kerasrec.nn.losses.full_softmax`, `kerasrec.nn.losses.sampled_softmax`).
    """

    path: str
    """Module and name of the function."""
    negative_sources: tuple[str, ...] = ()
    """The sources of negatives that it allows; empty if it scores all items."""
    options: Mapping[str, str] = MappingProxyType({})
    """Further arguments of the function, and the fields of `ItemModelSettings` that give their values."""

    def function(self) -> Callable:
        """The function itself; its module is imported by this call."""
        return pkgutil.resolve_name(self.path)


ITEM_LOSSES = {
    "softmax": ItemLoss("kerasrec.nn.losses.full_softmax:full_softmax"),
    "sampled": ItemLoss("kerasrec.nn.losses.sampled_softmax:sampled_softmax", ("uniform", "popularity", "in-batch")),
    "gbce": ItemLoss("kerasrec.nn.losses.gbce:gbce", ("uniform",), {"calibration": "gbce_calibration"}),
}

NEGATIVE_SOURCES = {
    "uniform": "kerasrec.nn.negatives.uniform:UniformNegatives",
    "popularity": "kerasrec.nn.negatives.popularity:PopularityNegatives",
    "in-batch": "kerasrec.nn.negatives.in_batch:InBatchNegatives",
}
"""Module and name of each class; see `kerasrec.nn.negatives.sample.NegativeSource`."""

if TYPE_CHECKING:
    ItemLossName = str
    NegativeSourceName = str
else:
    ItemLossName = Literal[tuple(ITEM_LOSSES)]
    NegativeSourceName = Literal[tuple(NEGATIVE_SOURCES)]
