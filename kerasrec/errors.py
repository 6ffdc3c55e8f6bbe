"""The one exception that is meant for a person, and the check that most often raises it."""


class KerasrecError(Exception):
    """Something the person who runs kerasrec can put right.

    The message is one line: what was given, what is allowed, what to do about it. The command line prints it
    without a stack trace and ends with exit code 2.
    """


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
        raise KerasrecError(f"{name} is {given!r}; it must be {allowed}")
