"""A WordPiece vocabulary from texts, for models that start from random weights; imports no TensorFlow."""

import logging
from collections import Counter
from collections.abc import Iterable

from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.pre_tokenizers import WhitespaceSplit
from tokenizers.trainers import WordPieceTrainer

from kerasrec.data.text.tokenizer import MAX_WORD, SPECIALS, WordPieceTokenizer
from kerasrec.errors import KerasrecError

logger = logging.getLogger(__name__)

LEARNED_TOKENS = 8000
"""Largest size of a learned vocabulary. It holds the characters of common Chinese, or English words and their parts."""


def learn_vocabulary(
    texts: Iterable[str], lower_case: bool = True, ascii_quotes: bool = False, size: int = LEARNED_TOKENS
) -> WordPieceTokenizer:
    """A tokenizer whose vocabulary is learned from texts: the same texts in the same order give the same vocabulary.

    The vocabulary has the special tokens, the characters of the texts (the most frequent ones, if there are too many),
    and frequent combinations of characters within words. Each Chinese character is a word of its own, so that Chinese
    is tokenised by characters.

    Args:
        texts: The texts.
        lower_case: As in `WordPieceTokenizer`.
        ascii_quotes: As in `WordPieceTokenizer`.
        size: Most tokens.

    Raises:
        KerasrecError: the texts have no word.

    Example:
        >>> tokenizer = learn_vocabulary(["lower low", "lowest 低"])
        >>> tokenizer.decode(tokenizer.encode(["lowest low, 低"])[1])
        'lowest low [UNK]低'
    """
    tokenizer = WordPieceTokenizer(SPECIALS, lower_case, ascii_quotes)
    words = Counter(word for text in texts for word in tokenizer.words(text) if len(word) <= MAX_WORD)
    if not words:
        raise KerasrecError("the texts have no word to learn a vocabulary from: give texts, or a vocabulary file")
    characters = _characters(words, size - len(SPECIALS))
    known = {word: count for word, count in words.items() if set(word) <= set(characters)}
    # The trainer numbers continuing characters in the order of a hash map, which differs between processes, and that
    # order decides between equally frequent combinations. It keeps the order of special tokens.
    trainer = WordPieceTrainer(
        vocab_size=size, min_frequency=2, special_tokens=[*SPECIALS, *characters], show_progress=False
    )
    learned = Tokenizer(WordPiece(unk_token="[UNK]", max_input_chars_per_word=MAX_WORD))
    learned.pre_tokenizer = WhitespaceSplit()
    learned.train_from_iterator((f"{word} " * count for word, count in known.items()), trainer)
    numbers = learned.get_vocab()
    return WordPieceTokenizer(sorted(numbers, key=numbers.__getitem__), lower_case, ascii_quotes)


def _characters(words: Counter[str], most: int) -> list[str]:
    """The most frequent characters as tokens, at most so many, in the order of their code points.

    A character of longer words has two tokens: `a` at the start of a word and `##a` after it.
    """
    counts: Counter[str] = Counter()
    for word, count in words.items():
        for character in word:
            counts[character] += count
    of_longer_words = {character for word in words if len(word) > 1 for character in word}
    tokens: list[str] = []
    left_out = 0
    for character in sorted(counts, key=lambda character: (-counts[character], character)):
        forms = [character, f"##{character}"] if character in of_longer_words else [character]
        if len(tokens) + len(forms) <= most:
            tokens += forms
        else:
            left_out += 1
    if left_out:
        logger.info(f"{left_out:,} of {len(counts):,} characters are rare and left out of the vocabulary")
    return sorted(tokens)
