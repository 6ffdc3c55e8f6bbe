"""Command lines in forks of a process that has loaded all modules, which can be killed at chosen moments.

As a program, this file reads requests and writes answers, one line of JSON each. It runs no operation of TensorFlow
before a fork, because TensorFlow's threads do not survive one.
"""

import contextlib
import importlib
import json
import os
import signal
import sqlite3
import subprocess
import sys

from kerasrec import backend  # noqa: F401
from kerasrec.cli import main
from kerasrec.data.text import characters
from kerasrec.systems import SYSTEMS


class Forks:
    """The process whose forks run the command lines."""

    def __init__(self):
        self._process = subprocess.Popen(
            [sys.executable, "-B", __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, words, folder, kill_at=None, renames_only=False):
        """Run a command line.

        Args:
            words: Its words after `kerasrec`.
            folder: Changes in this folder are counted.
            kill_at: The process kills itself before the change with this number, from 1.
            renames_only: Count renames only.

        Returns:
            The exit code, negative for a signal; the number of changes; what was printed.
        """
        request = {"words": list(map(str, words)), "changes": [str(folder), kill_at, renames_only]}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self):
        self._process.stdin.close()
        self._process.wait()


class Changes:
    """Counts changes in a folder, and kills this process before one of them.

    A change is a file that Python opens to write it, a rename, a removal, a new folder, or a statement of SQLite. If it
    is the rename of an unfinished file, the file loses its second half, as if the kill had come while it was written.
    """

    KINDS = {"os.rename", "os.remove", "os.mkdir", "os.rmdir"}

    def __init__(self, folder, kill_at, renames_only):
        self.folder = folder
        self.kill_at = kill_at
        self.kinds = {"os.rename"} if renames_only else self.KINDS | {"open", "statement"}
        self.count = 0

    def watch(self):
        sys.addaudithook(self._hook)
        connect = sqlite3.connect

        def traced(*args, **options):
            connection = connect(*args, **options)
            connection.set_trace_callback(lambda statement: self._next("statement"))
            return connection

        sqlite3.connect = traced

    def _hook(self, event, args):
        if event not in self.kinds or isinstance(args[0], int):
            return
        if event == "open" and not set(args[1] or "") & set("wax+"):
            return
        path = os.path.abspath(os.fsdecode(args[0]))
        if path.startswith(self.folder):
            self._next(event, path)

    def _next(self, kind, path=""):
        self.count += kind in self.kinds
        if self.count == self.kill_at:
            if kind == "os.rename" and path.endswith(".unfinished") and os.path.isfile(path):
                os.truncate(path, os.path.getsize(path) // 2)
            os.kill(os.getpid(), signal.SIGKILL)


def _answer(words, changes):
    """Fork, and let the fork run a command line."""
    read, write = os.pipe()
    process = os.fork()
    if not process:
        code = 1
        with contextlib.suppress(BaseException):
            for number in (1, 2):
                os.dup2(write, number)
            changes.watch()
            code = main(words)
            print(f"\n{changes.count}", flush=True)
        os._exit(code)
    os.close(write)
    with open(read, encoding="utf-8", errors="replace") as pipe:
        printed, _, count = pipe.read().rstrip("\n").rpartition("\n")
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    return code, int(count) if count.isdigit() else 0, printed


def _serve():
    for _, function in (step for steps in SYSTEMS.values() for step in steps.values()):
        importlib.import_module(function.rsplit(".", 1)[0])
    for kind in ("space", "removed", "cjk", "punctuation", "accent", "blank_character"):
        characters.re2_class(getattr(characters, f"is_{kind}"))  # takes seconds, and is kept
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(_answer(request["words"], Changes(*request["changes"]))), flush=True)


if __name__ == "__main__":
    _serve()
