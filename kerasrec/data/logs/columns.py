"""The roles of the columns of a text log: from its header, from --columns, or from its rows if they are unambiguous."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from kerasrec.data.inputs.quoted_fields import fields_of
from kerasrec.errors import KerasrecError, quoted

DELIMITERS = ("::", "\t", ",", ";", "|", " ")
"""The delimiters that can be detected."""

_PAIR = ("user", "item")
_MOVIELENS = ("user", "item", "rating", "time")
_DELIMITER_NAMES = {"tab": "\t", "\\t": "\t", "space": " "}
_MIN_MATCHING = 0.5  # minimum share of the first lines with as many fields as the first line
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?")
_NAMES = re.compile(
    r"(the)?(user|item|uid|iid|member|customer|client|visitor|session|account|person|buyer|product|article|goods|movie|"
    r"film|book|song|track|video|anime|title|name|item|news|event|rating|score|stars?|timestamp|time|ts|date|datetime|"
    r"category|genres?|用户|会员|顾客|物品|商品|项目|电影|评分|时间|日期)s?(id|ids|no|number|name|code|key|hash|编号|名称)?"
)
_ID_SUFFIXES = ("id", "ids", "编号")
_MAX_EXCEPTIONS = 0.1  # maximum share of rows with another kind of field, such as the title 1984 among titles


@dataclass(frozen=True)
class ColumnNames:
    """The names of a log's columns, by role."""

    user: str = "user_id"
    item: str = "item_id"
    time: str = "timestamp"
    rating: str = "rating"

    def role(self, name: str) -> str | None:
        """The role of a column: `user`, `item`, `time` or `rating`; None for a column that is not read."""
        return {self.user: "user", self.item: "item", self.time: "time", self.rating: "rating"}.get(name)


@dataclass(frozen=True)
class TextColumns:
    """The format of the lines of a text log.

    Attributes:
        roles: The role of each field: `user`, `item`, `time`, `rating` or None.
        delimiter: The delimiter between the fields.
        header: The line with the names of the columns; None if there is no header.
        kinds: The kind of each field in most of the first rows: `numbers`, `words`, or `both`.
        first: The fields of the first row, for messages.
    """

    roles: tuple[str | None, ...]
    delimiter: str
    header: str | None
    kinds: tuple[str, ...]
    first: tuple[str, ...]


def typed_delimiter(typed: str) -> str:
    """The delimiter for the value of an option; `tab`, `\\t` and `space` are names of delimiters.

    Args:
        typed: The value of the option.

    Raises:
        KerasrecError: the value is empty, or contains letters, digits, quotes or line breaks.

    Example:
        >>> typed_delimiter("tab"), typed_delimiter("::")
        ('\\t', '::')
    """
    delimiter = _DELIMITER_NAMES.get(typed, typed)
    if not delimiter or re.search(r'[\w"\r\n]', delimiter):
        raise KerasrecError(f"delimiter is {quoted(typed)}; it must be tab, space, or signs such as , ; | or ::")
    return delimiter


