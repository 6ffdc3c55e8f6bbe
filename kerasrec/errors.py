"""The one exception that is meant for a person."""


class KerasrecError(Exception):
    """Something the person who runs kerasrec can put right.

    The message is one line: what was given, what is allowed, what to do about it. The command line prints it
    without a stack trace and ends with exit code 2.
    """
