import gzip
import itertools
import json
import re
import shutil

import pytest


@pytest.mark.slow
def test_from_made_up_lists_to_a_page(tmp_path, executed):
    notebook = executed("anime.ipynb", EPOCHS=1)
    assert notebook.pictures == 1, "the curves"
    figures = json.loads((tmp_path / "output" / "models" / "evaluation.json").read_text(encoding="utf-8"))["figures"]
    assert set(figures) == {"model", "popularity", "co-occurrence"}
    assert re.search("viewer0: 2[0-9] titles watched", notebook.printed)
    assert len(re.findall(r"is read as The one about \w+ no\. \d+", notebook.printed)) == 4, "twice two liked titles"
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("<li>") == 10


@pytest.mark.slow
def test_from_files(tmp_path, executed, kerasrec_data):
    folder = tmp_path / "mal"
    folder.mkdir()
    shutil.copy(kerasrec_data / "anime" / "anime_info.dat", folder)
    with gzip.open(kerasrec_data / "anime" / "anime_history.dat.gz", "rt", encoding="utf-8") as file:
        lines = list(itertools.islice(file, 5_000))
    with gzip.open(folder / "anime_history.dat.gz", "wt", encoding="utf-8") as file:
        file.writelines(lines)
    notebook = executed("anime.ipynb", EPOCHS=1, MAL=folder)
    assert notebook.pictures == 1 and "titles watched" in notebook.printed
