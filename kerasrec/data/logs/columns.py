"""The roles of a text log's columns: from its header, from --columns, or from its rows if these are unambiguous."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from kerasrec.data.inputs.quoted_fields import fields_of
from kerasrec.errors import KerasrecError, quoted

DELIMITERS = ("::", "\t", ",", ";", "|", " ")
"""The delimiters that are tried."""

_PAIR = ("user", "item")
_MOVIELENS = ("user", "item", "rating", "time")
_TYPED = {"tab": "\t", "\\t": "\t", "space": " "}
_LEAST_FITTING = 0.5  # share of the first lines that have as many fields as the first one
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?")
_NAMES = re.compile(
    r"(the)?(user|item|uid|iid|member|customer|client|visitor|session|account|person|buyer|product|article|goods|movie|"
    r"film|book|song|track|video|anime|title|name|item|news|event|rating|score|stars?|timestamp|time|ts|date|datetime|"
    r"category|genres?|用户|会员|顾客|物品|商品|项目|电影|评分|时间|日期)s?(id|ids|no|number|name|code|key|hash|编号|名称)?"
)
_ENDS_OF_IDS = ("id", "ids", "编号")
_FEW = 0.1  # share of the rows that may hold another kind of field, such as the title 1984 among titles


@dataclass(frozen=True)
class ColumnNames:
    """The names of a log's columns."""

    user: str = "user_id"
    item: str = "item_id"
    time: str = "timestamp"
    rating: str = "rating"

    def role(self, name: str) -> str | None:
        """`user`, `item`, `time` or `rating` for one of these names, None for a column that is not read."""
        return {self.user: "user", self.item: "item", self.time: "time", self.rating: "rating"}.get(name)


@dataclass(frozen=True)
class TextColumns:
    """How the lines of a text log are read.

    Attributes:
        roles: For every field `user`, `item`, `time`, `rating` or None.
        delimiter: The delimiter between the fields.
        header: The line that holds names; None when there is none.
        kinds: The kind of most of the first rows in each field: `numbers`, `words`, or `both`.
        first: The first row, for messages.
    """

    roles: tuple[str | None, ...]
    delimiter: str
    header: str | None
    kinds: tuple[str, ...]
    first: tuple[str, ...]


def typed_delimiter(typed: str) -> str:
    """The delimiter for an option's value: `tab`, `\\t` and `space` are names, because they are hard to type.

    Raises:
        KerasrecError: it is empty, or holds letters, digits, quotes or line breaks.
    """
    delimiter = _TYPED.get(typed, typed)
    if not delimiter or re.search(r'[\w"\r\n]', delimiter):
        raise KerasrecError(f"delimiter is {quoted(typed)}; it must be tab, space, or signs such as , ; | or ::")
    return delimiter


def text_columns(
    path: str, lines: Sequence[str], names: ColumnNames, columns: Sequence[str] | None, delimiter: str | None
) -> TextColumns:
    """Detect the columns of a text log.

    Args:
        path: The file, for messages.
        lines: Its first lines that are not blank; at least one.
        names: The names of the columns in headers.
        columns: The names of the columns of a log without a header.
        delimiter: The delimiter; detected where it is not given.

    Raises:
        KerasrecError: the columns are ambiguous. The message says what was found and which option to give.

    Example:
        >>> text_columns("log.csv", ["1,17", "1,4"], ColumnNames(), None, None).roles
        ('user', 'item')
        >>> text_columns("log.csv", ["item,user", "tea,ann"], ColumnNames(), None, None)
        Traceback (most recent call last):
        kerasrec.errors.KerasrecError: log.csv has the columns item, user, but user_id and item_id are needed; say \
which of them hold the user and the item with --major_name and --candidate_name, or what the columns are with \
--columns (such as --columns user_id item_id) if its first line is a row
    """
    delimiter = delimiter or _find_delimiter(path, lines, names)
    rows = [[field.strip() for field in fields_of(line, delimiter)] for line in lines]
    first, rest = rows[0], [row for row in rows[1:] if len(row) == len(rows[0])]
    if names.user in first or names.item in first:
        roles = roles_of(path, first, names)
        if columns is not None and roles != roles_of(path, columns, names):
            raise KerasrecError(
                f"{path} has the header {column_list(first)}, but --columns gives {column_list(columns)}: omit "
                "--columns for files with a header, or give the columns in the order of the header"
            )
        return TextColumns(roles, delimiter, lines[0], _kinds(first, rest), tuple(first))

    def columns_are(roles: tuple[str | None, ...]) -> TextColumns:
        return TextColumns(roles, delimiter, None, _kinds(first, [first, *rest]), tuple(first))

    if columns is not None:
        if len(columns) != len(first):
            raise KerasrecError(
                f"--columns names {len(columns)} columns ({', '.join(columns)}), but the first line of {path} has "
                f"{len(first)}: {quoted(lines[0], most=80)}"
            )
        roles = roles_of(path, columns, names)
        if _looks_like_header(first, rest, roles):
            raise KerasrecError(
                f"the first line of {path}, {quoted(lines[0], most=80)}, looks like a header, and with --columns it "
                "would be a row: if it is a header, remove it, or leave --columns out and pass --major_name and "
                "--candidate_name; if it is a row, put another one in front of it"
            )
        return columns_are(roles)
    if any(map(_is_name, first)) or _unlike(first, rest):
        raise KerasrecError(
            f"{_wrong_columns(path, first, names)}, or what the columns are with --columns (such as --columns "
            f"{names.user} {names.item}) if its first line is a row"
        )
    if delimiter == "::" and len(first) == len(_MOVIELENS) and _kinds(first, rows)[2:] == ("numbers", "numbers"):
        return columns_are(_MOVIELENS)
    if len(first) != len(_PAIR):
        raise KerasrecError(
            f"{path} has no header with {names.user} and {names.item}, and {len(first)} columns (its first line is "
            f"{quoted(lines[0], most=80)}); if that line is a row, say what the columns are, for example --columns "
            f"{names.user} {names.item} {names.time}; if it is a header, pass --major_name and --candidate_name"
        )
    if not any(character.isdigit() for field in first for character in field) and not _comes_again(first, rest):
        raise KerasrecError(
            f"the first line of {path}, {quoted(lines[0], most=80)}, may be a row or a header: if it is a row, say "
            f"what the columns are with --columns {names.user} {names.item} (or {names.item} {names.user}); if it is "
            f"a header, pass --major_name and --candidate_name"
        )
    return columns_are(_PAIR)


