"""Command lines from settings, for messages that name a command, and settings from such command lines."""

import contextlib
import dataclasses
import io
import shlex
from collections.abc import Iterator
from typing import Annotated, Any, TypeVar, get_args, get_origin

import tyro
from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, Positional, UseAppendAction

from kerasrec.errors import KerasrecError, quoted

_Settings = TypeVar("_Settings")

_POSITIONAL, _APPENDED = get_args(Positional[str])[1], get_args(UseAppendAction[str])[1]


def command_line(step: str, *settings: object) -> str:
    """The command that runs a step with these settings, without settings that have their default value.

    Args:
        step: The command without its settings, for example `kerasrec recall vocab`.
        settings: Dataclasses with the settings of the step.

    Example:
        >>> from kerasrec.colarec.settings import CodeSettings, Identifiers
        >>> command_line("kerasrec colarec identifiers", Identifiers("my-shop", CodeSettings(source="ready")))
        'kerasrec colarec identifiers my-shop --source ready'
    """
    words = [(is_name, word) for part in settings for is_name, word in _words(part)]
    names = [word for is_name, word in words if is_name]
    return " ".join([step, shlex.join([*names, *(word for is_name, word in words if not is_name)])]).strip()


def parse_command(command: str, kind: type[_Settings]) -> _Settings:
    """The settings of a step, from the command line that `command_line` returned for them.

    Args:
        command: The command: three words such as `kerasrec recall vocab`, and its settings.
        kind: The dataclass of the step.

    Raises:
        KerasrecError: it is not a command of this step.

    Example:
        >>> from kerasrec.recall.settings import Vocab
        >>> parse_command("kerasrec recall vocab shop-refine-0-all --min-count 3", Vocab).min_count
        3
    """
    try:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            return tyro.cli(kind, args=shlex.split(command)[3:], config=(OmitArgPrefixes, FlagCreatePairsOff))
    except (SystemExit, ValueError):
        raise KerasrecError(f"the stored command {quoted(command)} cannot be read: run it again") from None


def _words(settings: Any, default: object = None) -> Iterator[tuple[bool, str]]:
    """Each word and whether it is the positional name.

    Args:
        settings: A dataclass.
        default: The dataclass with the values that apply without a flag; None for the defaults of the fields.
    """
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        default_value = _default(field) if default is None else getattr(default, field.name)
        if dataclasses.is_dataclass(value):
            yield from _words(value, default_value)
            continue
        marks = get_args(field.type)[1:] if get_origin(field.type) is Annotated else ()
        flag = f"--{field.name.replace('_', '-')}"
        if _POSITIONAL in marks:
            yield True, str(value)
        elif value == default_value:
            continue
        elif isinstance(value, bool):
            yield False, flag if value else flag.replace("--", "--no-", 1)
        elif isinstance(value, (tuple, list)):
            groups = [[flag, str(element)] for element in value] if _APPENDED in marks else [[flag, *map(str, value)]]
            yield from ((False, word) for words in groups for word in words)
        else:
            yield from ((False, word) for word in (flag, str(value)))


def _default(field: dataclasses.Field) -> object:
    """The default of a field; `MISSING` for a required setting."""
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
