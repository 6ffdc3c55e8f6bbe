"""Make the picture of the README and of the start page: usage: python docs/make_pictures.py [FOLDER]

FOLDER is the folder of a quickstart; without it, the quickstart runs in a temporary folder first.
"""

import sys
import tempfile
from pathlib import Path

import matplotlib

from kerasrec.data.logs.synthetic import SyntheticLog
from kerasrec.recall.dataset import PreparedData
from kerasrec.recall.quickstart import ALL, quickstart, valid_references
from kerasrec.recall.settings import Quickstart
from kerasrec.training.curves import comparable_lines, training_figure
from kerasrec.training.monitor import Monitor
from kerasrec.workspace.run_folders import RunFolders, find_parts

IMAGES = Path(__file__).parent / "images"


def draw_quickstart(folder: Path) -> Path:
    """Draw the curves of a quickstart as an SVG file."""
    task, parts = find_parts(ALL, RunFolders(*(folder / name for name in ("data", "output", "export"))))
    prepared, monitor = PreparedData(task, parts), Monitor()
    references = valid_references(SyntheticLog(seed=Quickstart().seed), prepared, monitor.figures[0])
    figure = training_figure(
        *comparable_lines(task.output, monitor), monitor, str(prepared.protocol("valid")), references
    )
    figure.set_size_inches(9, 4)  # larger letters in a page's column
    path = IMAGES / "quickstart.svg"
    with matplotlib.rc_context({"svg.hashsalt": "kerasrec"}):  # the same file for the same figures
        figure.savefig(path, metadata={"Date": None})
    return path


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(draw_quickstart(Path(sys.argv[1])))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            quickstart(Quickstart(folder=Path(temporary)))
            print(draw_quickstart(Path(temporary)))
