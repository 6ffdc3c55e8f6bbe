import dataclasses

import pytest

from kerasrec.errors import KerasrecError
from kerasrec.recall.settings import Split


def test_the_old_option_names_of_the_script_work():
    for old in (Split(data_path="LOGS/1", save_path="out"), Split("LOGS/1", save_path="out")):
        assert (old.log, old.data_path) == ("LOGS/1", "out")
        assert old.save_path is not None  # which says so
        assert dataclasses.replace(old, parts=3).data_path == "out"
    assert (Split(data_path="LOGS/1").log, Split(data_path="LOGS/1").data_path) == ("LOGS/1", "./data/")
    new = Split("LOGS/?.csv", data_path="out")
    assert (new.log, new.data_path, new.save_path) == ("LOGS/?.csv", "out", None)
    with pytest.raises(KerasrecError, match="no log is given: pass --log"):
        Split()
    with pytest.raises(KerasrecError, match="--data-path a and --save-path b both name the work folder"):
        Split("LOGS", data_path="a", save_path="b")
