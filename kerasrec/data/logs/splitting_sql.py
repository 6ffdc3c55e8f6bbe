"""The relational work of splitting a log, as SQL text and nothing else.

Two halves. The first makes rows out of files and tables out of queries, which every engine does in its own way; here
it is DuckDB's. The second says what an event is, in which part it belongs and how a part is ordered, in expressions
that DuckDB and Spark SQL share, so that another engine can be handed the same text over tables of the same columns:

- `staged`: one row a log row: `raw_user`, `item` (text as it was written), `moment` (seconds since 1970), `rating`
  (numbers), `form` (how the time was written), `problem` (null for a good row, empty for a line that is not a row, else
  the reason) and `raw` (the text of a bad row, or of a row with unpaired quotes);
- a bucket: the events of one part: `pos` (their place in the log), `raw_user`, `item`, `moment`.
"""

import re
from pathlib import Path

from kerasrec.data.inputs.quoted_fields import STRICT, UNPAIRED
from kerasrec.data.inputs.times import SMALL_TIME, TimeUnit, time_columns
from kerasrec.data.logs.columns import ColumnNames
from kerasrec.data.logs.log_formats import LogFile

# ----------------------------------------------------------------------------------------------------------- DuckDB

CREATE_TABLES = """
    CREATE TABLE staged (
        raw_user VARCHAR, item VARCHAR, moment DOUBLE, rating DOUBLE, form VARCHAR, problem VARCHAR, raw VARCHAR
    );
    CREATE TABLE rejected (file VARCHAR, line BIGINT, reason VARCHAR, raw VARCHAR);"""

EMPTY_BUCKET = "(SELECT 0::BIGINT AS pos, '' AS raw_user, '' AS item, 0::DOUBLE AS moment LIMIT 0)"

# A row of text is always one line: a reader that lets quoted fields run over lines would swallow every line after a
# quote that somebody forgot to close. So lines are read whole, with a delimiter that no text holds.
_NO_DELIMITER = "\x1f\x1e\x1d\x1c"


def literal(text: str) -> str:
    """A SQL string."""
    return "'" + text.replace("'", "''") + "'"


def identifier(text: str) -> str:
    """A SQL name."""
    return '"' + text.replace('"', '""') + '"'


def file(path: str | Path) -> str:
    """A path as a SQL string that names this one file, whatever its letters would mean in a glob."""
    return literal("".join(f"[{letter}]" if letter in "*?[" else letter for letter in str(path)))


def parquet(*paths: str | Path) -> str:
    """Parquet files as something that can be selected from."""
    return f"read_parquet([{', '.join(map(file, paths))}], hive_partitioning = false)"


PARQUET_TIMES = r"TIMESTAMP.*|DATE|VARCHAR|U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL\(.*\)"
"""The types that a Parquet file's times may have."""


def parquet_types(log: LogFile) -> str:
    """The query for the names and types of a Parquet file's columns."""
    return f"SELECT column_name, column_type FROM (DESCRIBE FROM {parquet(log.path)})"


def stage(log: LogFile, names: ColumnNames, needs_rating: bool, unit: TimeUnit, types: dict[str, str]) -> str:
    """The statements that read a log into `staged`, in its order, and the lines that cannot be read into `unreadable`.

    Args:
        log: The file.
        names: What its columns are called.
        needs_rating: Whether a row without a rating is bad.
        unit: The unit of numbers in the column of times.
        types: The types of a Parquet file's columns.
    """
    if log.kind == "parquet":
        rows = _parquet_rows(log, names, types)
        unreadable = "SELECT 0 AS line, 0 AS nth, '' AS reason, '' AS raw LIMIT 0"
        unit = "s" if _is_timestamp(types.get(names.time, "")) else unit
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
    """The query for the forms of the times in a log: form, count, number below `SMALL_TIME`, first row, its seconds."""
    return f"""
        SELECT form, count(*), count(*) FILTER (WHERE abs(moment) < {SMALL_TIME:.0f}), min(rowid) - {first} + 1,
            arg_min(moment, rowid)
        FROM staged
        WHERE rowid >= {first} AND problem IS NULL GROUP BY form ORDER BY min(rowid)"""


def unpaired(first: int) -> str:
    """The query for the lines of a log with unpaired quotes: their number in it, from 1, and their text."""
    return f"""
        SELECT rowid - {first} + 1 AS place, raw FROM staged
        WHERE rowid >= {first} AND raw LIKE '%"%' ORDER BY rowid"""


def lines_of_blocks(log: LogFile, size: int, blocks: str) -> str:
    """The query for the lines of a log in some of its blocks of `size` lines, in order: `place`, from 1, and `line`.

    Args:
        log: The file.
        size: Number of lines in a block.
        blocks: The table whose column `block` holds their numbers, from 0.
    """
    return f"""
        SELECT place, coalesce(line, '') AS line
        FROM (SELECT row_number() OVER () AS place, line FROM {_lines(log)})
        WHERE (place - 1) // {size} IN (SELECT block FROM {blocks}) ORDER BY place"""


