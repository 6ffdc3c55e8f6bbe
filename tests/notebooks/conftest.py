from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


class Executed:
    """What a notebook showed."""

    def __init__(self, cells):
        self.outputs = [output for cell in cells if cell.cell_type == "code" for output in cell.outputs]

    @property
    def printed(self):
        """Plain text of all outputs; tables are not printed but displayed."""
        return "".join(output.get("text") or output.get("data", {}).get("text/plain", "") for output in self.outputs)

    @property
    def pictures(self):
        return sum("image/png" in output.get("data", {}) for output in self.outputs)

    @property
    def last(self):
        return self.outputs[-1]["data"]["text/plain"]


@pytest.fixture
def executed(tmp_path, monkeypatch):
    """Executes a notebook, by its name, with `tmp_path` as its folder."""

    def execute(name, **variables):
        for variable in ("PAIRS", "VOCAB", "USERS", "MAL", "ANILIST", "SHOP"):
            monkeypatch.delenv(variable, raising=False)
        for variable, value in {"FOLDER": tmp_path, **variables}.items():
            monkeypatch.setenv(variable, str(value))
        notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
        assert all(not cell.get("outputs") for cell in notebook.cells), "it is kept with outputs"
        folder = {"metadata": {"path": str(tmp_path)}}
        NotebookClient(notebook, timeout=400, kernel_name="python3", resources=folder).execute()
        return Executed(notebook.cells)

    return execute
