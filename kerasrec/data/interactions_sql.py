"""The relational work of splitting a log, as SQL text and nothing else.

The statements after `READING` keep to what DuckDB and Spark SQL share, so that another engine can be handed the same text.
`rows` (one a log line, in the log's order) and `pos` (where a row stands in that order) are what an engine must bring.
"""

from pathlib import Path

from kerasrec.data.log_files import ColumnNames, LogFile

# ---------------------------------------------------------------------------------------------- READING (DuckDB only)

CREATE_TABLES = """
CREATE TABLE staged ("user" VARCHAR, item VARCHAR, moment DOUBLE, rating DOUBLE, problem VARCHAR, raw VARCHAR);
CREATE TABLE rejected (file VARCHAR, line BIGINT, "row" BIGINT, reason VARCHAR, raw VARCHAR);
"""


def quote(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def parquet(*paths: str | Path) -> str:
    """Parquet files as something that can be selected from."""
    return f"read_parquet([{', '.join(quote(str(path)) for path in paths)}], hive_partitioning=false)"


EMPTY_BUCKET = """(SELECT 0::BIGINT AS pos, '' AS "user", '' AS item, 0.0::DOUBLE AS moment LIMIT 0)"""


def name(text: str) -> str:
    """A SQL identifier."""
    return '"' + text.replace('"', '""') + '"'


def _file(log: LogFile) -> str:
    escaped = "".join(f"[{letter}]" if letter in "*?[" else letter for letter in str(log.path))  # no glob of its own
    return quote(escaped)


def rows(log: LogFile, names: ColumnNames, types: dict[str, str] | None = None) -> str:
    """The query that reads a log as text: `"user"`, `item`, `moment`, `rating`, `shape` (a reason or null), `raw`."""
    if log.kind == "text":
        return _text_rows(log)
    if log.kind == "json":
        return _json_rows(log, names)
    return _parquet_rows(log, names, types or {})


def _read_lines(log: LogFile, columns: int, delimiter: str, quoted: bool, header: bool) -> str:
    mark = quote('"') if quoted else "''"
    fields = ", ".join(f"'c{index}': 'VARCHAR'" for index in range(columns))
    compression = "gzip" if log.gzipped else "none"
    return (
        f"read_csv({_file(log)}, auto_detect=false, columns={{{fields}}}, delim={quote(delimiter)}, quote={mark}, "
        f"escape={mark}, header={str(header).lower()}, compression='{compression}', hive_partitioning=false, "
        f"store_rejects=true, rejects_limit=0)"
    )


def _text_rows(log: LogFile) -> str:
    where = {role: f"c{index}" for index, role in enumerate(log.columns) if role}
    fields = ", ".join(f"c{index}" for index in range(len(log.columns)))
    return f"""
        SELECT {where["user"]} AS "user", {where["item"]} AS item, {where.get("time", "NULL")} AS moment,
            {where.get("rating", "NULL")} AS rating, NULL AS shape, concat_ws({quote(log.delimiter)}, {fields}) AS raw
        FROM {_read_lines(log, len(log.columns), log.delimiter, log.quoted, log.header)}"""


def _json_rows(log: LogFile, names: ColumnNames) -> str:
    def path(key: str) -> str:
        return quote('$."' + key.replace("\\", "\\\\").replace('"', '\\"') + '"')

    def odd(key: str) -> str:
        return (
            f"WHEN json_type(c0, {path(key)}) NOT IN ('VARCHAR', 'NULL') "
            f"AND NOT regexp_full_match(json_extract_string(c0, {path(key)}), '-?[0-9]+') "
            f"THEN {quote(f'{key} is neither a string nor an integer')}"
        )

    # A JSON line cannot hold the delimiter: control characters are escaped there.
    return f"""
        SELECT json_extract_string(object, {path(names.user)}) AS "user",
            json_extract_string(object, {path(names.item)}) AS item,
            json_extract_string(object, {path(names.time)}) AS moment,
            json_extract_string(object, {path(names.rating)}) AS rating,
            CASE WHEN object IS NULL THEN 'not a JSON object' {odd(names.user)} {odd(names.item)} END AS shape, c0 AS raw
        FROM (
            SELECT c0, CASE WHEN json_valid(c0) AND json_type(c0) = 'OBJECT' THEN c0 END AS object
            FROM {_read_lines(log, 1, chr(1), False, False)} WHERE c0 IS NOT NULL
        )"""


def _parquet_rows(log: LogFile, names: ColumnNames, types: dict[str, str]) -> str:
    moment = name(names.time) if "time" in log.columns else "NULL"
    if types.get(names.time, "").startswith(("TIMESTAMP", "DATE")):
        moment = f"epoch({moment})"
    rating = name(names.rating) if "rating" in log.columns else "NULL"
    user, item = name(names.user), name(names.item)
    return f"""
        SELECT CAST({user} AS VARCHAR) AS "user", CAST({item} AS VARCHAR) AS item, CAST({moment} AS VARCHAR) AS moment,
            CAST({rating} AS VARCHAR) AS rating, NULL AS shape,
            concat_ws(',', {user}, {item}, {moment}, {rating}) AS raw
        FROM read_parquet({_file(log)}, hive_partitioning=false)"""


def parquet_types(log: LogFile) -> str:
    """The query that names the columns of a Parquet file and their types."""
    return f"SELECT column_name, column_type FROM (DESCRIBE FROM read_parquet({_file(log)}, hive_partitioning=false))"


def stage(log: LogFile, names: ColumnNames, types: dict[str, str] | None, min_rating: float | None) -> str:
    """The statement that reads a log into `staged`: checked, good and bad rows alike, in the log's order."""
    reason = problem(names, "time" in log.columns, min_rating is not None)
    return f"""
        INSERT INTO staged
        SELECT "user", item, try_cast(moment AS DOUBLE), try_cast(rating AS DOUBLE), problem,
            CASE WHEN problem IS NOT NULL THEN raw END
        FROM (SELECT *, {reason} AS problem FROM ({rows(log, names, types)}))"""


def unreadable_rows(log: LogFile) -> str:
    """The statement that keeps what the CSV reader itself could not read (its own reject tables, one line each)."""
    return f"""
        INSERT INTO rejected
        SELECT {quote(str(log.path))}, line, NULL, CASE first(error_type ORDER BY column_idx)
                WHEN 'MISSING COLUMNS' THEN 'wrong number of fields'
                WHEN 'TOO MANY COLUMNS' THEN 'wrong number of fields'
                WHEN 'INVALID ENCODING' THEN 'not UTF-8'
                WHEN 'UNQUOTED VALUE' THEN 'a quote that is not closed'
                WHEN 'LINE SIZE OVER MAXIMUM' THEN 'line too long'
                ELSE 'cannot be read' END, trim(first(csv_line ORDER BY column_idx), chr(10) || chr(13))
        FROM reject_errors GROUP BY line, line_byte_position;
        DROP TABLE reject_errors; DROP TABLE reject_scans;"""


def bad_rows(log: LogFile, first: int) -> str:
    """The statement that keeps the bad rows of a log whose first row is number `first` of `staged`."""
    return f"""
        INSERT INTO rejected
        SELECT {quote(str(log.path))}, NULL, rowid - {first} + 1, problem, raw FROM staged
        WHERE rowid >= {first} AND problem IS NOT NULL"""


def partition(parts: int, folder: str, min_rating: float | None, rows_a_file: int) -> str:
    """The statement that writes the good rows into one folder a part."""
    return f"""
        COPY (
            SELECT rowid AS pos, "user", item, moment, {part_of_user('"user"', parts)} AS part FROM staged
            WHERE {accepted(min_rating)}
        ) TO {quote(folder)} (FORMAT parquet, PARTITION_BY (part), ROW_GROUP_SIZE {rows_a_file})"""


# ------------------------------------------------------------------------------------------------ SHARED WITH SPARK SQL


def problem(names: ColumnNames, has_time: bool, needs_rating: bool) -> str:
    """The expression that says what is wrong with a row of text fields; null for a good one."""

    def broken(field: str) -> str:
        return f"instr({field}, chr(10)) > 0 OR instr({field}, chr(13)) > 0"

    def no_number(field: str) -> str:
        # Beyond 9e15 a double no longer holds every whole number; not-a-number and infinity fall outside as well.
        return f"coalesce(try_cast({field} AS DOUBLE) NOT BETWEEN -9e15 AND 9e15, true)"

    reasons = [
        ("shape IS NOT NULL", "shape"),
        ("\"user\" IS NULL OR \"user\" = ''", quote(f"missing {names.user}")),
        ("item IS NULL OR item = ''", quote(f"missing {names.item}")),
        (broken('"user"'), quote(f"a line break in {names.user}")),
        (broken("item"), quote(f"a line break in {names.item}")),
    ]
    if has_time:
        reasons += [
            ("moment IS NULL OR moment = ''", quote(f"missing {names.time}")),
            (no_number("moment"), quote(f"{names.time} is not a number")),
        ]
    if needs_rating:
        reasons += [("rating IS NULL OR rating = ''", quote(f"missing {names.rating}"))]
    reasons += [(f"rating IS NOT NULL AND rating <> '' AND {no_number('rating')}", quote(f"{names.rating} is not a number"))]
    return "CASE " + " ".join(f"WHEN {test} THEN {reason}" for test, reason in reasons) + " END"


def accepted(min_rating: float | None) -> str:
    """The condition under which a staged row is an event."""
    return "problem IS NULL" + (f" AND rating >= {min_rating!r}" if min_rating is not None else "")


def part_of_user(user: str, parts: int) -> str:
    """The expression for a user's part: the first six hexadecimal digits of the id's MD5, modulo the parts."""
    digits = [f"(instr('0123456789abcdef', substr(md5({user}), {place}, 1)) - 1) * {16 ** (6 - place)}" for place in range(1, 7)]
    return f"CAST(({' + '.join(digits)}) % {parts} AS INT)"


def events(source: str, drop_repeats: bool, kept_items: str | None) -> str:
    """The query for the events of one part, with only the first of a user's repeats of an item, and only kept items."""
    kept = f"WHERE item IN (SELECT item FROM {kept_items})" if kept_items else ""
    if not drop_repeats:
        return f'SELECT pos, "user", item, moment FROM {source} {kept}'
    return f"""
        SELECT pos, "user", item, moment FROM (
            SELECT pos, "user", item, moment,
                row_number() OVER (PARTITION BY "user", item ORDER BY moment, pos) AS nth
            FROM {source} {kept}
        ) AS numbered WHERE nth = 1"""


def item_counts(source: str) -> str:
    """The query for how often each item stands in `source`."""
    return f"SELECT item, CAST(count(*) AS BIGINT) AS count FROM {source} GROUP BY item"


def prepare_part(source: str, drop_repeats: bool, kept_items: bool, fewest: int) -> str:
    """The statements that make the tables `events` and `users` (numbered in the order of their ids) of one part."""
    return f"""
        CREATE OR REPLACE TEMP TABLE events AS {events(source, drop_repeats, "kept_items" if kept_items else None)};
        CREATE OR REPLACE TEMP TABLE counted AS
            SELECT "user", CAST(count(*) AS BIGINT) AS events FROM events GROUP BY "user";
        CREATE OR REPLACE TEMP TABLE users AS
            SELECT "user", events, row_number() OVER (ORDER BY "user") - 1 AS nth FROM counted WHERE events >= {fewest};"""


PART_COUNTS = """
    SELECT
        (SELECT count(*) FROM counted) AS all_users,
        (SELECT count(*) FROM events) AS cleaned,
        (SELECT CAST(coalesce(sum(events), 0) AS BIGINT) FROM users) AS kept,
        (SELECT count(*) FROM (SELECT DISTINCT "user", item FROM events WHERE "user" IN (SELECT "user" FROM users)) AS p)
            AS met
"""
"""Numbers of one part: users and events before and after short users are left out, and pairs of a user and an item."""

USERS = 'SELECT "user" AS raw, events FROM users ORDER BY nth'


def histories(first_user: int, seq_min_len: int, fill: bool) -> str:
    """The query for the rows of a part: user by user, each user's events in time order, then in the log's order.

    Args:
        first_user: The number of the part's first user.
        seq_min_len: Fewest events of a user.
        fill: Whether users with fewer get copies of their first event (`fills` holds 1, 2, ... seq_min_len).
    """
    own = 'SELECT nth, item, moment, pos FROM events JOIN users ON events."user" = users."user"'
    copies = f"""
        SELECT nth, item, moment, pos FROM (
            SELECT nth, item, moment, pos, users.events AS length,
                row_number() OVER (PARTITION BY nth ORDER BY moment, pos) AS place
            FROM events JOIN users ON events."user" = users."user" WHERE users.events < {seq_min_len}
        ) AS short JOIN fills ON fill <= {seq_min_len} - length WHERE place = 1"""
    return f"""
        SELECT CAST({first_user} + nth AS BIGINT) AS "user", item, CAST(floor(moment) AS BIGINT) AS "time"
        FROM ({f"{own} UNION ALL {copies}" if fill else own}) AS rows_of_part ORDER BY nth, moment, pos"""
