#!/usr/bin/env python3
"""Train on the lists in data/bert.db: usage: python train_model.py [options of kerasrec anime train]"""

import sys

import own_python  # noqa: F401  before anything of kerasrec

from kerasrec.cli import main

if __name__ == "__main__":
    sys.exit(main(["anime", "train", *sys.argv[1:]]))
