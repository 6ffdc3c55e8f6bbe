"""The SQL statements of the split, as texts. This module does not execute them.

The first half reads files into rows and creates tables, with functions of DuckDB. The second half defines events, the
part of a user and the order within a part, with expressions that DuckDB and Spark SQL share: another engine can execute
the same texts on tables with the same columns:

- `staged`: one row per row of the log: `raw_user`, `item` (as in the log), `moment` (seconds since 1970), `rating`
  (numbers), `form` (the form of the time), `problem` (null for a good row, empty for a line that is not a row, else
  the reason) and `raw` (the text of a bad row, or of a row with unpaired quotes);
- a bucket: the events of one part: `pos` (the position in the log), `raw_user`, `item`, `moment`.
"""

import re
from pathlib import Path

from kerasrec.data.inputs.quoted_fields import STRICT, UNPAIRED
from kerasrec.data.inputs.times import SMALL_TIME, TimeUnit, is_timestamp, time_columns, timestamp_seconds
from kerasrec.data.logs.columns import ColumnNames
from kerasrec.data.logs.log_formats import LogFile

# ----------------------------------------------------------------------------------------------------------- DuckDB

CREATE_TABLES = """
    CREATE TABLE staged (
        raw_user VARCHAR, item VARCHAR, moment DOUBLE, rating DOUBLE, form VARCHAR, problem VARCHAR, raw VARCHAR
    );
    CREATE TABLE rejected (file VARCHAR, line BIGINT, reason VARCHAR, raw VARCHAR);"""

EMPTY_BUCKET = "(SELECT 0::BIGINT AS pos, '' AS raw_user, '' AS item, 0::DOUBLE AS moment LIMIT 0)"

# A row of text is always one line. If quoted fields could span lines, all lines after a missing closing quote would be
# read as one field. Therefore lines are read with a delimiter that does not occur in texts.
_NO_DELIMITER = "\x1f\x1e\x1d\x1c"


def literal(text: str) -> str:
    """A text as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


def identifier(text: str) -> str:
    """A text as an SQL name."""
    return '"' + text.replace('"', '""') + '"'


def file(path: str | Path) -> str:
    """A path as an SQL string, in which the special characters of globs are escaped."""
    return literal("".join(f"[{letter}]" if letter in "*?[" else letter for letter in str(path)))


def parquet(*paths: str | Path) -> str:
    """Parquet files as an SQL table expression."""
    return f"read_parquet([{', '.join(map(file, paths))}], hive_partitioning = false)"


def parquet_types(log: LogFile) -> str:
    """A query for the names and types of a Parquet file's columns."""
    return f"SELECT column_name, column_type FROM (DESCRIBE FROM {parquet(log.path)})"


def stage(log: LogFile, names: ColumnNames, needs_rating: bool, unit: TimeUnit, types: dict[str, str]) -> str:
    """Statements that read a file, in its order, into `staged`, and unreadable lines into `unreadable`.

    Args:
        log: The file.
        names: The names of its columns.
        needs_rating: Whether a row without a rating is bad.
        unit: The unit of numbers in the time column.
        types: The types of a Parquet file's columns.
    """
    if log.kind == "parquet":
        rows = _parquet_rows(log, names, types)
        unreadable = "SELECT 0 AS line, 0 AS nth, '' AS reason, '' AS raw LIMIT 0"
        unit = "s" if is_timestamp(types.get(names.time, "")) else unit
    else:
        rows = _json_rows(log, names) if log.kind == "json" else _text_rows(log)
        unreadable = _UNREADABLE
    has_time = "time" in log.columns
    times = time_columns("moment", "number", unit) if has_time else "NULL AS seconds, NULL AS form"
    return f"""
        INSERT INTO staged
        SELECT raw_user, item, seconds, try_cast(rating AS DOUBLE), CASE WHEN seconds IS NOT NULL THEN form END,
            problem, CASE WHEN problem <> '' OR unpaired THEN raw END
        FROM (SELECT *, {problem(names, has_time, needs_rating)} AS problem FROM (
            SELECT *, {times} FROM (SELECT *, try_cast(moment AS DOUBLE) AS number FROM ({rows}))
        ));
        CREATE OR REPLACE TEMP TABLE unreadable AS {unreadable};"""


