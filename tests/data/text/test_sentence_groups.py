import gzip
import json
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasrec.data.inputs.rejects import count_reasons
from kerasrec.data.text.sentence_groups import read_groups
from kerasrec.errors import KerasrecError


def groups_of(groups):
    return [groups.texts[start:end] for start, end in zip(groups.offsets, groups.offsets[1:], strict=False)]


def read(tmp_path, content):
    path = tmp_path / "groups.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_groups(path)


GROUPS = {"7": ["早上好", "你早", "早安"], "8": ["再见"], "9": ["bye", "goodbye"]}


@pytest.mark.parametrize("indent", [None, 1])
def test_groups_by_name(tmp_path, indent):
    groups = read(tmp_path, json.dumps(GROUPS, indent=indent, ensure_ascii=indent is None))
    assert groups_of(groups) == [["早上好", "你早", "早安"], ["bye", "goodbye"]]
    assert (groups.read, groups.too_small, groups.merged, groups.duplicates, groups.rejects) == (3, 1, 0, 0, [])
    assert len(groups) == 2


def test_concatenated_records_with_line_breaks_in_strings(tmp_path):
    content = (
        '{"text": "a b", "synonyms": ["c\n d", "e"]}\n{"synonyms": ["g"], "text": "f", "more": 1} {"text": "h",'
        '\n"synonyms": []}\n'
    )
    groups = read(tmp_path, content)
    assert groups_of(groups) == [["a b", "c d", "e"], ["f", "g"]]
    assert (groups.read, groups.too_small, groups.rejects) == (3, 1, [])


def test_the_sample_of_simbert(kerasrec_data):
    groups = read_groups(kerasrec_data / "text" / "simbert_data_sample.json")
    assert (groups.read, len(groups), groups.rejects) == (14, 14, [])
    assert groups_of(groups)[0][:2] == [
        "有现金.住房公积金里有十万，可以买房吗",
        "用住房公积金贷款买房，同时可以取出现金吗",
    ]
    assert not any("\n" in text for text in groups.texts)


def test_a_byte_order_mark_gzip_and_a_folder(tmp_path):
    (tmp_path / "1.json").write_text("\ufeff" + json.dumps({"0": ["a", "b"]}))
    (tmp_path / "2.json.gz").write_bytes(gzip.compress(json.dumps({"0": ["c", "d"]}).encode()))
    assert groups_of(read_groups(tmp_path)) == [["a", "b"], ["c", "d"]]


def test_duplicate_texts_are_counted_and_groups_with_a_common_text_are_merged(tmp_path):
    content = {
        "1": ["Good day", "hello", "good  DAY", "ｇｏｏｄ day"],
        "2": ["bye", "so long"],
        "3": ["hi there", "Hello"],
        "4": ["howdy", "HI there"],
        "5": ["bye"],
        "6": ["x", "x", " X "],
    }
    groups = read(tmp_path, json.dumps(content))
    assert groups_of(groups) == [["Good day", "hello", "hi there", "howdy"], ["bye", "so long"]]
    assert (groups.read, groups.merged, groups.too_small, groups.duplicates) == (6, 3, 1, 4)


letters = st.sampled_from("abcdefgABC ａ")
some_groups = st.lists(st.lists(st.text(letters, min_size=1, max_size=2), max_size=4), min_size=1, max_size=8)


@settings(max_examples=60)
@given(some_groups)
def test_no_two_groups_share_a_text(tmp_path_factory, groups_in_file):
    def same(text):
        return unicodedata.normalize("NFKC", " ".join(text.split())).casefold()

    merged = []
    for group in groups_in_file:
        texts = {same(text) for text in group if text.strip()}
        disjoint = [other for other in merged if not other & texts]
        merged = [*disjoint, texts.union(*(other for other in merged if other & texts))]
    expected = {frozenset(group) for group in merged if len(group) > 1}
    path = tmp_path_factory.getbasetemp() / "groups.json"
    path.write_text(json.dumps({str(number): group for number, group in enumerate(groups_in_file)}))
    if not expected:
        with pytest.raises(KerasrecError, match="no group of two different texts"):
            read_groups(path)
        return
    groups = read_groups(path)
    texts = groups_of(groups)
    assert {frozenset(map(same, group)) for group in texts} == expected
    assert sum(map(len, texts)) == sum(map(len, expected))
    assert groups.read == len(groups_in_file) == len(groups) + groups.merged + groups.too_small
    assert len(groups.rejects) == sum(not text.strip() for group in groups_in_file for text in group)


def test_bad_values_are_returned_with_reasons(tmp_path):
    content = (
        '{"good": ["a", "b", 3, null, "", "half \\ud83d"],\n "text": "c", "object": {"x": ["y", "z"]}, "null": null}\n'
        '["a", "list"]\n'
        "{broken\n"
        '{"text": "d", "synonyms": "e"}\n'
        '{"text": "f", "synonyms": ["g"]}\n'
        '{"text": "h", "synonyms": ["i'
    )
    groups = read(tmp_path, content)
    assert groups_of(groups) == [["a", "b"], ["f", "g"]]
    assert count_reasons(groups.rejects) == {
        "value is not a list": 4,
        "not JSON": 2,
        "text is not a string": 2,
        "empty text": 1,
        "not a JSON object": 1,
        "text is not valid Unicode": 1,
    }
    assert [(reject.line, reject.raw) for reject in groups.rejects if reject.reason.startswith("not")] == [
        (3, '["a", "list"]'),
        (4, "{broken"),
        (7, '{"text": "h", "synonyms": ["i'),
    ]
    assert '{"text": "c"}' in [reject.raw for reject in groups.rejects]
    assert {reject.file for reject in groups.rejects} == {str(tmp_path / "groups.json")}


def test_bytes_that_are_not_utf8_make_one_text_bad(tmp_path):
    groups = read(tmp_path, b'{"1": ["a", "b", "c\xff"]}')
    assert groups_of(groups) == [["a", "b"]]
    assert count_reasons(groups.rejects) == {"text is not valid Unicode": 1}


def test_lists_with_the_same_name_are_one_group(tmp_path):
    groups = read(tmp_path, '{"1": ["a", "b"], "2": ["c", "d"], "1": ["e"], "1": 5}')
    assert groups_of(groups) == [["a", "b", "e"], ["c", "d"]]
    assert count_reasons(groups.rejects) == {"value is not a list": 1}


@pytest.mark.parametrize(
    "content, reason",
    [
        ('{"1": "a", "2": {"x": 1}}', "value is not a list: 2"),
        ("text1\ttext2\t1", "not JSON: 1"),
        ('["a", "b"]', "not a JSON object: 1"),
        ('{"1": ["a"]}', "different texts; give JSON"),
        ("", "different texts; give JSON"),
        ("[" * 100_000, "not JSON: 1"),
    ],
)
def test_files_without_groups_are_refused(tmp_path, content, reason):
    with pytest.raises(KerasrecError, match="no group of two different texts") as error:
        read(tmp_path, content)
    assert reason in str(error.value)
