import pytest


@pytest.mark.slow
def test_from_a_log_to_titles(tmp_path, executed):
    notebook = executed("item_recall.ipynb", EPOCHS=1)
    assert notebook.pictures, "the training curve is not shown"
    assert notebook.last.count("The ") == 10
    assert (tmp_path / "export" / "20210419-notebook-refine-0" / "1" / "saved_model.pb").exists()
