"""The `kerasrec` command: parse, call, print."""

import argparse
import errno
import sys
from collections.abc import Sequence
from typing import Annotated

import tyro

from kerasrec.errors import KerasrecError
from kerasrec.recall import commands as recall

SYSTEMS = {
    "recall": (
        Annotated[recall.Split, tyro.conf.subcommand("split")]
        | Annotated[recall.Vocab, tyro.conf.subcommand("vocab")]
        | Annotated[recall.Examples, tyro.conf.subcommand("examples")]
        | Annotated[recall.Train, tyro.conf.subcommand("train")]
        | Annotated[recall.Evaluate, tyro.conf.subcommand("evaluate")]
        | Annotated[recall.Export, tyro.conf.subcommand("export")]
        | Annotated[recall.Recommend, tyro.conf.subcommand("recommend")]
        | Annotated[recall.Quickstart, tyro.conf.subcommand("quickstart")]
    ),
}


def main(args: Sequence[str] | None = None) -> int:
    """Run one command line.

    Args:
        args: Its words after `kerasrec`; by default those of this process.

    Returns:
        The exit code: 0, or 2 after an error that the user can mend, which is printed as one line.
    """
    parser = argparse.ArgumentParser(
        prog="kerasrec", description="From raw behaviour logs and raw text to served BERT models."
    )
    parser.add_argument("system", choices=SYSTEMS, help="recall: from behaviour logs to the next items of a history")
    parser.add_argument("step", nargs=argparse.REMAINDER, help="`kerasrec recall --help` lists the steps")
    words = parser.parse_args(args)
    try:
        tyro.cli(
            SYSTEMS[words.system],
            prog=f"kerasrec {words.system}",
            args=words.step,
            config=(tyro.conf.OmitSubcommandPrefixes, tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff),
        ).run()
    except KerasrecError as error:
        print(f"kerasrec: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EACCES, errno.EROFS):
            raise
        print(f"kerasrec: {error.filename}: {error.strerror}; nothing half written was kept", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("kerasrec: interrupted; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
