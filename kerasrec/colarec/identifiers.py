"""The step `identifiers`: a unique sequence of codes for each item."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kerasrec.colarec.cold_item_codes import placed_codes
from kerasrec.colarec.dataset import PreparedData
from kerasrec.colarec.hierarchical_kmeans import (
    clustered_codes,
    content_vectors,
    enough_codes,
    random_codes,
    ready_codes,
    require_fit,
)
from kerasrec.colarec.lightgcn import GRAPH, embeddings
from kerasrec.colarec.settings import Identifiers
from kerasrec.command_text import command_line
from kerasrec.errors import KerasrecError
from kerasrec.workspace.locks import exclusive

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class WrittenIdentifiers:
    """Identifiers that were written.

    Attributes:
        path: The file.
        codes: int32 [I, l].
    """

    path: Path
    codes: np.ndarray

    def __str__(self) -> str:
        return f"{self.path}: {self.codes.shape[1]} codes for each of {len(self.codes):,} items"


def identifiers(command: Identifiers) -> WrittenIdentifiers:
    """Compute and store the identifiers; log how many items share the first codes."""
    prepared = PreparedData(command.name, command.folders)
    with exclusive(prepared.data):
        codes = _codes(command, prepared)
        path = prepared.write_array("codes", codes, command_line("kerasrec colarec identifiers", command))
    for level in range(1, codes.shape[1] + 1):
        _, sizes = np.unique(codes[:, :level], axis=0, return_counts=True)
        logger.info(f"first {level} codes: {len(sizes):,} different, of 1 to {sizes.max():,} items")
    return WrittenIdentifiers(path, codes)


def _codes(command: Identifiers, prepared: PreparedData) -> np.ndarray:
    settings, count = command.identifiers, len(prepared.item_ids)
    if settings.source == "ready":
        if prepared.ready_codes is None:
            raise KerasrecError("the corpus has no ready codes ('cid'): add them, or choose another --source")
        return ready_codes(prepared.ready_codes, prepared.item_ids)
    codes = settings.codes or enough_codes(count, settings.length)
    require_fit(count, settings.length, codes)
    form = {"length": settings.length, "codes": codes, "seed": command.seed}
    if settings.source == "random":
        return random_codes(count, **form)
    by_content = settings.source == "content"
    # items without interactions have no useful graph embedding
    known = ~prepared.cold if by_content else prepared.interactions.counts > 0
    if by_content:
        vectors = texts = _texts(prepared, command.seed)
    else:
        vectors = embeddings(prepared, GRAPH)[1]
        texts = None if known.all() else _texts(prepared, command.seed)
    clustered = np.zeros([count, settings.length], np.int32)
    clustered[known] = clustered_codes(vectors[known], **form)
    return clustered if texts is None else placed_codes(clustered, known, texts, codes)


def _texts(prepared: PreparedData, seed: int) -> np.ndarray:
    """Vectors of the items' texts; cold items have no effect on the words and dimensions."""
    return content_vectors(prepared.contents, ~prepared.cold, seed=seed)
