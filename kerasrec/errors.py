"""The exception for errors that the user can fix, and helpers that build its messages."""


class KerasrecError(Exception):
    """An error that the user can fix.

    The message is one line: what was given, what is allowed, and what to do. The command line prints it without a
    stack trace and ends with exit code 2.
    """


def quoted(data: object, most: int = 200) -> str:
    """The `repr` of a value for a message: without control characters, at most `most` characters.

    Example:
        >>> quoted("\\x1b[2J"), quoted("a" * 500, most=5)
        ("'\\\\x1b[2J'", "'aaaa...")
    """
    text = repr(data[: most + 1] if isinstance(data, (str, bytes)) else data)
    text = text if len(text) <= most else f"{text[:most]}..."
    return "".join(
        character if character.isprintable() else " " for character in text
    )  # the repr of a table has several lines


def reason(error: Exception, most: int = 200) -> str:
    """The text of another library's error for a message: its first line, without control characters, shortened.

    Example:
        >>> reason(FileNotFoundError(2, "No such file or directory")), reason(KeyError("bert")), reason(MemoryError())
        ('No such file or directory', "KeyError('bert')", 'MemoryError')
    """
    text = getattr(error, "strerror", None) or (repr(error) if isinstance(error, KeyError) else str(error))
    lines = "".join(letter if letter.isprintable() else "\n" * (letter in "\r\n") for letter in text).split("\n")
    line = next(filter(None, map(str.strip, lines)), type(error).__name__)
    return line if len(line) <= most else f"{line[:most]}..."


def require(valid: object, name: str, given: object, allowed: str) -> None:
    """Raise an error for a setting whose value is not allowed.

    Args:
        valid: Whether the value is allowed.
        name: The name of the setting.
        given: The value.
        allowed: A description of the allowed values, such as `between 0 and 1`.

    Raises:
        KerasrecError: `valid` is false.

    Example:
        >>> require(0 <= 3 <= 1, "share", 3, "between 0 and 1")
        Traceback (most recent call last):
        kerasrec.errors.KerasrecError: share is 3; it must be between 0 and 1
    """
    if not valid:
        raise KerasrecError(f"{name} is {quoted(given)}; it must be {allowed}")


def require_seed(seed: int) -> None:
    """Raise an error for a seed that TensorFlow, NumPy or scikit-learn does not accept.

    Raises:
        KerasrecError: the seed is below 0 or above 2147483647.
    """
    require(0 <= seed < 2**31, "seed", seed, "from 0 to 2147483647")
