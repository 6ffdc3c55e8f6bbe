"""Check settings against the choices that their types name."""

from typing import Literal, get_args, get_origin, get_type_hints

from kerasrec.errors import require


def require_choices(settings: object) -> None:
    """Refuse settings with a value that the `Literal` type of its field does not list.

    Args:
        settings: An instance of a dataclass.

    Raises:
        KerasrecError: a value is not one of the choices.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass
        ... class Colours:
        ...     background: Literal["light", "dark"] = "light"
        >>> require_choices(Colours("pink"))
        Traceback (most recent call last):
        kerasrec.errors.KerasrecError: background is 'pink'; it must be one of light, dark
    """
    for name, kind in get_type_hints(type(settings)).items():
        if get_origin(kind) is Literal:
            choices = get_args(kind)
            given = getattr(settings, name)
            require(given in choices, name, given, f"one of {', '.join(map(str, choices))}")
