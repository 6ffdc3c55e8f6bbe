import pytest

from kerasrec.data.logs.columns import ColumnNames, text_columns, typed_delimiter
from kerasrec.errors import KerasrecError

NAMES = ColumnNames()


def columns_of(content, path="log.csv", names=NAMES, columns=None, delimiter=None):
    return text_columns(path, content.strip().split("\n"), names, columns, delimiter)


@pytest.mark.parametrize(
    ("path", "content", "delimiter", "roles"),
    [
        ("a.csv", "timestamp,item_id,user_id,other", ",", ("time", "item", "user", None)),
        ("a.csv", '"user_id","item_id"', ",", ("user", "item")),
        ("a", "user_id\titem_id\trating", "\t", ("user", "item", "rating")),
        ("a.dat", "user_id::item_id", "::", ("user", "item")),
        ("a.csv", "user_id;item_id;rating\n1;2;4,5", ";", ("user", "item", "rating")),
        ("a.txt", "user_id|item_id", "|", ("user", "item")),
        ("a.txt", "17 4", " ", ("user", "item")),
        ("a.tsv", "a,1\tc 2", "\t", ("user", "item")),
        ("a.csv", "a::1,2", ",", ("user", "item")),
        ("a.csv", "7;1", ";", ("user", "item")),
        ("a.csv.gz", "7;1", ";", ("user", "item")),
        ("a.txt", "7|1 a\n8|1 b", "|", ("user", "item")),
        ("a.csv", "ann,tea\nbob,7\nann,bread", ",", ("user", "item")),  # ann is repeated, and names of columns are not
        ("a.csv", "u1,b\nu2,c7\nu1,d", ",", ("user", "item")),
        ("a.dat", "1::2::3::4", "::", ("user", "item", "rating", "time")),
        ("a.dat", "1::Toy Story, The::2::4", "::", ("user", "item", "rating", "time")),
    ],
)
def test_unambiguous_columns(path, content, delimiter, roles):
    detected = columns_of(content, path)
    assert (detected.delimiter, detected.roles) == (delimiter, roles)
    assert (detected.header is not None) == ("user_id" in content)


NEEDED = "has the columns .*, but user_id and item_id are needed; name .* --major_name .*, or, .* --columns"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("item,user\ntea,ann\nbread,bob", NEEDED),
        ("item,user\ntea,ann\nitem,user\ntea,bob", NEEDED),  # two concatenated files, each with a header
        ("UserID::MovieID::Rating::Timestamp\n1::2::3::4", NEEDED),
        ("User Name,Product-ID\nann,tea\nbob,tea", NEEDED),
        ("用户,商品\n张三,茶\n李四,茶", NEEDED),
        ("who,what\n1,2\n3,4", NEEDED),
        ("who,what\nu1,i2\nu3,i4", NEEDED),
        ("0,1\nann,tea\nbob,tea", NEEDED),  # pandas writes numbers for columns without names
        ("col1,col2\nann,tea\nbob,tea", NEEDED),
        ("who,what\nann,tea\nbob,bread", "the first line of log.csv, 'who,what', may be a row or a header: if it is"),
        ("ann,tea", "may be a row or a header"),
        ("user_id,movie\nann,tea", "has the columns user_id, movie, but"),
        ("1,2,3", "no header with user_id and item_id, and 3 columns .*'1,2,3'.*--columns user_id item_id timestamp"),
        ("1::Toy Story::Animation::Tale", "no header with user_id and item_id, and 4 columns"),
        ("a;1,5\nb;2,6", "may have ',' or ';' between its fields .*; give the delimiter with --delimiter"),
        ("hello", "has only one column .*'hello'.*or pass --delimiter"),
        ("\x1b[2Jx", r"has only one column .*'\\x1b\[2Jx'"),
    ],
)
def test_ambiguous_columns_stop_the_step(content, message):
    with pytest.raises(KerasrecError, match=message) as raised:
        columns_of(content)
    assert "log.csv" in str(raised.value) and raised.value.args[0].isprintable()


def test_the_options_in_the_error_solve_it():
    swapped = "item,user\ntea,ann\nbread,bob"
    assert columns_of(swapped, names=ColumnNames("user", "item")).roles == ("item", "user")
    assert columns_of(swapped, names=ColumnNames("user", "item")).header == "item,user"
    with_columns = columns_of("who,what\nann,tea", columns=("item_id", "user_id"))
    assert (with_columns.roles, with_columns.header) == (("item", "user"), None)
    assert columns_of("a;1,5\nb;2,6", delimiter=";").first == ("a", "1,5")
    assert columns_of("1#2\n3#4", delimiter="#").roles == ("user", "item")


def test_columns_are_for_logs_without_a_header():
    columns = ("item_id", "skipped", "user_id")
    detected = columns_of("1,2,3", columns=columns)
    assert (detected.roles, detected.header) == (("item", None, "user"), None)
    detected = columns_of("item_id,other,user_id", columns=columns)  # --columns matches the header
    assert (detected.roles, detected.header) == (("item", None, "user"), "item_id,other,user_id")
    for header in ("user_id,item_id", "user_id,other,item_id", "item_id,timestamp,user_id"):
        with pytest.raises(
            KerasrecError, match=f"has the header {header.replace(',', ', ')}, but --columns gives item_id, "
        ):
            columns_of(f"{header}\n1,2", columns=columns)
    with pytest.raises(
        KerasrecError, match=r"--columns names 3 columns \(item_id, skipped, user_id\), but .* has 2: '1,2'"
    ):
        columns_of("1,2", columns=columns)
    with pytest.raises(KerasrecError, match="has the columns a, b, but"):
        columns_of("1,2", columns=("a", "b"))
    with pytest.raises(KerasrecError, match="more than one column called item_id"):
        columns_of("user_id,item_id,item_id")


@pytest.mark.parametrize(
    "content",
    [
        "uid,iid\nann,tea\nbob,bread",
        "uid,iid",
        "uid,what\nann,tea",
        "who,item\nann,1\nbob,2",
        "who,what\n1,2\n3,4",
        "User,Item\nann,tea",
        "用户编号,商品编号\n张三,茶",
    ],
)
def test_a_header_without_known_names_is_refused_with_columns(content):
    message = "the first line of log.csv, '.*', looks like a header, but with --columns it is read as a row: if it "
    with pytest.raises(KerasrecError, match=message):
        columns_of(content, columns=("user_id", "item_id"))


@pytest.mark.parametrize("content", ["ann,book\nbob,tea", "admin,17\n1,17\n2,18", "ann,17", "u1,title 4", "who,what"])
def test_a_row_with_one_sign_of_a_header_is_accepted_with_columns(content):
    detected = columns_of(content, columns=("user_id", "item_id"))
    assert (detected.roles, detected.header) == (("user", "item"), None)


def test_names_in_unread_columns_are_not_signs_of_a_header():
    columns = ("user_id", "item_id", "note", "more")
    assert columns_of("ann,tea,time,title\nbob,tea,x,1", columns=columns).header is None


def test_typed_delimiters():
    assert [typed_delimiter(typed) for typed in ("tab", "\\t", "\t", "space", ";", "::")] == [*"\t\t\t ;", "::"]
    for invalid in ("", "x", '"', "\n", "comma"):
        with pytest.raises(KerasrecError, match="delimiter is .*; it must be tab, space, or signs"):
            typed_delimiter(invalid)
