import json

import pytest
import tokenizers

from kerasrec.data.text.tokenizer import SPECIALS, WordPieceTokenizer
from kerasrec.errors import KerasrecError
from kerasrec.pretrained.bert import open_bert
from kerasrec.pretrained.vocabulary import agreed_lower_case, read_vocabulary

TOKENS = [*SPECIALS, "un", "##aff", "##able", "猫", "!"]


def written(folder, lower_case=True, settings=None, change=lambda content: None):
    """A tokenizer.json from the tokenizers library, with which transformers saves tokenizers."""
    vocab = {token: number for number, token in enumerate(TOKENS)}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordPiece(vocab, unk_token="[UNK]"))
    tokenizer.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=lower_case)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(list(SPECIALS))
    content = json.loads(tokenizer.to_str())
    change(content)
    folder.mkdir(exist_ok=True)
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    if settings is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return path


@pytest.mark.parametrize("lower_case", [True, False])
def test_tokens_and_lower_case_of_a_tokenizer_json(tmp_path, lower_case):
    path = written(tmp_path, lower_case)
    found = read_vocabulary(path)
    assert (found.tokens, found.lower_case) == (TOKENS, lower_case)
    tokenizer = WordPieceTokenizer(found.tokens, found.lower_case)
    texts = ["Unaffable猫!", "unaffable", "UN able"]
    library = tokenizers.Tokenizer.from_file(str(path))
    offsets, ids = tokenizer.encode(texts)
    for text, start, end in zip(texts, offsets[:-1], offsets[1:], strict=True):
        assert ids[start:end].tolist() == library.encode(text, add_special_tokens=False).ids


def test_added_tokens_after_the_vocabulary(tmp_path):
    def more(content):
        content["added_tokens"].append({"id": len(TOKENS), "content": "[unused1]"})

    assert read_vocabulary(written(tmp_path, change=more)).tokens == [*TOKENS, "[unused1]"]


def test_a_folder_of_a_current_transformers(checkpoint):
    """It has no vocab.txt."""
    tensors = dict(checkpoint.tensors)
    for name in ("embeddings.word_embeddings.weight", "cls.predictions.bias"):
        tensors[name] = tensors[name][: len(TOKENS)]
    config = {**checkpoint.config, "vocab_size": len(TOKENS)}
    folder = checkpoint.but(tensors=tensors, tokens=None, config=config).write()
    written(folder, False, {"do_lower_case": False})
    bert = open_bert(folder)
    assert (bert.tokens, bert.vocabulary.lower_case) == (TOKENS, False)


def test_vocab_txt_is_preferred_and_tokenizer_config_gives_its_lower_case(tmp_path):
    written(tmp_path, True, {"do_lower_case": False})
    (tmp_path / "vocab.txt").write_text("\n".join([*SPECIALS, "a"]) + "\n")
    assert read_vocabulary(tmp_path).tokens == [*SPECIALS, "a"]
    assert read_vocabulary(tmp_path / "vocab.txt").lower_case is False
    (tmp_path / "tokenizer_config.json").unlink()
    assert read_vocabulary(tmp_path / "vocab.txt").lower_case is None


@pytest.mark.parametrize(
    "stored, option, default, used",
    [
        (True, True, True, True),
        (False, True, True, False),  # the default gives way
        (True, False, False, True),
        (True, True, False, True),
        (False, True, False, None),  # the option contradicts the folder
        (True, False, True, None),
    ],
)
def test_options_and_the_files_of_the_folder(tmp_path, stored, option, default, used, logged):
    vocabulary = read_vocabulary(written(tmp_path, stored))
    if used is None:
        with pytest.raises(KerasrecError, match="the option says that texts are .* says that they are"):
            agreed_lower_case(vocabulary, option, default)
    else:
        assert agreed_lower_case(vocabulary, option, default) == used
        assert ("texts are" in logged()) == (used != option)


def test_files_that_contradict_each_other(tmp_path):
    path = written(tmp_path, True, {"do_lower_case": False})
    with pytest.raises(KerasrecError, match="lower-cased, but tokenizer_config.json in the same .* not lower-cased"):
        read_vocabulary(path)
    written(tmp_path, True, {"do_lower_case": "yes"})
    with pytest.raises(KerasrecError, match="do_lower_case is 'yes'; it must be true or false"):
        read_vocabulary(path)


def test_a_folder_without_a_vocabulary(tmp_path):
    with pytest.raises(KerasrecError, match="has neither vocab.txt nor tokenizer.json"):
        read_vocabulary(tmp_path)
    with pytest.raises(KerasrecError, match=r"none/tokenizer.json cannot be read"):
        read_vocabulary(tmp_path / "none" / "tokenizer.json")


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda content: content.update(model=None), "belongs to a None model, but BERT needs WordPiece"),
        (lambda content: content["model"].update(type="BPE"), "belongs to a 'BPE' model"),
        (lambda content: content["model"].update(continuing_subword_prefix="@@"), "only '##' is supported"),
        (lambda content: content["model"].update(vocab=[]), "no vocabulary of tokens and their ids"),
        (lambda content: content["model"]["vocab"].update(un=1.5), "no vocabulary of tokens and their ids"),
        (
            lambda content: content["model"]["vocab"].update({"two words": 10}),
            "'two words', which vocab.txt cannot store",
        ),
        (lambda content: content["model"]["vocab"].update({"\ud800": 10}), "which vocab.txt cannot store"),
        (lambda content: content["model"]["vocab"].update(un=2), "has 'un' and '\\[CLS\\]' as token 2"),
        (lambda content: content["model"]["vocab"].update(un=2**60), "10 tokens, but none with the id 5"),
        (lambda content: content["model"]["vocab"].update(un=-1), "10 tokens, but none with the id 5"),
        (lambda content: content.update(added_tokens=3), "added_tokens is not a list"),
        (lambda content: content.update(added_tokens=[{"id": 1}]), "added_tokens is not a list"),
        (lambda content: content["added_tokens"].append({"id": 5, "content": "x"}), "has 'x' and 'un' as token 5"),
        (lambda content: content.update(normalizer={"type": "Sequence"}), "does not normalise texts as BERT does"),
        (lambda content: content["normalizer"].update(lowercase=None), "lowercase is None"),
        (
            lambda content: content["normalizer"].update(strip_accents=False),
            "strip_accents is False; only true is supported",
        ),
        (lambda content: content["normalizer"].update(handle_chinese_chars=False), "handle_chinese_chars is False"),
    ],
)
def test_a_tokenizer_json_that_does_not_belong_to_a_bert(tmp_path, change, message):
    with pytest.raises(KerasrecError, match=message):
        read_vocabulary(written(tmp_path, change=change))
