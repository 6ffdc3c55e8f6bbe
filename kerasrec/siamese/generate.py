"""Write paraphrases by nucleus sampling, and rank them by similarity."""

from collections.abc import Callable, Sequence

import numpy as np

from kerasrec.backend import no_autograph, tf
from kerasrec.data.text.tokenizer import WordPieceTokenizer
from kerasrec.nn.cosine import cosine
from kerasrec.siamese.model import SiameseModel
from kerasrec.siamese.settings import Sampling

_EXCLUDED = -1e9


def nucleus(scores, top_p: float):
    """Keep only the most likely tokens that together have the probability `top_p` (https://arxiv.org/abs/1904.09751).

    Args:
        scores: float32 [B, V], logits.
        top_p: Above 0 and at most 1; the most likely token is always kept.

    Returns:
        float32 [B, V]: the logits of the kept tokens, and -1e9 for all other tokens.

    Example:
        >>> nucleus(tf.math.log([[0.5, 0.3, 0.2]]), top_p=0.6).numpy().round(1).tolist()
        [[-0.699999988079071, -1.2000000476837158, -1000000000.0]]
    """
    order = tf.argsort(scores, direction="DESCENDING")
    probabilities = tf.nn.softmax(tf.gather(scores, order, batch_dims=1))
    kept = tf.cumsum(probabilities, axis=1, exclusive=True) < top_p  # all more likely tokens together have less
    kept = tf.gather(kept, tf.argsort(order), batch_dims=1)
    return tf.where(kept, scores, _EXCLUDED)


def sample(
    model: SiameseModel, tokenizer: WordPieceTokenizer, source: np.ndarray, length: int, settings: Sampling
) -> np.ndarray:
    """Draw second texts for one first text.

    Args:
        model: The model.
        tokenizer: Its vocabulary.
        source: The row of the first text, [CLS] text [SEP], int32 [S].
        length: Most tokens of a second text, T.
        settings: Number of texts n, and how tokens are drawn.

    Returns:
        int32 [n, T]: token ids, 0 after the end of a text.
    """
    samples = settings.samples
    excluded = np.zeros(len(tokenizer), np.float32)
    excluded[[tokenizer.pad, tokenizer.unk, tokenizer.cls, tokenizer.mask]] = _EXCLUDED
    width = len(source)

    @tf.function(reduce_retracing=True)
    @no_autograph
    def draw(rows, step):
        segments = tf.cast(tf.range(tf.shape(rows)[1]) >= width, tf.int32)
        positions = tf.fill([samples], width - 1 + step)
        scores = model.next_token_scores(rows, tf.tile(segments[None], [samples, 1]), positions)
        scores = nucleus(scores + excluded, settings.top_p)
        uniform = tf.random.stateless_uniform(tf.shape(scores), [settings.seed, step], 1e-20, 1.0)
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
    """Distinct candidates and their cosines with a text, the most similar first; the text itself is left out."""
    distinct = [candidate for candidate in dict.fromkeys(candidates) if candidate and candidate != text]
    if not distinct:
        return []
    vector, *others = encode([text, *distinct])
    cosines = cosine(vector[None], np.array(others)).numpy()
    return [(distinct[index], float(cosines[index])) for index in np.argsort(-cosines, kind="stable")]
