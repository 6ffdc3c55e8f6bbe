#!/usr/bin/env python3
"""Split logs into parts: usage: python indexes.py --data_path RAW --save_path DIR [options of kerasrec recall split]"""

import sys

import own_python  # noqa: F401  before anything of kerasrec

from kerasrec.cli import main

COMMAND_OPTIONS = {"data_path": "--log", "save_path": "--data-path"}


def to_command(words: list[str]) -> list[str]:
    """Translate the options of this script into options of the command, whose --data-path is the work folder.

    If --log is given, all words are already options of the command.
    """
    if any(word.split("=")[0] == "--log" for word in words):
        return words
    translated = []
    for word in words:
        name, *value = word.split("=", 1)
        known = COMMAND_OPTIONS.get(name[2:].replace("-", "_")) if name.startswith("--") else None
        translated.append("=".join([known or name, *value]))
    return translated


if __name__ == "__main__":
    sys.exit(main(["recall", "split", *to_command(sys.argv[1:])]))
