"""AniList user names in a file."""

import re
from pathlib import Path

from kerasrec.errors import KerasrecError, quoted

# AniList's own rule is stricter, but not documented.
_NAME = re.compile(r"(?=.{1,50}$)\w[\w-]*")
_PROFILE = re.compile(r"(?:https?://)?(?:www\.)?anilist\.co/user/([^/?#]+)(?:[/?#].*)?", re.IGNORECASE)
_SHOWN = 5


def user_name(line: str) -> str | None:
    """The user name in a line: a name, `@name`, or the address of a profile; None for anything else.

    Example:
        >>> [user_name(line) for line in ("bob", "@bob", "https://anilist.co/user/bob/animelist", "ann,bob")]
        ['bob', 'bob', 'bob', None]
    """
    text = line.strip()
    profile = _PROFILE.fullmatch(text)
    name = profile[1] if profile else text.removeprefix("@")
    return name if _NAME.fullmatch(name) else None


def read_user_names(path: Path) -> tuple[list[str], list[str]]:
    """The user names in a file (one per line), without duplicates, and remarks on the other lines for a summary.

    Raises:
        KerasrecError: the file is missing, or no line holds a user name.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    except FileNotFoundError:
        raise KerasrecError(f"there is no file {path}: write AniList user names into it, one a line") from None
    named = [(number, line.strip(), user_name(line)) for number, line in enumerate(lines, 1) if line.strip()]
    bad = [f"line {number}: {quoted(line, 30)}" for number, line, name in named if name is None]
    good = [name for _, _, name in named if name is not None]
    names = list({name.casefold(): name for name in reversed(good)}.values())[::-1]
    if not names:
        shown = f" ({', '.join(bad[:_SHOWN])})" if bad else ""
        raise KerasrecError(f"{path} holds no AniList user name{shown}; it must hold one a line")
    problems = []
    if bad:
        more = ", ..." if len(bad) > _SHOWN else ""
        problems.append(f"; {len(bad):,} lines hold no user name ({', '.join(bad[:_SHOWN])}{more})")
    if len(good) > len(names):
        problems.append(f"; {len(good) - len(names):,} names are repeated")
    return names, problems