def text_columns(
    path: str, lines: Sequence[str], names: ColumnNames, columns: Sequence[str] | None, delimiter: str | None
) -> TextColumns:
    """Detect the columns of a text log.

    Args:
        path: The file, for messages.
        lines: The first non-blank lines of the file; at least one.
        names: The names of the columns in headers.
        columns: The names of the columns of a log without a header.
        delimiter: The delimiter; by default it is detected.

    Raises:
        KerasrecError: the columns are ambiguous. The message describes the file and names the option to give.

    Example:
        >>> text_columns("log.csv", ["1,17", "1,4"], ColumnNames(), None, None).roles
        ('user', 'item')
        >>> text_columns("log.csv", ["item,user", "tea,ann"], ColumnNames(), None, None)
        Traceback (most recent call last):
        kerasrec.errors.KerasrecError: log.csv has the columns item, user, but user_id and item_id are needed; name \
the columns of the user and the item with --major_name and --candidate_name, or, if the first line is a row, name all \
columns with --columns (such as --columns user_id item_id)
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
                f"the first line of {path}, {quoted(lines[0], most=80)}, looks like a header, but with --columns it "
                "is read as a row: if it is a header, remove it, or omit --columns and pass --major_name and "
                "--candidate_name; if it is a row, put another row in front of it"
            )
        return columns_are(roles)
    if any(map(_is_name, first)) or _is_unlike_rest(first, rest):
        raise KerasrecError(
            f"{_wrong_columns(path, first, names)}, or, if the first line is a row, name all columns with --columns "
            f"(such as --columns {names.user} {names.item})"
        )
    if delimiter == "::" and len(first) == len(_MOVIELENS) and _kinds(first, rows)[2:] == ("numbers", "numbers"):
        return columns_are(_MOVIELENS)
    if len(first) != len(_PAIR):
        raise KerasrecError(
            f"{path} has no header with {names.user} and {names.item}, and {len(first)} columns (its first line is "
            f"{quoted(lines[0], most=80)}); if this line is a row, name all columns, for example --columns "
            f"{names.user} {names.item} {names.time}; if it is a header, pass --major_name and --candidate_name"
        )
    if not any(character.isdigit() for field in first for character in field) and not _is_repeated(first, rest):
        raise KerasrecError(
            f"the first line of {path}, {quoted(lines[0], most=80)}, may be a row or a header: if it is a row, name "
            f"the columns with --columns {names.user} {names.item} (or {names.item} {names.user}); if it is a header, "
            "pass --major_name and --candidate_name"
        )
    return columns_are(_PAIR)


def column_list(names: Sequence[str], most: int = 200) -> str:
    """A list of column names for a message: without control characters, at most `most` characters.

    Example:
        >>> column_list(["user", "a\\tb"]), column_list(["a" * 500], most=5)
        ('user, a\\\\tb', 'aaaaa...')
    """
    text = ", ".join(names)
    return repr(text[:most])[1:-1] + ("..." if len(text) > most else "")


def roles_of(path: str, columns: Sequence[str], names: ColumnNames) -> tuple[str | None, ...]:
    """The role of each column.

    Args:
        path: The file, for messages.
        columns: The names of its columns.
        names: The names that have roles.

    Raises:
        KerasrecError: the user or the item is missing, or a column occurs twice.

    Example:
        >>> roles_of("log.csv", ["item_id", "price", "user_id"], ColumnNames())
        ('item', None, 'user')
    """
    roles = tuple(names.role(name) for name in columns)
    if "user" not in roles or "item" not in roles:
        raise KerasrecError(_wrong_columns(path, columns, names))
    duplicates = [name for name in columns if names.role(name) and list(columns).count(name) > 1]
    if duplicates:
        raise KerasrecError(f"{path} has more than one column called {duplicates[0]}; rename one of them")
    return roles


def _wrong_columns(path: str, columns: Sequence[str], names: ColumnNames) -> str:
    return (
        f"{path} has the columns {column_list(columns)}, but {names.user} and {names.item} are needed; name the "
        "columns of the user and the item with --major_name and --candidate_name"
    )


def _find_delimiter(path: str, lines: Sequence[str], names: ColumnNames) -> str:
    for delimiter in DELIMITERS:
        if {names.user, names.item} <= {field.strip() for field in fields_of(lines[0], delimiter)}:
            return delimiter
    possible = [delimiter for delimiter in DELIMITERS if _is_possible(delimiter, lines)]
    preferred = {".csv": [",", ";"], ".tsv": ["\t"]}.get(_extension(path), ["::", "\t"])
    possible = [delimiter for delimiter in preferred if delimiter in possible] or possible
    if possible[1:] == [" "]:  # texts contain spaces
        possible = possible[:1]
    if len(possible) > 1 and not {"::", "\t"} & set(possible):
        raise KerasrecError(
            f"{path} may have {' or '.join(map(repr, possible))} between its fields (its first line is "
            f"{quoted(lines[0], most=80)}); give the delimiter with --delimiter"
        )
    delimiters = possible or [delimiter for delimiter in (*preferred, *DELIMITERS) if delimiter in lines[0]]
    if not delimiters:
        raise KerasrecError(
            f"{path} has only one column (its first line is {quoted(lines[0], most=80)}); each line of a log needs a "
            "user and an item, with a comma, a semicolon, a tab, |, :: or a space between them, or pass --delimiter; "
            "move a file that is not a log out of the folder"
        )
    return delimiters[0]


def _extension(path: str) -> str:
    suffixes = [suffix.lower() for suffix in PurePath(path).suffixes]
    return next((suffix for suffix in reversed(suffixes) if suffix in (".csv", ".tsv")), "")


def _is_possible(delimiter: str, lines: Sequence[str]) -> bool:
    counts = [len(fields_of(line, delimiter)) for line in lines]
    return counts[0] > 1 and counts.count(counts[0]) > _MIN_MATCHING * len(counts)


def _is_name(field: str) -> bool:
    return bool(_NAMES.fullmatch(re.sub(r"[\s_.-]", "", field.lower())))


def _looks_like_header(first: Sequence[str], rest: Sequence[Sequence[str]], roles: Sequence[str | None]) -> bool:
    """Whether the first line is probably a header, although --columns is given.

    Two signs are needed: one sign may also come from an item called `book`, or a user `admin` among numbers.
    """
    signs = 0
    for role, (field, below) in zip(roles, _columns_of(first, rest), strict=True):
        if role is not None:
            is_name = _is_name(field)
            signs += is_name + _differs(field, below) + (is_name and field.lower().endswith(_ID_SUFFIXES))
    return signs > 1


def _kind(field: str) -> str:
    if _NUMBER.fullmatch(field):
        return "numbers"
    return "codes" if any(character.isdigit() for character in field) else "words"


def _columns_of(first: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[tuple[str, list[str]]]:
    for place, field in enumerate(first):
        yield field, [row[place] for row in rows if row[place]]


def _is_unlike_rest(first: Sequence[str], rest: Sequence[Sequence[str]]) -> bool:
    """Whether some field of the first row is of a kind that no other row has in this column."""
    return any(_differs(field, below) for field, below in _columns_of(first, rest))


def _differs(field: str, below: Sequence[str]) -> bool:
    return bool(below) and _kind(field) not in map(_kind, below)


def _is_repeated(first: Sequence[str], rest: Sequence[Sequence[str]]) -> bool:
    return any(field in below for field, below in _columns_of(first, rest))


def _kinds(first: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[str, ...]:
    complete = [row for row in rows if len(row) == len(first)]
    counts = (Counter(map(_kind, column)) for _, column in _columns_of(first, complete))
    shares = (kinds["numbers"] / kinds.total() if kinds else 0.5 for kinds in counts)
    return tuple(
        "numbers" if share >= 1 - _MAX_EXCEPTIONS else "words" if share <= _MAX_EXCEPTIONS else "both"
        for share in shares
    )
