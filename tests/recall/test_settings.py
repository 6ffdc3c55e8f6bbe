import dataclasses

import pytest

from kerasrec.data.logs.settings import SplitSettings
from kerasrec.errors import KerasrecError
from kerasrec.recall.settings import Split


def test_the_old_option_names_of_the_script_work():
    for old in (Split(data_path="LOGS/1", save_path="out"), Split("LOGS/1", save_path="out")):
        assert old.is_old_form
        for split in (old.current_form, dataclasses.replace(old, parts=3).current_form):
            assert (split.log, split.data_path) == ("LOGS/1", "out")
    old = Split(data_path="LOGS/1")
    assert old.is_old_form and (old.current_form.log, old.current_form.data_path) == ("LOGS/1", "./data/")
    new = Split("LOGS/?.csv", data_path="out", parts=3)
    assert not new.is_old_form
    assert new.current_form == SplitSettings("LOGS/?.csv", "out", parts=3)
    with pytest.raises(KerasrecError, match="no log is given: pass --log"):
        Split()
    with pytest.raises(KerasrecError, match="--data-path a and --save-path b both name the work folder"):
        Split("LOGS", data_path="a", save_path="b")