def reject_lines(lines: str, first: int, reason: str) -> str:
    """The statement that marks the lines in the table `lines` (columns `place` and `line`) as bad rows."""
    return f"""
        UPDATE staged SET problem = {literal(reason)}, raw = {lines}.line FROM {lines}
        WHERE staged.rowid = {lines}.place + {first} - 1 AND problem IS DISTINCT FROM ''"""


_UNREADABLE = """
    SELECT line, row_number() OVER (ORDER BY line) AS nth, min(CASE error_type
            WHEN 'INVALID ENCODING' THEN 'not UTF-8'
            WHEN 'LINE SIZE OVER MAXIMUM' THEN 'line too long'
            ELSE 'cannot be read' END) AS reason, trim(min(csv_line), chr(10) || chr(13)) AS raw
    FROM reject_errors GROUP BY line"""


def keep_rejects(name: str, first: int) -> str:
    """The statement that keeps the bad rows of the log called `name`; its first row is number `first` of `staged`."""
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
        bare = f"replace(substr({text}, 2, length({text}) - 2), '\"\"', '\"')"
        return f"CASE WHEN quoted AND {text} LIKE '\"%' THEN {bare} ELSE {text} END" if log.quoted else text

    mark = literal(log.delimiter)
    plain = f"string_split(line, {mark})"
    strict = log.delimiter in STRICT
    quoted, unpaired, fields = "false", "false", plain
    if log.quoted:
        sign = re.escape(log.delimiter)
        one = f'"(?:[^"]|"")*"|[^"{log.delimiter}][^{log.delimiter}]*|'
        # The rest of a field that spans several lines may look like a row, except for the number of its quotes.
        paired = "(length(line) - length(replace(line, '\"', ''))) % 2 = 0"
        well_formed = f"regexp_full_match({mark} || line, {literal(f'(?:{sign}(?:{one}))*')})"
        unpaired = f"instr(line, '\"') > 0 AND NOT ({well_formed} AND {paired})"
        quoted = f"instr(line, '\"') > 0 AND {well_formed}{f' AND {paired}' if strict else ''}"
        unquoted = f"regexp_extract_all({mark} || line, {literal(f'{sign}({one})')}, 1)"
        fields = f"CASE WHEN quoted THEN {unquoted} ELSE {plain} END"
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

    def odd(key: str) -> str:
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
                WHEN object IS NULL THEN 'not a JSON object' {odd(names.user)} {odd(names.item)} END AS shape
        FROM (SELECT line, CASE WHEN json_valid(line) AND json_type(line) = 'OBJECT' THEN line END AS object
            FROM {_lines(log)})"""


def _parquet_rows(log: LogFile, names: ColumnNames, types: dict[str, str]) -> str:
    moment = identifier(names.time) if "time" in log.columns else "NULL"
    kind = types.get(names.time, "")
    if _is_timestamp(kind):  # DuckDB has no epoch() for TIMESTAMPTZ_NS
        moment = f"epoch({f'CAST({moment} AS TIMESTAMPTZ)' if kind == 'TIMESTAMPTZ_NS' else moment})"
    rating = identifier(names.rating) if "rating" in log.columns else "NULL"
    user, item = identifier(names.user), identifier(names.item)
    return f"""
        SELECT CAST({user} AS VARCHAR) AS raw_user, CAST({item} AS VARCHAR) AS item,
            CAST({moment} AS VARCHAR) AS moment, CAST({rating} AS VARCHAR) AS rating,
            concat_ws(', ', {user}, {item}, {moment}, {rating}) AS raw, false AS unpaired, NULL AS shape
        FROM {parquet(log.path)}"""


def _is_timestamp(kind: str) -> bool:
    return kind.startswith(("TIMESTAMP", "DATE"))


def deal_out(parts: int, min_rating: float | None, folder: Path, rows_a_group: int) -> str:
    """The statement that writes the events of each part into a folder of its own, `part=0` and so on."""
    return f"""
        COPY (
            SELECT rowid AS pos, raw_user, item, moment, {part_of_user("raw_user", parts)} AS part FROM staged
            WHERE {is_event(min_rating)}
        ) TO {literal(str(folder))} (FORMAT parquet, PARTITION_BY (part), ROW_GROUP_SIZE {rows_a_group})"""


def keep_frequent_items(counted: str, min_item_events: int) -> str:
    """The statements that make the tables `totals` and `kept_items` from counts of items that may come in pieces."""
    return f"""
        CREATE TEMP TABLE totals AS SELECT item, CAST(sum(count) AS BIGINT) AS count FROM {counted} GROUP BY item;
        CREATE TEMP TABLE kept_items AS SELECT item FROM totals WHERE count >= {min_item_events};"""


def load_part(bucket: str, drop_repeats: bool, kept_items: bool, fewest: int) -> str:
    """The statements that make the tables `events` and `users` of one part."""
    return f"""
        CREATE OR REPLACE TEMP TABLE events AS {events(bucket, drop_repeats, "kept_items" if kept_items else None)};
        CREATE OR REPLACE TEMP TABLE counted AS {USER_COUNTS};
        CREATE OR REPLACE TEMP TABLE users AS {users(fewest)};"""


# ------------------------------------------------------------------------------------------- shared with Spark SQL


def problem(names: ColumnNames, has_time: bool, needs_rating: bool) -> str:
    """The expression for what is wrong with a row of text fields.

    Args:
        names: What the columns are called, for the reasons.
        has_time: Whether the log has times.
        needs_rating: Whether a row without a rating is bad.
    """

    def broken(field: str) -> str:
        return f"instr({field}, chr(10)) > 0 OR instr({field}, chr(13)) > 0"

    def no_number(field: str) -> str:
        # Beyond 9e15 a double no longer holds every whole number; infinity and not-a-number lie outside as well.
        return f"coalesce(try_cast({field} AS DOUBLE) NOT BETWEEN -9e15 AND 9e15, true)"

    def missing(field: str) -> str:
        return f"{field} IS NULL OR {field} = ''"

    reasons = [
        ("shape IS NOT NULL", "shape"),
        (missing("raw_user"), literal(f"missing {names.user}")),
        (missing("item"), literal(f"missing {names.item}")),
        (broken("raw_user"), literal(f"a line break in {names.user}")),
        (broken("item"), literal(f"a line break in {names.item}")),
    ]
    if has_time:
        reasons.append((missing("moment"), literal(f"missing {names.time}")))
        reasons.append(("seconds IS NULL", literal(f"{names.time} is neither a number nor an ISO 8601 time")))
    if needs_rating:
        reasons.append((missing("rating"), literal(f"missing {names.rating}")))
    reasons.append((f"rating <> '' AND {no_number('rating')}", literal(f"{names.rating} is not a number")))
    return "CASE " + " ".join(f"WHEN {test} THEN {reason}" for test, reason in reasons) + " END"


def is_event(min_rating: float | None) -> str:
    """The condition under which a row of `staged` is an event."""
    return "problem IS NULL" if min_rating is None else f"problem IS NULL AND rating >= {min_rating!r}"


def part_of_user(raw_user: str, parts: int) -> str:
    """The expression for a user's part: the first six hexadecimal digits of the id's MD5, modulo the parts."""
    places = range(1, 7)
    digits = (f"(instr('0123456789abcdef', substr(md5({raw_user}), {place}, 1)) - 1)" for place in places)
    number = " + ".join(f"{digit} * {16 ** (6 - place)}" for place, digit in zip(places, digits, strict=True))
    return f"CAST(({number}) % {parts} AS INT)"


def item_counts(source: str) -> str:
    """The query for how often each item stands in `source`."""
    return f"SELECT item, CAST(count(*) AS BIGINT) AS count FROM {source} GROUP BY item"


def met_items(bucket: str) -> str:
    """The items that each user has met, once each, as something that can be selected from."""
    return f"(SELECT DISTINCT raw_user, item FROM {bucket}) AS met"


def events(bucket: str, drop_repeats: bool, kept_items: str | None) -> str:
    """The query for the events of one part.

    Args:
        bucket: Where they are.
        drop_repeats: Whether only the first of a user's events with the same item counts.
        kept_items: The table of items that may stay; None for all.
    """
    kept = f"WHERE item IN (SELECT item FROM {kept_items})" if kept_items else ""
    if not drop_repeats:
        return f"SELECT pos, raw_user, item, moment FROM {bucket} {kept}"
    return f"""
        SELECT pos, raw_user, item, moment FROM (
            SELECT pos, raw_user, item, moment,
                row_number() OVER (PARTITION BY raw_user, item ORDER BY moment, pos) AS meeting
            FROM {bucket} {kept}
        ) AS meetings WHERE meeting = 1"""


USER_COUNTS = "SELECT raw_user, CAST(count(*) AS BIGINT) AS length FROM events GROUP BY raw_user"
"""The query for the length of each user's history."""


