"""BERT's tokenisation in a graph, with tensorflow-text; the ids are those of the Python tokenizer.

tensorflow-text's own BERT tokenizers are not used: their case folding replaces full-width punctuation by ASCII and `ß`
by `ss`, they split words at control characters, and they do not tokenize words of more than 100 bytes.
"""

from types import ModuleType

from kerasrec.backend import tf
from kerasrec.data.text.characters import (
    INVALID,
    QUOTES,
    is_accent,
    is_blank_character,
    is_cjk,
    is_punctuation,
    is_removed,
    is_space,
    re2_class,
)
from kerasrec.data.text.tokenizer import MAX_WORD, WordPieceTokenizer
from kerasrec.errors import KerasrecError


class GraphTokenizer(tf.Module):
    """`WordPieceTokenizer` as TensorFlow operations.

    It is for exported modules. The export then contains the vocabulary and loads after `tensorflow_text` is imported.
    A word with bytes that are not UTF-8 becomes `[UNK]`, like a word with a lone surrogate in a Python string.
    TensorFlow lower-cases by Unicode 13: the few cased letters of later versions keep their case, but common
    vocabularies do not have them.

    Args:
        tokenizer: The Python tokenizer with the same results.

    Raises:
        KerasrecError: tensorflow-text is not installed, or does not match the installed TensorFlow.

    Example:
        >>> from kerasrec.data.text.tokenizer import SPECIALS
        >>> graph = GraphTokenizer(WordPieceTokenizer([*SPECIALS, "un", "##aff", "猫", "!"]))
        >>> graph.ids(tf.constant(["Unaff猫!", ""])).to_list()
        [[5, 6, 7, 8], []]
        >>> graph.rows(tf.constant(["Unaff猫!", "猫"]), max_length=5).numpy().tolist()
        [[2, 5, 6, 7, 3], [2, 7, 3, 0, 0]]
    """

    def __init__(self, tokenizer: WordPieceTokenizer):
        super().__init__(name="tokenizer")
        self._text = load_tensorflow_text()
        self._lower_case = tokenizer.lower_case
        self._ascii_quotes = tokenizer.ascii_quotes
        self._cls, self._sep = tokenizer.cls, tokenizer.sep
        self._word_piece = self._text.FastWordpieceTokenizer(
            tokenizer.tokens,
            max_bytes_per_word=4 * MAX_WORD,  # a character has at most four bytes; `ids` counts characters
            token_out_type=tf.int32,
            unknown_token="[UNK]",
            no_pretokenization=True,
        )

    def blank(self, texts: "tf.Tensor") -> "tf.Tensor":
        """Whether texts have no tokens, because they are empty or have only spaces.

        Args:
            texts: string of any shape.

        Returns:
            bool of the same shape.
        """
        return tf.strings.regex_full_match(texts, f"{re2_class(is_blank_character)}*")

    def ids(self, texts: "tf.Tensor") -> "tf.RaggedTensor":
        """Token ids of texts, without special tokens.

        Args:
            texts: string [B], UTF-8.

        Returns:
            int32 [B, (tokens)].
        """
        words = tf.strings.split(self._normalised(texts))  # [B, (words)]
        too_long = tf.strings.length(words.flat_values, unit="UTF8_CHAR") > MAX_WORD
        words = words.with_flat_values(tf.where(too_long, INVALID, words.flat_values))
        return self._word_piece.tokenize(words).merge_dims(1, 2)

    def rows(self, texts: "tf.Tensor", max_length: int) -> "tf.Tensor":
        """Rows for a model, `[CLS] text [SEP]`, with texts truncated so that rows have at most `max_length` tokens.

        Args:
            texts: string [B], UTF-8.
            max_length: Longest row, special tokens included; at least 2.

        Returns:
            int32 [B, L], padded with 0 on the right; L is the length of the longest row, or 2 if there are no rows.
        """
        rows = tf.shape(texts)[0]
        ids = self.ids(texts)[:, : max_length - 2]
        ids = tf.concat([tf.fill([rows, 1], self._cls), ids, tf.fill([rows, 1], self._sep)], axis=1).to_tensor()
        return tf.pad(ids, [[0, 0], [0, tf.maximum(2 - tf.shape(ids)[1], 0)]])

    def _normalised(self, texts):
        """The words of each text, separated by spaces; the steps are in the order of Google's code."""
        texts = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace", replacement_char=ord(INVALID))
        if self._ascii_quotes:
            for quote, ascii_quote in QUOTES.items():
                texts = tf.strings.regex_replace(texts, quote, ascii_quote)
        texts = tf.strings.regex_replace(texts, re2_class(is_removed), "")
        texts = tf.strings.regex_replace(texts, re2_class(is_space), " ")
        texts = tf.strings.regex_replace(texts, f"({re2_class(is_cjk)})", r" \1 ")
        if self._lower_case:
            # ASCII first, because the second, full lower-casing depends on the locale: a Turkish one turns I into ı.
            texts = tf.strings.lower(tf.strings.lower(texts), encoding="utf-8")
            texts = self._text.normalize_utf8(texts, "NFD")
            texts = tf.strings.regex_replace(texts, re2_class(is_accent), "")
        return tf.strings.regex_replace(texts, f"({re2_class(is_punctuation)})", r" \1 ")


def load_tensorflow_text() -> ModuleType:
    """Import tensorflow-text, which registers the operations of exported tokenizers.

    Raises:
        KerasrecError: it is not installed, or does not fit the installed TensorFlow.
    """
    try:
        import tensorflow_text
    except (ImportError, tf.errors.NotFoundError) as error:
        version = ".".join(tf.__version__.split(".")[:2])
        reason = str(error).splitlines()[0]
        raise KerasrecError(
            f'tensorflow-text cannot be used ({reason}): pip install "tensorflow-text=={version}.*"'
        ) from None
    return tensorflow_text
