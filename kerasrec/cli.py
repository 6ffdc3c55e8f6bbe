"""The `kerasrec` command: parse, call, print."""

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Annotated, Union

import tyro

from kerasrec.errors import KerasrecError
from kerasrec.recall import settings as recall

# For each system, its steps: the settings that the command line shows, and the module whose function of the step's name
# takes them. The modules are imported when they are run: most of them load TensorFlow.
SYSTEMS = {
    "recall": {
        "split": (recall.Split, "kerasrec.recall.prepare"),
        "vocab": (recall.Vocab, "kerasrec.recall.prepare"),
        "examples": (recall.Examples, "kerasrec.recall.prepare"),
        "train": (recall.Train, "kerasrec.recall.train"),
        "evaluate": (recall.Evaluate, "kerasrec.recall.evaluate"),
        "export": (recall.Export, "kerasrec.recall.export"),
        "recommend": (recall.Recommend, "kerasrec.recall.export"),
        "quickstart": (recall.Quickstart, "kerasrec.recall.quickstart"),
    },
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
    steps = SYSTEMS[words.system]
    choices = tuple(Annotated[settings, tyro.conf.subcommand(name)] for name, (settings, _) in steps.items())
    try:
        settings = tyro.cli(
            Union[choices],  # noqa: UP007  made at run time
            prog=f"kerasrec {words.system}",
            args=words.step,
            config=(tyro.conf.OmitSubcommandPrefixes, tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff),
        )
        name, module = next((name, module) for name, (kind, module) in steps.items() if type(settings) is kind)
        getattr(importlib.import_module(module), name)(settings)
    except KerasrecError as error:
        print(f"kerasrec: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"kerasrec: {f'{error.filename}: ' if error.filename else ''}{error.strerror or error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("kerasrec: interrupted; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
