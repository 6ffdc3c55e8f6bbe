"""The vocabulary of a pretrained BERT and whether it is lower-cased, from any of the files that say so.

Google writes `vocab.txt`. Hugging Face writes `tokenizer.json`, which holds the tokens and their ids, and
`tokenizer_config.json`; older folders also have `vocab.txt`, which is preferred here.
"""

import logging
import re
from pathlib import Path
from typing import NamedTuple

from kerasrec.data.text.tokenizer import WordPieceTokenizer
from kerasrec.errors import KerasrecError, quoted
from kerasrec.pretrained.json_file import read_object

logger = logging.getLogger(__name__)

_FILES = ("vocab.txt", "tokenizer.json")
# Characters that separate tokens in a vocab.txt, and lone surrogates, which UTF-8 cannot encode.
_NO_TOKEN = re.compile(r"[ \t\r\n\ud800-\udfff]")


class Vocabulary(NamedTuple):
    """The tokens of a checkpoint."""

    path: Path
    tokens: list[str]
    """A token's place is its id."""
    lower_case: bool | None
    """Whether texts are lower-cased; None where no file says so."""


def vocabulary_file(folder: Path) -> Path | None:
    """The file in a folder that holds the vocabulary, if there is one."""
    return next((folder / name for name in _FILES if (folder / name).is_file()), None)


def read_vocabulary(path: Path) -> Vocabulary:
    """The vocabulary in a `vocab.txt`, a `tokenizer.json`, or a folder that has one of them.

    Raises:
        KerasrecError: the file is missing or damaged, is not of a BERT, or another file in the folder contradicts it
            about lower case.
    """
    if path.is_dir():
        file = vocabulary_file(path)
        if file is None:
            raise KerasrecError(f"{path} holds neither {' nor '.join(_FILES)}: put the checkpoint's own there")
        path = file
    said = {}
    if path.suffix == ".json":
        content = read_object(path)
        tokens, said[path] = _tokens(path, content), _lower_cases(path, content)
    else:
        tokens = WordPieceTokenizer.load(path).tokens
    settings = path.with_name("tokenizer_config.json")
    if settings.is_file() and (lower_case := read_object(settings).get("do_lower_case")) is not None:
        if not isinstance(lower_case, bool):
            raise KerasrecError(f"{settings}: do_lower_case is {quoted(lower_case)}; it must be true or false")
        said[settings] = lower_case
    if len(set(said.values())) > 1:
        raise KerasrecError(
            f"{path} says that texts are {_cased(said[path])} and {settings.name} in the same folder that they are "
            f"{_cased(said[settings])}: put the right value into do_lower_case, or remove {settings.name}"
        )
    return Vocabulary(path, tokens, next(iter(said.values()), None))


def agreed_lower_case(vocabulary: Vocabulary, lower_case: bool, unless_said: bool) -> bool:
    """Whether texts are lower-cased.

    Args:
        vocabulary: The vocabulary.
        lower_case: The value of the option.
        unless_said: The default of the option; with it, the vocabulary's files decide, if they say so.

    Raises:
        KerasrecError: the files contradict an option that was given.
    """
    said = vocabulary.lower_case
    if said is None or said == lower_case:
        return lower_case
    if lower_case != unless_said:
        raise KerasrecError(
            f"the option says that texts are {_cased(lower_case)} and {vocabulary.path.parent} says that they are "
            f"{_cased(said)}: leave the option out"
        )
    logger.info(f"texts are {_cased(said)}, as {vocabulary.path.parent} says")
    return said


def _cased(lower_case: bool) -> str:
    return "lower-cased" if lower_case else "not lower-cased"


def _tokens(path: Path, content: dict) -> list[str]:
    """The tokens of a `tokenizer.json`, with the added tokens."""
    model = content.get("model")
    kind = model.get("type") if isinstance(model, dict) else None
    if kind != "WordPiece":
        raise KerasrecError(f"{path} is of a {quoted(kind)} model and BERT needs WordPiece: give the folder of a BERT")
    for name, only in (("unk_token", "[UNK]"), ("continuing_subword_prefix", "##")):
        if model.get(name, only) != only:
            raise KerasrecError(f"{path}: {name} is {quoted(model[name])}; only {only!r} is supported")
    places: dict[int, str] = {}
    for token, number in [*_stored(path, model), *_added(path, content)]:
        if _NO_TOKEN.search(token):
            raise KerasrecError(f"{path} has the token {quoted(token)}, which no vocab.txt can hold: fetch it again")
        if places.setdefault(number, token) != token:
            raise KerasrecError(
                f"{path} has {quoted(token)} and {quoted(places[number])} as token {number}: fetch it again"
            )
    missing = next((number for number in range(len(places)) if number not in places), None)
    if missing is not None:
        raise KerasrecError(f"{path} has {len(places)} tokens and none with the id {missing}: fetch it again")
    try:
        return WordPieceTokenizer([places[number] for number in range(len(places))]).tokens
    except KerasrecError as error:
        raise KerasrecError(f"{path}: {error}") from None


def _stored(path: Path, model: dict) -> list[tuple[str, int]]:
    vocab = model.get("vocab")
    if not isinstance(vocab, dict) or not all(type(number) is int for number in vocab.values()):
        raise KerasrecError(f"{path} has no vocabulary of tokens and their ids: fetch it again")
    return list(vocab.items())


def _added(path: Path, content: dict) -> list[tuple[str, int]]:
    added = content.get("added_tokens") or []
    try:
        found = [(token["content"], token["id"]) for token in added]
    except (TypeError, KeyError):
        found = [(None, None)]
    if not all(isinstance(token, str) and type(number) is int for token, number in found):
        raise KerasrecError(f"{path}: added_tokens is not a list of tokens and their ids: fetch it again")
    return found


def _lower_cases(path: Path, content: dict) -> bool:
    """Whether a `tokenizer.json` lower-cases; it must normalise texts as BERT does."""
    normalizer = content.get("normalizer")
    if not isinstance(normalizer, dict) or normalizer.get("type") != "BertNormalizer":
        raise KerasrecError(f"{path} does not normalise texts as BERT does: give the vocab.txt of a BERT")
    lower_case = normalizer.get("lowercase")
    if not isinstance(lower_case, bool):
        raise KerasrecError(f"{path}: lowercase is {quoted(lower_case)}; it must be true or false")
    usual = {"clean_text": True, "handle_chinese_chars": True, "strip_accents": lower_case}
    for name, only in usual.items():
        if normalizer.get(name) not in (None, only):
            raise KerasrecError(
                f"{path}: {name} is {quoted(normalizer[name])}; only {str(only).lower()} is supported: "
                "give another checkpoint"
            )
    return lower_case