def column_list(names: Sequence[str], most: int = 200) -> str:
    """Names of columns for a message, without control characters.

    Example:
        >>> column_list(["user", "a\\tb"]), column_list(["a" * 500], most=5)
        ('user, a\\\\tb', 'aaaaa...')
    """
    text = ", ".join(names)
    return repr(text[:most])[1:-1] + ("..." if len(text) > most else "")


def roles_of(path: str, found: Sequence[str], names: ColumnNames) -> tuple[str | None, ...]:
    """The role of each of these columns.

    Raises:
        KerasrecError: the user or the item is missing, or a column occurs twice.
    """
    roles = tuple(names.role(name) for name in found)
    if "user" not in roles or "item" not in roles:
        raise KerasrecError(_wrong_columns(path, found, names))
    twice = [name for name in found if names.role(name) and list(found).count(name) > 1]
    if twice:
        raise KerasrecError(f"{path} has more than one column called {twice[0]}; rename one of them")
    return roles


def _wrong_columns(path: str, found: Sequence[str], names: ColumnNames) -> str:
    return (
        f"{path} has the columns {column_list(found)}, but {names.user} and {names.item} are needed; say "
        "which of them hold the user and the item with --major_name and --candidate_name"
    )


def _find_delimiter(path: str, lines: Sequence[str], names: ColumnNames) -> str:
    for mark in DELIMITERS:
        if {names.user, names.item} <= {field.strip() for field in fields_of(lines[0], mark)}:
            return mark
    fitting = [mark for mark in DELIMITERS if _fits(mark, lines)]
    preferred = {".csv": [",", ";"], ".tsv": ["\t"]}.get(_extension(path), ["::", "\t"])
    fitting = [mark for mark in preferred if mark in fitting] or fitting
    if fitting[1:] == [" "]:  # texts hold spaces
        fitting = fitting[:1]
    if len(fitting) > 1 and not {"::", "\t"} & set(fitting):
        raise KerasrecError(
            f"{path} may have {' or '.join(map(repr, fitting))} between its fields (its first line is "
            f"{quoted(lines[0], most=80)}); say which with --delimiter"
        )
    found = fitting or [mark for mark in (*preferred, *DELIMITERS) if mark in lines[0]]
    if not found:
        raise KerasrecError(
            f"{path} has only one column (its first line is {quoted(lines[0], most=80)}); a log needs a user and an "
            f"item a line, with a comma, a semicolon, a tab, |, :: or a space between them, or pass --delimiter; "
            f"move a file that is not a log out of the folder"
        )
    return found[0]


def _extension(path: str) -> str:
    suffixes = [suffix.lower() for suffix in PurePath(path).suffixes]
    return next((suffix for suffix in reversed(suffixes) if suffix in (".csv", ".tsv")), "")


def _fits(delimiter: str, lines: Sequence[str]) -> bool:
    counts = [len(fields_of(line, delimiter)) for line in lines]
    return counts[0] > 1 and counts.count(counts[0]) > _LEAST_FITTING * len(counts)


def _is_name(field: str) -> bool:
    return bool(_NAMES.fullmatch(re.sub(r"[\s_.-]", "", field.lower())))


def _looks_like_header(first: Sequence[str], rest: Sequence[Sequence[str]], roles: Sequence[str | None]) -> bool:
    """Whether a first line that was said to be a row is none.

    Two signs are needed, because one of them may be an item called `book`, or a user `admin` among numbers.
    """
    signs = 0
    for role, (field, below) in zip(roles, _columns_of(first, rest), strict=True):
        if role is not None:
            is_name = _is_name(field)
            signs += is_name + _differs(field, below) + (is_name and field.lower().endswith(_ENDS_OF_IDS))
    return signs > 1


def _kind(field: str) -> str:
    if _NUMBER.fullmatch(field):
        return "numbers"
    return "codes" if any(character.isdigit() for character in field) else "words"


def _columns_of(first: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[tuple[str, list[str]]]:
    for place, field in enumerate(first):
        yield field, [row[place] for row in rows if row[place]]


def _unlike(first: Sequence[str], rest: Sequence[Sequence[str]]) -> bool:
    """Whether, in some column, the kind of the first row's field occurs in no other row."""
    return any(_differs(field, below) for field, below in _columns_of(first, rest))


def _differs(field: str, below: Sequence[str]) -> bool:
    return bool(below) and _kind(field) not in map(_kind, below)


def _comes_again(first: Sequence[str], rest: Sequence[Sequence[str]]) -> bool:
    return any(field in below for field, below in _columns_of(first, rest))


def _kinds(first: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[str, ...]:
    whole = [row for row in rows if len(row) == len(first)]
    found = (Counter(map(_kind, column)) for _, column in _columns_of(first, whole))
    shares = (kinds["numbers"] / kinds.total() if kinds else 0.5 for kinds in found)
    return tuple("numbers" if share >= 1 - _FEW else "words" if share <= _FEW else "both" for share in shares)
