from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "item_recall.ipynb"


def test_from_a_log_to_titles(tmp_path, monkeypatch):
    monkeypatch.delenv("MOVIELENS", raising=False)
    monkeypatch.setenv("EPOCHS", "2")
    monkeypatch.setenv("FOLDER", str(tmp_path))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(
        notebook, timeout=400, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    outputs = [output for cell in cells for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs), "the training curve is not shown"
    recommended = cells[-1].outputs[-1]["data"]["text/plain"]
    assert recommended.count("The ") == 10
    assert (tmp_path / "export" / "20210419-notebook-refine-0" / "1" / "saved_model.pb").exists()


def test_it_is_kept_without_outputs():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells)
