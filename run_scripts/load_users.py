#!/usr/bin/env python3
"""Fetch users' anime lists into data/bert.db: usage: python load_users.py [options of kerasrec anime fetch-users]"""

import sys

import own_python  # noqa: F401  before anything of kerasrec

from kerasrec.cli import main

if __name__ == "__main__":
    sys.exit(main(["anime", "fetch-users", *sys.argv[1:]]))
