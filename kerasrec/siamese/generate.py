"""Paraphrases: written by nucleus sampling, ranked by similarity."""

from collections.abc import Callable, Sequence

import numpy as np

from kerasrec.backend import no_autograph, tf
from kerasrec.data.text.tokenizer import WordPieceTokenizer
from kerasrec.nn.cosine import cosine
from kerasrec.siamese.model import SiameseModel

_NEVER = -1e9


def nucleus(scores, top_p: float):
    """Leave only the most likely tokens that have `top_p` of the probability together (https://arxiv.org/abs/1904.09751).

    Args:
        scores: float32 [B, V], logits.
        top_p: Above 0 and at most 1; the most likely token always stays.

    Returns:
        float32 [B, V]: the same logits, and -1e9 for all other tokens.

    Example:
        >>> nucleus(tf.math.log([[0.5, 0.3, 0.2]]), top_p=0.6).numpy().round(1).tolist()
        [[-0.699999988079071, -1.2000000476837158, -1000000000.0]]
    """
    likeliest_first = tf.argsort(scores, direction="DESCENDING")
    probabilities = tf.nn.softmax(tf.gather(scores, likeliest_first, batch_dims=1))
    stays = tf.cumsum(probabilities, axis=1, exclusive=True) < top_p  # what lies before it is not enough
    stays = tf.gather(stays, tf.argsort(likeliest_first), batch_dims=1)
    return tf.where(stays, scores, _NEVER)


def sample(
    model: SiameseModel,
    tokenizer: WordPieceTokenizer,
    source: np.ndarray,
    samples: int,
    length: int,
    top_p: float,
    seed: int,
) -> np.ndarray:
    """Draw second texts for one first text.

    Args:
        model: The model.
        tokenizer: Its vocabulary.
        source: The first text's row, [CLS] text [SEP], int32 [S].
        samples: How many are drawn, n.
        length: Most tokens of each, T.
        top_p: As for `nucleus`.
        seed: Of the draws.

    Returns:
        int32 [n, T]: token ids, 0 from the end of a text on.
    """
    never = np.zeros(len(tokenizer), np.float32)
    never[[tokenizer.pad, tokenizer.unk, tokenizer.cls, tokenizer.mask]] = _NEVER
    width = len(source)

    @tf.function(reduce_retracing=True)
    @no_autograph
    def draw(rows, step):
        segments = tf.cast(tf.range(tf.shape(rows)[1]) >= width, tf.int32)
        positions = tf.fill([samples], width - 1 + step)
        scores = model.next_token_scores(rows, tf.tile(segments[None], [samples, 1]), positions)
        scores = nucleus(scores + never, top_p)
        uniform = tf.random.stateless_uniform(tf.shape(scores), [seed, step], 1e-20, 1.0)
        tokens = tf.argmax(scores - tf.math.log(-tf.math.log(uniform)), axis=1, output_type=tf.int32)
        ended = (rows[:, -1] == tokenizer.sep) & (step > 0) | (rows[:, -1] == tokenizer.pad)
        return tf.where(ended, tokenizer.pad, tokens)

    rows = tf.tile(tf.constant(source)[None], [samples, 1])
    for step in range(length):
        tokens = draw(rows, tf.constant(step))
        rows = tf.concat([rows, tokens[:, None]], axis=1)
        if not tf.reduce_any((tokens != tokenizer.sep) & (tokens != tokenizer.pad)):
            break
    drawn = rows[:, width:].numpy()
    return np.where(drawn == tokenizer.sep, tokenizer.pad, drawn)


def ranked(
    text: str, candidates: Sequence[str], encode: Callable[[Sequence[str]], np.ndarray]
) -> list[tuple[str, float]]:
    """Different candidates and their cosines with a text, the most similar first; the text itself is left out."""
    different = [candidate for candidate in dict.fromkeys(candidates) if candidate and candidate != text]
    if not different:
        return []
    own, *others = encode([text, *different])
    cosines = cosine(own[None], np.array(others)).numpy()
    return [(different[place], float(cosines[place])) for place in np.argsort(-cosines, kind="stable")]
