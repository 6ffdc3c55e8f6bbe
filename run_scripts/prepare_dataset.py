#!/usr/bin/env python3
"""Fetch anime titles into data/bert.db: usage: python prepare_dataset.py [options of kerasrec anime fetch-titles]"""

import sys

import own_python  # noqa: F401  before anything of kerasrec

from kerasrec.cli import main

if __name__ == "__main__":
    sys.exit(main(["anime", "fetch-titles", *sys.argv[1:]]))
