"""`training.log`: a copy of the output of a training."""

import contextlib
import logging
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from rich.text import Text

from kerasrec.errors import reason
from kerasrec.workspace.atomic_files import writing

logger = logging.getLogger(__name__)


class _Log:
    """The log file; if writing fails, as on a full disk, it warns once and stops writing."""

    def __init__(self, path: Path, file: TextIO):
        self._path, self._file, self._is_open = path, file, True

    def write(self, text: str) -> None:
        if not self._is_open:
            return
        try:
            self._file.write(text)
            self._file.flush()
        except OSError as error:
            self._is_open = False  # before the warning, which is written to this file too
            with contextlib.suppress(OSError):
                self._file.close()  # otherwise Python writes the buffered text again when it exits
            logger.warning(f"{self._path} cannot be written ({reason(error)}): the rest of the output is not in it")


class _Copying:
    """A stream that also writes each finished line to a log."""

    def __init__(self, stream: TextIO, log: _Log):
        self._stream, self._log = stream, log
        self._line = ""

    def __getattr__(self, name):
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        written = self._stream.write(text)
        *ended, self._line = (self._line + text).split("\n")
        self._line = self._line.rsplit("\r", 1)[-1]  # only the last state of a progress bar
        if ended:
            self._log.write("".join(_as_shown(line) + "\n" for line in ended))
        return written

    def flush(self) -> None:
        self._stream.flush()

    def end(self) -> None:
        """Write the unfinished line."""
        if self._line:
            self._log.write(_as_shown(self._line) + "\n")


def _as_shown(line: str) -> str:
    """A line without colours, with only the last state of a progress bar."""
    return Text.from_ansi(line.rstrip("\r").rsplit("\r", 1)[-1]).plain.replace("\b", "")


@contextlib.contextmanager
def recording(path: Path) -> Iterator[None]:
    """Append all output within the block to a file, after a line with the time and the command.

    Args:
        path: The log file; its folder is created.

    Raises:
        KerasrecError: the disk is full before the block begins.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a", encoding="utf-8")
    with contextlib.closing(file):
        log = _Log(path, file)
        log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {' '.join(sys.argv)}\n")
        out, err = _Copying(sys.stdout, log), _Copying(sys.stderr, log)
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                yield
        except BaseException as error:  # the caller prints it after this block has ended
            log.write(f"{type(error).__name__}: {error}\n")
            raise
        finally:
            out.end()
            err.end()