def time_forms(first: int) -> str:
    """A query for the forms of a file's times: form, count, number below `SMALL_TIME`, first row, seconds of this row.

    Args:
        first: The number of the file's first row in `staged`.
    """
    return f"""
        SELECT form, count(*), count(*) FILTER (WHERE abs(moment) < {SMALL_TIME:.0f}), min(rowid) - {first} + 1,
            arg_min(moment, rowid)
        FROM staged
        WHERE rowid >= {first} AND problem IS NULL GROUP BY form ORDER BY min(rowid)"""


def unpaired(first: int) -> str:
    """A query for the lines of a file with unpaired quotes: their number in the file, from 1, and their text."""
    return f"""
        SELECT rowid - {first} + 1 AS place, raw FROM staged
        WHERE rowid >= {first} AND raw LIKE '%"%' ORDER BY rowid"""


def lines_of_blocks(log: LogFile, size: int, blocks: str) -> str:
    """A query for the lines in some blocks of a file, in order: `place` (the line number, from 1) and `line`.

    Args:
        log: The file.
        size: Number of lines per block.
        blocks: The table whose column `block` holds the numbers of the blocks, from 0.
    """
    return f"""
        SELECT place, coalesce(line, '') AS line
        FROM (SELECT row_number() OVER () AS place, line FROM {_lines(log)})
        WHERE (place - 1) // {size} IN (SELECT block FROM {blocks}) ORDER BY place"""


def reject_lines(lines: str, first: int, reason: str) -> str:
    """A statement that marks the lines in the table `lines` (columns `place` and `line`) as bad rows."""
    return f"""
        UPDATE staged SET problem = {literal(reason)}, raw = {lines}.line FROM {lines}
        WHERE staged.rowid = {lines}.place + {first} - 1 AND problem IS DISTINCT FROM ''"""


_UNREADABLE = """
    SELECT line, row_number() OVER (ORDER BY line) AS nth, min(CASE error_type
            WHEN 'INVALID ENCODING' THEN 'not UTF-8'
            WHEN 'LINE SIZE OVER MAXIMUM' THEN 'line too long'
            ELSE 'cannot be read' END) AS reason, trim(min(csv_line), chr(10) || chr(13)) AS raw
    FROM reject_errors GROUP BY line"""


def copy_rejects(name: str, first: int) -> str:
    """Statements that copy the bad rows of a file into `rejected`.

    Args:
        name: The name of the file.
        first: The number of the file's first row in `staged`.
    """
    path = literal(name)
    return f"""
        INSERT INTO rejected SELECT {path}, line, reason, raw FROM unreadable;
        INSERT INTO rejected
        SELECT {path}, bad.place + coalesce(before.lines, 0), bad.problem, bad.raw
        FROM (
            SELECT rowid - {first} + 1 AS place, problem, raw FROM staged WHERE rowid >= {first} AND problem <> ''
        ) AS bad
        ASOF LEFT JOIN (
            SELECT line - nth AS readable, max(nth) AS lines FROM unreadable GROUP BY line - nth
        ) AS before ON bad.place > before.readable;
        DROP TABLE IF EXISTS reject_errors; DROP TABLE IF EXISTS reject_scans;"""


def _lines(log: LogFile) -> str:
    compression = log.compression or "none"
    return (
        f"read_csv({file(log.path)}, auto_detect = false, header = false, columns = {{'line': 'VARCHAR'}}, "
        f"delim = {literal(_NO_DELIMITER)}, quote = '', escape = '', strict_mode = false, "
        f"compression = '{compression}', hive_partitioning = false, store_rejects = true, rejects_limit = 0)"
    )


