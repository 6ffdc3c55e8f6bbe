"""Runs a command line that can be killed at a chosen moment: `python killed_step.py WORDS FOLDER KILL_AT RENAMES_ONLY`.

All words are JSON. The last line that it prints is the number of changes.
"""

import json
import os
import signal
import sqlite3
import sys

from kerasrec.cli import main


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


if __name__ == "__main__":
    words, *changes = map(json.loads, sys.argv[1:])
    watched = Changes(*changes)
    watched.watch()
    code = main(words)
    print(f"\n{watched.count}", flush=True)
    sys.exit(code)
