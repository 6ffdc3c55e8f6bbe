import html
import re
from pathlib import Path

import nbformat
import pytest
from jupyter_client import AsyncKernelManager
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


class Executed:
    """What a notebook showed."""

    def __init__(self, notebook):
        self.outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]

    @property
    def printed(self):
        """Plain text of all outputs; tables are not printed but displayed."""
        return "".join(output.get("text") or output.get("data", {}).get("text/plain", "") for output in self.outputs)

    @property
    def pictures(self):
        return sum("image/png" in output.get("data", {}) for output in self.outputs)

    @property
    def tables(self):
        """For each table that was displayed, its rows as texts of the cells; the first row has the names."""
        shown = [output.get("data", {}).get("text/html", "") for output in self.outputs]
        return [_rows(table) for table in shown if "<table" in table]

    @property
    def last(self):
        return self.outputs[-1]["data"]["text/plain"]


def _rows(table):
    rows = re.findall(r"<tr.*?>(.*?)</tr>", table, re.DOTALL)
    return [[html.unescape(cell) for cell in re.findall(r"<t[hd].*?>(.*?)</t[hd]>", row, re.DOTALL)] for row in rows]


@pytest.fixture
def executed(tmp_path, monkeypatch, python):
    """Executes a notebook, by its name, with `tmp_path` as its folder."""

    class ForkedKernel(AsyncKernelManager):
        def format_kernel_cmd(self, *args, **kwargs):
            _, *words = super().format_kernel_cmd(*args, **kwargs)
            return [str(python), *words]

    def execute(name, **variables):
        for variable in ("PAIRS", "VOCAB", "USERS", "MOVIELENS", "MAL", "ANILIST", "SHOP"):
            monkeypatch.delenv(variable, raising=False)
        for variable, value in {"FOLDER": tmp_path, **variables}.items():
            monkeypatch.setenv(variable, str(value))
        notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
        assert all(not cell.get("outputs") for cell in notebook.cells), "it is kept with outputs"
        folder = {"metadata": {"path": str(tmp_path)}}
        client = NotebookClient(
            notebook, timeout=400, kernel_name="python3", kernel_manager_class=ForkedKernel, resources=folder
        )
        client.execute()
        return Executed(notebook)

    return execute
