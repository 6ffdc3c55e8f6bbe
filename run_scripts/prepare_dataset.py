#!/usr/bin/env python3
"""Fetch anime titles into data/bert.db: usage: python prepare_dataset.py [options of kerasrec anime fetch-titles]"""

import os
import sys

VENV = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), ".venv")

try:
    from kerasrec.cli import main
except ModuleNotFoundError as error:
    python = os.path.join(VENV, "bin", "python")
    if os.path.exists(python) and os.path.realpath(sys.prefix) != os.path.realpath(VENV):
        os.execv(python, [python, *sys.argv])
    quickstart = os.path.join(os.path.dirname(os.path.abspath(__file__)), "quickstart.sh")
    print(f"kerasrec is not installed ({error}): run 'bash {quickstart}' once", file=sys.stderr)
    sys.exit(2)

if __name__ == "__main__":
    sys.exit(main(["anime", "fetch-titles", *sys.argv[1:]]))
