"""How similar texts are, as a picture."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager

from kerasrec.workspace.atomic_files import replacing

LONGEST_LABEL = 40
# Families with Chinese characters that systems and their packages bring, by the names that matplotlib knows.
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

    Rows and columns are numbered from 1, and rows have their text as well. Characters that no known font of the system
    has are drawn as boxes.

    Args:
        path: The PNG file to write.
        texts: The texts, n of them; a page has room for some dozens.
        vectors: float32 [n, H], each of length 1.

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
    places = np.arange(len(texts))
    installed = {font.name for font in fontManager.ttflist}
    families = ["sans-serif", *(family for family in _CHINESE if family in installed)]
    labels = [f"{_shortened(text)}  {place + 1}" for place, text in enumerate(texts)]
    axes.set_xticks(places, places + 1, rotation=90)
    axes.set_yticks(places, labels, family=families, parse_math=False)  # dollars are dollars
    axes.set(title="cosines")
    figure.colorbar(image)
    with replacing(path) as unfinished, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(unfinished, dpi=110, format="png")


def _shortened(text: str) -> str:
    """A text on one line that is not too long."""
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_LABEL else f"{text[: LONGEST_LABEL - 1]}…"
