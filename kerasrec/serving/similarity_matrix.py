"""Draw the similarities of texts as a matrix."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager

from kerasrec.workspace.atomic_files import replacing

LONGEST_LABEL = 40
# Common font families with Chinese characters, by their names in matplotlib.
_CHINESE = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Source Han Sans SC",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "PingFang SC",
    "PingFang HK",
    "Hiragino Sans GB",
    "Microsoft YaHei",
    "SimHei",
)


def draw(path: Path, texts: Sequence[str], vectors: np.ndarray) -> None:
    """Draw the cosines of all pairs of texts as a matrix.

    Rows and columns are numbered from 1, and rows are labelled with their texts. Characters that the installed fonts
    lack are drawn as boxes.

    Args:
        path: The PNG file to write.
        texts: The n texts; up to about 50 are legible.
        vectors: float32 [n, H], each of length 1.

    Raises:
        KerasrecError: the disk is full.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "similarities.png"
        >>> draw(path, ["north", "north-east", "east"], np.array([[0, 1], [0.6, 0.8], [1, 0]], np.float32))
        >>> path.read_bytes()[1:4]
        b'PNG'
    """
    side = 2.5 + 0.25 * len(texts)
    figure = Figure(figsize=(side + 4, side), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(vectors @ vectors.T, vmax=1)
    numbers = np.arange(len(texts))
    installed = {font.name for font in fontManager.ttflist}
    families = ["sans-serif", *(family for family in _CHINESE if family in installed)]
    labels = [f"{_shortened(text)}  {number + 1}" for number, text in enumerate(texts)]
    axes.set_xticks(numbers, numbers + 1, rotation=90)
    axes.set_yticks(numbers, labels, family=families, parse_math=False)  # a dollar sign does not start a formula
    axes.set(title="cosines")
    figure.colorbar(image)
    with replacing(path) as unfinished, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(unfinished, dpi=110, format="png")


def _shortened(text: str) -> str:
    """A text on one line of at most `LONGEST_LABEL` characters."""
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_LABEL else f"{text[: LONGEST_LABEL - 1]}…"
