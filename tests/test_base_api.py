import gc

import pytest

from kerasrec.base_api import System
from kerasrec.errors import KerasrecError
from kerasrec.training.settings import DeviceSettings


class Example(System):
    STEPS = (DeviceSettings,)


def test_settings_are_checked_and_passed_on(tmp_path):
    example = Example(tmp_path, gpu=1)
    assert example._step(DeviceSettings) == DeviceSettings(gpu=1)
    assert repr(example) == f"Example({str(tmp_path)!r}, gpu=1)"
    with pytest.raises(KerasrecError, match="^Example has no setting gpus; did you mean gpu"):
        Example(tmp_path, gpus=1)


def test_a_temporary_folder_is_removed_with_its_object():
    example = Example()
    folder = example.folder
    (folder / "data").mkdir()
    del example
    gc.collect()
    assert not folder.exists()