def _text_rows(log: LogFile) -> str:
    def field(role: str) -> str:
        if role not in log.columns:
            return "NULL"
        text = f"fields[{log.columns.index(role) + 1}]"
        unquoted = f"replace(substr({text}, 2, length({text}) - 2), '\"\"', '\"')"
        return f"CASE WHEN quoted AND {text} LIKE '\"%' THEN {unquoted} ELSE {text} END" if log.quoted else text

    delimiter = literal(log.delimiter)
    plain = f"string_split(line, {delimiter})"
    strict = log.delimiter in STRICT
    quoted, unpaired, fields = "false", "false", plain
    if log.quoted:
        escaped = re.escape(log.delimiter)
        one_field = f'"(?:[^"]|"")*"|[^"{log.delimiter}][^{log.delimiter}]*|'
        # The rest of a field that spans several lines may look like a row, except for the number of its quotes.
        paired = "(length(line) - length(replace(line, '\"', ''))) % 2 = 0"
        well_formed = f"regexp_full_match({delimiter} || line, {literal(f'(?:{escaped}(?:{one_field}))*')})"
        unpaired = f"instr(line, '\"') > 0 AND NOT ({well_formed} AND {paired})"
        quoted = f"instr(line, '\"') > 0 AND {well_formed}{f' AND {paired}' if strict else ''}"
        quoted_fields = f"regexp_extract_all({delimiter} || line, {literal(f'{escaped}({one_field})')}, 1)"
        fields = f"CASE WHEN quoted THEN {quoted_fields} ELSE {plain} END"
    unpaired_are_bad = f"WHEN unpaired THEN {literal(UNPAIRED)}" if strict else ""
    header = f"OR line = {literal(log.header)}" if log.header is not None else ""
    return f"""
        SELECT {field("user")} AS raw_user, {field("item")} AS item, {field("time")} AS moment,
            {field("rating")} AS rating, line AS raw, unpaired, CASE
                WHEN line IS NULL {header} THEN ''
                {unpaired_are_bad}
                WHEN len(fields) <> {len(log.columns)} THEN 'wrong number of fields' END AS shape
        FROM (SELECT *, {fields} AS fields FROM (
            SELECT line, {quoted} AS quoted, {unpaired} AS unpaired FROM {_lines(log)}
        ))"""


def _json_rows(log: LogFile, names: ColumnNames) -> str:
    def path(key: str) -> str:
        return literal('$."' + key.replace("\\", "\\\\").replace('"', '\\"') + '"')

    def invalid_id(key: str) -> str:
        return (
            f"WHEN json_type(object, {path(key)}) NOT IN ('VARCHAR', 'NULL') "
            f"AND NOT regexp_full_match(json_extract_string(object, {path(key)}), '-?[0-9]+') "
            f"THEN {literal(f'{key} is neither a string nor an integer')}"
        )

    return f"""
        SELECT json_extract_string(object, {path(names.user)}) AS raw_user,
            json_extract_string(object, {path(names.item)}) AS item,
            {f"json_extract_string(object, {path(names.time)})" if "time" in log.columns else "NULL"} AS moment,
            json_extract_string(object, {path(names.rating)}) AS rating,
            line AS raw, false AS unpaired, CASE
                WHEN line IS NULL THEN ''
                WHEN object IS NULL THEN 'not a JSON object' {invalid_id(names.user)} {invalid_id(names.item)}
                END AS shape
        FROM (SELECT line, CASE WHEN json_valid(line) AND json_type(line) = 'OBJECT' THEN line END AS object
            FROM {_lines(log)})"""


def _parquet_rows(log: LogFile, names: ColumnNames, types: dict[str, str]) -> str:
    moment = identifier(names.time) if "time" in log.columns else "NULL"
    kind = types.get(names.time, "")
    if is_timestamp(kind):
        moment = timestamp_seconds(moment, kind)
    rating = identifier(names.rating) if "rating" in log.columns else "NULL"
    user, item = identifier(names.user), identifier(names.item)
    return f"""
        SELECT CAST({user} AS VARCHAR) AS raw_user, CAST({item} AS VARCHAR) AS item,
            CAST({moment} AS VARCHAR) AS moment, CAST({rating} AS VARCHAR) AS rating,
            concat_ws(', ', {user}, {item}, {moment}, {rating}) AS raw, false AS unpaired, NULL AS shape
        FROM {parquet(log.path)}"""


