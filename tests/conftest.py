import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("kerasrec", deadline=None)  # a busy machine is slow, not wrong
settings.load_profile("kerasrec")


@pytest.fixture(scope="session")
def kerasrec_data() -> Path:
    """The folder of real data sets that are not part of the project."""
    folder = os.environ.get("KERASREC_DATA")
    if not folder:
        pytest.skip("needs real data: set KERASREC_DATA to the folder that holds it")
    if not Path(folder).is_dir():
        pytest.fail(f"KERASREC_DATA is {folder}, which is not a folder")
    return Path(folder).resolve()
