#!/usr/bin/env python3
"""Split logs into parts: usage: python indexes.py --data_path RAW --save_path DIR [options of kerasrec recall split]"""

import sys

import own_python  # noqa: F401  before anything of kerasrec

from kerasrec.cli import main

if __name__ == "__main__":
    sys.exit(main(["recall", "split", *sys.argv[1:]]))
