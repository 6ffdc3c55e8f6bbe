"""Settings of steps from keywords with the names of the command line's options; imports no TensorFlow."""

import dataclasses
import difflib
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import typeguard

from kerasrec.errors import KerasrecError, quoted

_Settings = TypeVar("_Settings")


def keyword_names(kind: type, without: Iterable[str] = ()) -> set[str]:
    """Names of all settings of a dataclass and of the settings inside it.

    Args:
        kind: A dataclass of settings.
        without: Names of fields to leave out, together with the settings inside them.

    Example:
        >>> from kerasrec.training.settings import DeviceSettings
        >>> sorted(keyword_names(DeviceSettings, without=["gpu"]))
        ['gpu_memory', 'precision']
    """
    names: set[str] = set()
    for name, annotation in _fields(kind).items():
        if name not in without:
            inner = _settings_class(annotation)
            names |= keyword_names(inner, without) if inner else {name}
    return names


def settings_of(kind: type[_Settings], keywords: Mapping[str, object], **fixed: object) -> _Settings:
    """Settings of a step; keywords of other steps are ignored.

    Args:
        kind: The dataclass of the step.
        keywords: Values by the names of `keyword_names`.
        fixed: Values of fields of `kind` itself; they take precedence over keywords.

    Raises:
        KerasrecError: a value has a wrong type or is out of range.

    Example:
        >>> from kerasrec.training.settings import DeviceSettings
        >>> settings_of(DeviceSettings, {"gpu": 1, "epochs": 3})
        DeviceSettings(precision='float32', gpu=1, gpu_memory=None)
    """
    values = dict(fixed)
    for name, annotation in _fields(kind).items():
        inner = _settings_class(annotation)
        if name in values:
            continue
        if inner and keyword_names(inner) & keywords.keys():
            values[name] = settings_of(inner, keywords)
        elif not inner and name in keywords:
            values[name] = _checked(name, keywords[name], annotation)
    return kind(**values)


def keywords_of(values: Mapping[str, object], kind: type, without: Iterable[str] = ()) -> dict[str, object]:
    """The flat keywords for stored settings of a step, as in a `config.json`; the opposite of `settings_of`.

    Args:
        values: Values by field, with inner dictionaries for settings inside; other names are ignored.
        kind: The dataclass of the step.
        without: Names of fields to leave out.

    Raises:
        KerasrecError: settings inside are not a dictionary.

    Example:
        >>> from kerasrec.training.settings import DeviceSettings
        >>> keywords_of({"gpu": 1, "precision": "float32", "of_another_version": 2}, DeviceSettings)
        {'precision': 'float32', 'gpu': 1}
    """
    found: dict[str, object] = {}
    for name, annotation in _fields(kind).items():
        if name in without or name not in values:
            continue
        inner, value = _settings_class(annotation), values[name]
        if inner is None:
            found[name] = value
        elif isinstance(value, Mapping):
            found |= keywords_of(value, inner, without)
        else:
            raise KerasrecError(f"{name} is {quoted(value)}; it must hold settings by name")
    return found


def require_known(keywords: Iterable[str], known: Iterable[str], where: str) -> None:
    """Refuse keywords that no step has.

    Args:
        keywords: The names that were given.
        known: The names that are allowed.
        where: The class or function, for the message.

    Raises:
        KerasrecError: a keyword is unknown; the message names similar ones.

    Example:
        >>> require_known(["hiden_size"], ["hidden_size", "epochs"], "ItemRecall")
        Traceback (most recent call last):
        kerasrec.errors.KerasrecError: ItemRecall has no setting hiden_size; did you mean hidden_size?
    """
    known = list(known)
    for name in keywords:
        if name not in known:
            similar = difflib.get_close_matches(name, known, 3)
            hint = (
                f"did you mean {' or '.join(similar)}?" if similar else f"its settings are {', '.join(sorted(known))}"
            )
            raise KerasrecError(f"{where} has no setting {name}; {hint}")


def _fields(kind: type) -> dict[str, object]:
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _settings_class(annotation: object) -> type | None:
    return annotation if isinstance(annotation, type) and dataclasses.is_dataclass(annotation) else None


def _checked(name: str, value: object, annotation: object) -> object:
    kinds = typing.get_args(annotation) or (annotation,)
    if isinstance(value, str) and Path in kinds and str not in kinds:
        value = Path(value)
    if isinstance(value, list):
        value = tuple(value)
    try:
        if isinstance(value, bool) and bool not in kinds:  # Python counts True as an int
            raise typeguard.TypeCheckError("bool")
        return typeguard.check_type(value, annotation)
    except typeguard.TypeCheckError:
        raise KerasrecError(f"{name} is {quoted(value)}; it must be {_describe(annotation)}") from None


def _describe(annotation: object) -> str:
    if typing.get_origin(annotation) is typing.Literal:
        return f"one of {', '.join(map(str, typing.get_args(annotation)))}"
    return annotation.__name__ if isinstance(annotation, type) else str(annotation).replace("typing.", "")
