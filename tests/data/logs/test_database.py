import errno

import duckdb
import pytest

from kerasrec.data.logs.database import database, readable_errors
from kerasrec.errors import KerasrecError


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (duckdb.IOException("IO Error: No space left on device"), "no space left on the disk"),
        (duckdb.TransactionException("Failed to commit: No space left on device\nmore"), "no space left on the disk"),
        (duckdb.OutOfMemoryException("failed to offload: max_temp_directory_size"), "no space left on the disk"),
        (
            duckdb.OutOfMemoryException("Out of Memory Error: x\nmore"),
            "memory_limit 1GB is too small .*Error: x.; pass",
        ),
        (duckdb.FatalException("FATAL Error: x\nmore"), "DuckDB stopped in .*FATAL Error: x"),
        (OSError(errno.ENOSPC, "No space left on device"), "no space left on the disk"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "no space left on the disk"),
    ],
)
def test_errors_that_a_user_can_fix_are_one_line(tmp_path, error, message):
    with pytest.raises(KerasrecError, match=message) as raised, readable_errors(tmp_path / "work", "1GB"):
        raise error
    assert "\n" not in str(raised.value)


def test_other_errors_are_not_changed(tmp_path):
    with pytest.raises(PermissionError), readable_errors(tmp_path, "1GB"):
        raise PermissionError(errno.EACCES, "Permission denied")
    with pytest.raises(KerasrecError, match="^mine$"), database(tmp_path, "1GB") as db:
        assert db.sql("SELECT current_setting('memory_limit')").fetchall() != []
        raise KerasrecError("mine")
