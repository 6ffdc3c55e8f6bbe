import contextlib
import io
import os
from pathlib import Path

import pytest
from hypothesis import settings

from kerasrec.cli import main

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


class CommandLine:
    """Types the steps of one system, and looks at what they print."""

    def __init__(self, system, after=lambda step: ()):
        self.system = system
        self.after = after  # gives the words behind those of a step

    def words(self, step, *words):
        """A whole command line."""
        return [self.system, step, *map(str, words), *self.after(step)]

    def run(self, *words):
        """Exit code, standard output and standard error of a command line."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(self.words(*words))
        return code, out.getvalue(), err.getvalue()

    def ok(self, *words):
        """Standard output of a command line that has to end well."""
        code, out, err = self.run(*words)
        assert code == 0, err
        return out

    def error(self, *words):
        """The one line of a command line that has to end with exit code 2."""
        code, _, err = self.run(*words)
        assert code == 2, f"exit code {code}: {err}"
        [line] = err.strip().splitlines()
        return line


@pytest.fixture(scope="session")
def command_line():
    """`command_line(system)` types the steps of a system."""
    return CommandLine
