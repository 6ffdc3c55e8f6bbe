import os

import pytest

from kerasrec.data.logs.log_paths import find_logs
from kerasrec.errors import KerasrecError

HEADED = "user_id,item_id\n1,2\n"


def test_a_folder_a_file_and_a_glob(tmp_path):
    for name in ("b.csv", "a.csv", "inner/c.csv", "a/x/d.csv", ".hidden", "_SUCCESS", "_temporary/e.csv", ".x/f.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(HEADED)

    def names(log):
        return [path.relative_to(tmp_path).as_posix() for path in find_logs(str(log))]

    assert names(tmp_path) == ["a/x/d.csv", "a.csv", "b.csv", "inner/c.csv"]
    assert names(tmp_path / "b.csv") == ["b.csv"]
    assert names(tmp_path / "**/*.csv") == ["a/x/d.csv", "a.csv", "b.csv", "inner/c.csv"]
    assert names(tmp_path / "*") == names(tmp_path / "**") == names(tmp_path)  # folders that match the glob are read


def test_symbolic_links(tmp_path):
    (tmp_path / "b.csv").write_text(HEADED)
    (tmp_path / "a").symlink_to(tmp_path / "b.csv")
    assert [path.name for path in find_logs(str(tmp_path))] == ["a"]  # the same file is read once
    (tmp_path / "c").symlink_to(tmp_path / "nowhere")
    with pytest.raises(KerasrecError, match="/c links to a file that does not exist"):
        find_logs(str(tmp_path))
    (tmp_path / "c").unlink()
    (tmp_path / "c").symlink_to(tmp_path)
    with pytest.raises(KerasrecError, match="/c links to a folder that contains it"):
        find_logs(str(tmp_path))


def test_a_log_without_files_is_refused(tmp_path):
    with pytest.raises(KerasrecError, match="the folder .* holds no files; give a file, a folder with log files in it"):
        find_logs(str(tmp_path))
    with pytest.raises(KerasrecError, match="the pattern .* holds no files"):
        find_logs(str(tmp_path / "*.csv"))
    with pytest.raises(KerasrecError, match="the log .*/none does not exist"):
        find_logs(str(tmp_path / "none"))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(KerasrecError, match="the log .*/pipe is neither a file nor a folder"):
        find_logs(str(tmp_path / "pipe"))
