"""The `kerasrec` command: parse, call, print."""

import argparse
import importlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Union

import tyro

import kerasrec
from kerasrec import signals
from kerasrec.console import logged_to_stdout, plain, print_result
from kerasrec.data.inputs.encodings import is_unicode
from kerasrec.errors import KerasrecError, quoted, reason
from kerasrec.extras import missing_package
from kerasrec.systems import DESCRIPTIONS, SYSTEMS


def main(args: Sequence[str] | None = None) -> int:
    """Run one command line.

    Args:
        args: Its words after `kerasrec`; by default those of this process.

    Returns:
        The exit code: 0; 2 after an error that the user can fix, which is printed as one line; 130, 143 or 129 after
        SIGINT, SIGTERM or SIGHUP.
    """
    parser = argparse.ArgumentParser(
        prog="kerasrec", description="From raw behaviour logs and raw text to served BERT models."
    )
    parser.add_argument("--version", action="version", version=f"kerasrec {kerasrec.__version__}")
    described = "; ".join(f"{name}: {description}" for name, description in DESCRIPTIONS.items())
    parser.add_argument("system", choices=SYSTEMS, help=described)
    parser.add_argument("step", nargs=argparse.REMAINDER, help="`kerasrec recall --help` lists the steps of recall")
    words = parser.parse_args(args)
    if foreign := next((word for word in words.step if not is_unicode(word)), None):
        return _refuse("kerasrec", f"{quoted(os.fsencode(foreign))} is not UTF-8: give the file or folder another name")
    steps = SYSTEMS[words.system]
    kinds = [Annotated[settings, tyro.conf.subcommand(name)] for name, (settings, _) in steps.items()]
    choices: Any = Union[tuple(kinds)]  # noqa: UP007  made at run time

    def step() -> None:
        settings = tyro.cli(
            choices,
            prog=f"kerasrec {words.system}",
            args=words.step,
            config=(tyro.conf.OmitSubcommandPrefixes, tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff),
        )
        module, function = next(path for kind, path in steps.values() if type(settings) is kind).rsplit(".", 1)
        print_result(getattr(importlib.import_module(module), function)(settings))

    return exit_code("kerasrec", step, words.system)


def exit_code(program: str, work: Callable[[], None], system: str = "") -> int:
    """Do the work of a command line; an error or a signal that ends it is printed as one line.

    Args:
        program: What was typed; the line begins with it.
        work: What is to be done; what it logs is printed.
        system: The system whose work it is.

    Returns:
        The exit code, as `main` gives it.
    """
    try:
        with logged_to_stdout(), signals.stoppable():
            work()
    except KerasrecError as error:
        return _refuse(program, str(error))
    except ModuleNotFoundError as error:
        known = missing_package(error, system)
        if not isinstance(known, KerasrecError):
            raise
        return _refuse(program, str(known))
    except OSError as error:
        path = error.filename2 or error.filename  # in a rename, the target
        return _refuse(program, f"{path}: {reason(error)}" if path else reason(error))
    except KeyboardInterrupt as error:
        stopped = error if isinstance(error, signals.Stopped) else signals.Stopped(signal.SIGINT)
        print(f"{program}: {stopped}; the same command resumes from the saved state", file=sys.stderr)
        return 128 + stopped.signal
    return 0


def _refuse(program: str, message: str) -> int:
    print(f"{program}: {plain(message)}".replace("\n", " "), file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
