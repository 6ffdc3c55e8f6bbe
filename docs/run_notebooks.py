"""Run the notebooks, so that the tutorials show their outputs: usage: python docs/run_notebooks.py

Copies with outputs are written to `docs/executed/`, which is not committed. Pages that are built afterwards have the
outputs of all copies whose code is that of the notebook. The notebooks run on their simulated data; all of them take
some minutes.
"""

import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
EXECUTED = Path(__file__).parent / "executed"


def run(path: Path) -> Path:
    """Run a notebook in a temporary folder and write a copy with its outputs."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(notebook, timeout=None, resources={"metadata": {"path": folder}}).execute()
    EXECUTED.mkdir(exist_ok=True)
    nbformat.write(notebook, EXECUTED / path.name)
    return EXECUTED / path.name


if __name__ == "__main__":
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        print(run(path), flush=True)
