"""The one exception that is meant for a person, and the checks that most often raise it."""


class KerasrecError(Exception):
    """Something the person who runs kerasrec can put right.

    The message is one line: what was given, what is allowed, what to do about it. The command line prints it
    without a stack trace and ends with exit code 2.
    """


def quoted(data: object, most: int = 200) -> str:
    """Data for a message: its `repr` without control characters, at most `most` characters.

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
    """The error of another library for a message: its first line without control characters, shortened.

    Example:
        >>> reason(FileNotFoundError(2, "No such file or directory")), reason(KeyError("bert")), reason(MemoryError())
        ('No such file or directory', "KeyError('bert')", 'MemoryError')
    """
    text = getattr(error, "strerror", None) or (repr(error) if isinstance(error, KeyError) else str(error))
    lines = "".join(letter if letter.isprintable() else "\n" * (letter in "\r\n") for letter in text).split("\n")
    line = next(filter(None, map(str.strip, lines)), type(error).__name__)
    return line if len(line) <= most else f"{line[:most]}..."


def require(holds: object, name: str, given: object, allowed: str) -> None:
    """Refuse a setting that lies outside what is allowed.

    Raises:
        KerasrecError: `holds` is false.

    Example:
        >>> require(0 <= 3 <= 1, "share", 3, "between 0 and 1")
        Traceback (most recent call last):
        kerasrec.errors.KerasrecError: share is 3; it must be between 0 and 1
    """
    if not holds:
        raise KerasrecError(f"{name} is {quoted(given)}; it must be {allowed}")


def require_seed(seed: int) -> None:
    """Refuse a seed that TensorFlow, NumPy and scikit-learn do not all take.

    Raises:
        KerasrecError: it is below 0 or above 2147483647.
    """
    require(0 <= seed < 2**31, "seed", seed, "from 0 to 2147483647")
