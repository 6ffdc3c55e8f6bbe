"""Read the vocabulary of a pretrained BERT, and whether its texts are lower-cased.

Google writes `vocab.txt`. Hugging Face writes `tokenizer.json`, which has the tokens and their ids, and
`tokenizer_config.json`; older folders also have `vocab.txt`, which is preferred.
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
    """In the order of their ids."""
    lower_case: bool | None
    """Whether texts are lower-cased; None if no file specifies it."""


def vocabulary_file(folder: Path) -> Path | None:
    """The file with the vocabulary in a folder; None if there is no such file."""
    return next((folder / name for name in _FILES if (folder / name).is_file()), None)


def read_vocabulary(path: Path) -> Vocabulary:
    """The vocabulary from a `vocab.txt`, a `tokenizer.json`, or a folder with one of them.

    Raises:
        KerasrecError: the file is missing or damaged, does not belong to a BERT, or contradicts another file in the
            folder about lower case.
    """
    if path.is_dir():
        file = vocabulary_file(path)
        if file is None:
            raise KerasrecError(f"{path} has neither {' nor '.join(_FILES)}: put the checkpoint's own there")
        path = file
    lower_cased = {}  # by file
    if path.suffix == ".json":
        content = read_object(path)
        tokens, lower_cased[path] = _tokens(path, content), _lower_cases(path, content)
    else:
        tokens = WordPieceTokenizer.load(path).tokens
    settings = path.with_name("tokenizer_config.json")
    if settings.is_file() and (lower_case := read_object(settings).get("do_lower_case")) is not None:
        if not isinstance(lower_case, bool):
            raise KerasrecError(f"{settings}: do_lower_case is {quoted(lower_case)}; it must be true or false")
        lower_cased[settings] = lower_case
    if len(set(lower_cased.values())) > 1:
        raise KerasrecError(
            f"{path} says that texts are {_cased(lower_cased[path])}, but {settings.name} in the same folder says that "
            f"they are {_cased(lower_cased[settings])}: correct do_lower_case, or remove {settings.name}"
        )
    return Vocabulary(path, tokens, next(iter(lower_cased.values()), None))


def agreed_lower_case(vocabulary: Vocabulary, lower_case: bool, default: bool) -> bool:
    """Whether texts are lower-cased, by an option and the vocabulary's files.

    Args:
        vocabulary: The vocabulary.
        lower_case: The value of the option.
        default: The default of the option; if the option has this value, the vocabulary's files decide.

    Raises:
        KerasrecError: the option has another value than its default, and the files contradict it.
    """
    stored = vocabulary.lower_case
    if stored is None or stored == lower_case:
        return lower_case
    if lower_case != default:
        raise KerasrecError(
            f"the option says that texts are {_cased(lower_case)}, but {vocabulary.path.parent} says that they are "
            f"{_cased(stored)}: leave the option out"
        )
    logger.info(f"texts are {_cased(stored)}, as {vocabulary.path.parent} says")
    return stored


def _cased(lower_case: bool) -> str:
    return "lower-cased" if lower_case else "not lower-cased"


def _tokens(path: Path, content: dict) -> list[str]:
    """The tokens of a `tokenizer.json`, with the added tokens."""
    model = content.get("model")
    kind = model.get("type") if isinstance(model, dict) else None
    if not isinstance(model, dict) or kind != "WordPiece":
        raise KerasrecError(
            f"{path} belongs to a {quoted(kind)} model, but BERT needs WordPiece: give the folder of a BERT"
        )
    for name, only in (("unk_token", "[UNK]"), ("continuing_subword_prefix", "##")):
        if model.get(name, only) != only:
            raise KerasrecError(f"{path}: {name} is {quoted(model[name])}; only {only!r} is supported")
    token_of_id: dict[int, str] = {}
    for token, number in [*_stored(path, model), *_added(path, content)]:
        if _NO_TOKEN.search(token):
            raise KerasrecError(
                f"{path} has the token {quoted(token)}, which vocab.txt cannot store: download it again"
            )
        if token_of_id.setdefault(number, token) != token:
            raise KerasrecError(
                f"{path} has {quoted(token)} and {quoted(token_of_id[number])} as token {number}: download it again"
            )
    missing = next((number for number in range(len(token_of_id)) if number not in token_of_id), None)
    if missing is not None:
        raise KerasrecError(f"{path} has {len(token_of_id)} tokens, but none with the id {missing}: download it again")
    try:
        return WordPieceTokenizer([token_of_id[number] for number in range(len(token_of_id))]).tokens
    except KerasrecError as error:
        raise KerasrecError(f"{path}: {error}") from None


def _stored(path: Path, model: dict) -> list[tuple[str, int]]:
    vocab = model.get("vocab")
    if not isinstance(vocab, dict) or not all(type(number) is int for number in vocab.values()):
        raise KerasrecError(f"{path} has no vocabulary of tokens and their ids: download it again")
    return list(vocab.items())


def _added(path: Path, content: dict) -> list[tuple[str, int]]:
    added = content.get("added_tokens") or []
    try:
        tokens = [(token["content"], token["id"]) for token in added]
    except (TypeError, KeyError):
        tokens = None
    if tokens is None or not all(isinstance(token, str) and type(number) is int for token, number in tokens):
        raise KerasrecError(f"{path}: added_tokens is not a list of tokens and their ids: download it again")
    return tokens


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