def users(fewest: int) -> str:
    """The query for the users of a part that have enough events, numbered in the order of their ids."""
    return f"""
        SELECT raw_user, length, row_number() OVER (ORDER BY raw_user) - 1 AS nth
        FROM counted WHERE length >= {fewest}"""


USERS_IN_ORDER = "SELECT raw_user, length FROM users ORDER BY nth"
"""The query for a part's users and the lengths of their histories."""

PART_COUNTS = """
    SELECT
        (SELECT count(*) FROM counted) AS all_users,
        (SELECT count(*) FROM events) AS cleaned,
        (SELECT CAST(coalesce(sum(length), 0) AS BIGINT) FROM users) AS kept,
        (SELECT count(*) FROM (
            SELECT DISTINCT events.raw_user, item FROM events JOIN users ON events.raw_user = users.raw_user
        ) AS met) AS pairs"""
"""The query for the numbers of a part: users and events before short users are left out, events after it, and
different pairs of a user and an item."""


def histories(part: int, parts: int, seq_min_len: int, fill: bool) -> str:
    """The query for the rows of a part: user by user, in time order, then in the log's order.

    Args:
        part: The part.
        parts: How many there are; the part's users have the numbers part, part + parts, part + 2 parts ...
        seq_min_len: Fewest events of a user.
        fill: Whether users with fewer get copies of their first event.
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