def fill_buckets(parts: int, min_rating: float | None, folder: Path, rows_per_group: int) -> str:
    """A statement that writes the events of each part into a separate folder: `part=0`, `part=1` ...

    Args:
        parts: Number of parts.
        min_rating: The minimum rating of an event; None if ratings are not used.
        folder: The parent of the parts' folders.
        rows_per_group: Rows per row group of the Parquet files.
    """
    return f"""
        COPY (
            SELECT rowid AS pos, raw_user, item, moment, {part_of_user("raw_user", parts)} AS part FROM staged
            WHERE {is_event(min_rating)}
        ) TO {literal(str(folder))} (FORMAT parquet, PARTITION_BY (part), ROW_GROUP_SIZE {rows_per_group})"""


def keep_frequent_items(counted: str, min_item_events: int) -> str:
    """Statements that create the tables `totals` and `kept_items`.

    Args:
        counted: The table of counts; it may have several rows for an item, whose counts are added.
        min_item_events: The minimum number of events of a kept item.
    """
    return f"""
        CREATE TEMP TABLE totals AS SELECT item, CAST(sum(count) AS BIGINT) AS count FROM {counted} GROUP BY item;
        CREATE TEMP TABLE kept_items AS SELECT item FROM totals WHERE count >= {min_item_events};"""


def load_part(bucket: str, drop_repeats: bool, kept_items: bool, min_events: int) -> str:
    """Statements that create the tables `events`, `counted` and `users` of one part.

    Args:
        bucket: The events of the part, as an SQL table expression.
        drop_repeats: Whether only the first event of each user with each item counts.
        kept_items: Whether only events with items in the table `kept_items` count.
        min_events: The minimum number of events of a user.
    """
    return f"""
        CREATE OR REPLACE TEMP TABLE events AS {events(bucket, drop_repeats, "kept_items" if kept_items else None)};
        CREATE OR REPLACE TEMP TABLE counted AS {USER_COUNTS};
        CREATE OR REPLACE TEMP TABLE users AS {users(min_events)};"""


# ------------------------------------------------------------------------------------------- shared with Spark SQL


def problem(names: ColumnNames, has_time: bool, needs_rating: bool) -> str:
    """An expression for the problem of a row of text fields; null for a good row.

    Args:
        names: The names of the columns, for the reasons.
        has_time: Whether the log has times.
        needs_rating: Whether a row without a rating is bad.
    """

    def has_line_break(field: str) -> str:
        return f"instr({field}, chr(10)) > 0 OR instr({field}, chr(13)) > 0"

    def is_not_number(field: str) -> str:
        # Above 9e15, a double cannot represent all integers. The range also excludes infinity and not-a-number.
        return f"coalesce(try_cast({field} AS DOUBLE) NOT BETWEEN -9e15 AND 9e15, true)"

    def missing(field: str) -> str:
        return f"{field} IS NULL OR {field} = ''"

    reasons = [
        ("shape IS NOT NULL", "shape"),
        (missing("raw_user"), literal(f"missing {names.user}")),
        (missing("item"), literal(f"missing {names.item}")),
        (has_line_break("raw_user"), literal(f"a line break in {names.user}")),
        (has_line_break("item"), literal(f"a line break in {names.item}")),
    ]
    if has_time:
        reasons.append((missing("moment"), literal(f"missing {names.time}")))
        reasons.append(("seconds IS NULL", literal(f"{names.time} is neither a number nor an ISO 8601 time")))
    if needs_rating:
        reasons.append((missing("rating"), literal(f"missing {names.rating}")))
    reasons.append((f"rating <> '' AND {is_not_number('rating')}", literal(f"{names.rating} is not a number")))
    return "CASE " + " ".join(f"WHEN {test} THEN {reason}" for test, reason in reasons) + " END"


def is_event(min_rating: float | None) -> str:
    """A condition: whether a row of `staged` is an event."""
    return "problem IS NULL" if min_rating is None else f"problem IS NULL AND rating >= {min_rating!r}"


