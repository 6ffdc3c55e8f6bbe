#!/usr/bin/env python3
"""Redraw the training curves: usage: python visualize.py [options of kerasrec anime plot]"""

import sys

import own_python  # noqa: F401  before anything of kerasrec

from kerasrec.cli import main

if __name__ == "__main__":
    sys.exit(main(["anime", "plot", *sys.argv[1:]]))
