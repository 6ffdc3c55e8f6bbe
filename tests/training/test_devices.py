import pytest

from kerasrec.errors import KerasrecError
from kerasrec.training.devices import use_devices
from kerasrec.training.settings import DeviceSettings


def test_a_missing_gpu():
    with pytest.raises(KerasrecError, match="GPU 7 was requested, but this machine has no GPU"):
        use_devices(DeviceSettings(gpu=7), seed=1)