def part_of_user(raw_user: str, parts: int) -> str:
    """An expression for a user's part: the first six hexadecimal digits of the id's MD5, modulo the number of parts."""
    places = range(1, 7)
    digits = (f"(instr('0123456789abcdef', substr(md5({raw_user}), {place}, 1)) - 1)" for place in places)
    number = " + ".join(f"{digit} * {16 ** (6 - place)}" for place, digit in zip(places, digits, strict=True))
    return f"CAST(({number}) % {parts} AS INT)"


def item_counts(source: str) -> str:
    """A query for the number of rows of each item in `source`."""
    return f"SELECT item, CAST(count(*) AS BIGINT) AS count FROM {source} GROUP BY item"


def distinct_items(bucket: str) -> str:
    """The different pairs of a user and an item, as an SQL table expression."""
    return f"(SELECT DISTINCT raw_user, item FROM {bucket}) AS pairs"


def events(bucket: str, drop_repeats: bool, kept_items: str | None) -> str:
    """A query for the events of one part.

    Args:
        bucket: The unfiltered events of the part, as an SQL table expression.
        drop_repeats: Whether only the first event of each user with each item counts.
        kept_items: The table of the items to keep; None for all items.
    """
    kept = f"WHERE item IN (SELECT item FROM {kept_items})" if kept_items else ""
    if not drop_repeats:
        return f"SELECT pos, raw_user, item, moment FROM {bucket} {kept}"
    return f"""
        SELECT pos, raw_user, item, moment FROM (
            SELECT pos, raw_user, item, moment,
                row_number() OVER (PARTITION BY raw_user, item ORDER BY moment, pos) AS occurrence
            FROM {bucket} {kept}
        ) AS occurrences WHERE occurrence = 1"""


USER_COUNTS = "SELECT raw_user, CAST(count(*) AS BIGINT) AS length FROM events GROUP BY raw_user"
"""A query for the length of each user's history."""


def users(min_events: int) -> str:
    """A query for the users of a part with at least `min_events` events, numbered in the order of their ids."""
    return f"""
        SELECT raw_user, length, row_number() OVER (ORDER BY raw_user) - 1 AS nth
        FROM counted WHERE length >= {min_events}"""


USERS_IN_ORDER = "SELECT raw_user, length FROM users ORDER BY nth"
"""A query for a part's users and the lengths of their histories."""

PART_COUNTS = """
    SELECT
        (SELECT count(*) FROM counted) AS all_users,
        (SELECT count(*) FROM events) AS cleaned,
        (SELECT CAST(coalesce(sum(length), 0) AS BIGINT) FROM users) AS kept,
        (SELECT count(*) FROM (
            SELECT DISTINCT events.raw_user, item FROM events JOIN users ON events.raw_user = users.raw_user
        ) AS distinct_pairs) AS pairs"""
"""A query for the counts of a part: users and events before short users are removed, events after it, and different
pairs of a user and an item."""


def histories(part: int, parts: int, seq_min_len: int, fill: bool) -> str:
    """A query for the rows of a part, sorted by user, time and position in the log.

    Args:
        part: The number of the part.
        parts: Number of parts. The users of the part have the numbers part, part + parts, part + 2 parts ...
        seq_min_len: Minimum number of events per user.
        fill: Whether the first event of users with fewer events is repeated.
    """
    rows = "SELECT nth, item, moment, pos FROM events JOIN users ON events.raw_user = users.raw_user"
    if fill:
        copies = ", ".join(f"({copy})" for copy in range(1, seq_min_len + 1))
        rows += f"""
            UNION ALL
            SELECT nth, item, moment, pos FROM (
                SELECT nth, item, moment, pos, length,
                    row_number() OVER (PARTITION BY nth ORDER BY moment, pos) AS place
                FROM events JOIN users ON events.raw_user = users.raw_user WHERE length < {seq_min_len}
            ) AS short JOIN (VALUES {copies}) AS copies(copy) ON copy <= {seq_min_len} - length
            WHERE place = 1"""
    return f"""
        SELECT CAST(nth * {parts} + {part} AS BIGINT) AS number, item, CAST(floor(moment) AS BIGINT) AS time
        FROM ({rows}) AS part_rows ORDER BY nth, moment, pos"""
