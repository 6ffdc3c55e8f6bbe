import itertools

import numpy as np
import pytest

from kerasrec.backend import keras, set_precision, tf
from kerasrec.nn.transformer import FreshTruncatedNormal, item_encoder

POLICIES = ["float32", "mixed_bfloat16", "mixed_float16"]


@pytest.fixture
def policy(request):
    set_precision(request.param)
    yield request.param
    set_precision("float32")


def weight(model, layer, name):
    return next(w.numpy() for w in model.get_layer(layer).weights if w.name.endswith(f"{name}:0"))


def gelu(x):
    from scipy.special import erf

    return 0.5 * x * (1 + erf(x / np.sqrt(2)))


def normalised(x, layer):
    beta, gamma = (w.numpy() for w in layer.weights)
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-12) * gamma + beta


def bert_in_numpy(model, ids, segments=None, layers=2, heads=2):
    """The BERT paper's encoder, restated."""
    x = weight(model, "Embedding-Token", "embeddings")[ids]
    if segments is not None:
        x = x + weight(model, "Embedding-Segment", "embeddings")[segments]
    x = x + weight(model, "Embedding-Position", "embeddings")[: ids.shape[1]]
    x = normalised(x, model.get_layer("Embedding-Norm"))
    allowed = np.broadcast_to((ids > 0)[:, None, :], (*ids.shape, ids.shape[1])).copy()
    if segments is not None:
        order = np.cumsum(segments, axis=1)
        allowed &= order[:, None, :] <= order[:, :, None]
    for layer in range(layers):
        name = f"Transformer-{layer}-MultiHeadSelfAttention"
        weights = [w.numpy() for w in model.get_layer(name).weights]
        query, key, value = (x @ weights[2 * i] + weights[2 * i + 1] for i in range(3))
        size = x.shape[-1] // heads
        attended = np.zeros_like(x)
        for head in range(heads):
            own = slice(head * size, (head + 1) * size)
            scores = query[..., own] @ key[..., own].transpose(0, 2, 1) / np.sqrt(size)
            scores = np.where(allowed, scores, -np.inf)
            scores = np.exp(scores - scores.max(-1, keepdims=True))
            attended[..., own] = scores / scores.sum(-1, keepdims=True) @ value[..., own]
        x = normalised(x + attended @ weights[6] + weights[7], model.get_layer(f"{name}-Norm"))
        inner, inner_bias, outer, outer_bias = (
            w.numpy() for w in model.get_layer(f"Transformer-{layer}-FeedForward").weights
        )
        forward = gelu(x @ inner + inner_bias) @ outer + outer_bias
        x = normalised(x + forward, model.get_layer(f"Transformer-{layer}-FeedForward-Norm"))
    return x


def noisy(model, seed=0):
    """Biases and norms away from 0 and 1, so that a forgotten one shows."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        variable.assign(variable.numpy() + rng.normal(0, 0.1, variable.shape))
    return model


def test_encoder_is_the_papers():
    model = noisy(item_encoder(vocab_size=40, max_seq_length=12, hidden_size=16))
    ids = np.array([[5, 9, 30, 4, 0, 0], [7, 7, 8, 12, 39, 6]])
    expected = bert_in_numpy(model, ids)
    np.testing.assert_allclose(model(ids).numpy()[ids > 0], expected[ids > 0], atol=2e-5)


def test_unilm_encoder_is_the_papers():
    model = noisy(item_encoder(vocab_size=40, max_seq_length=12, hidden_size=16, seq2seq=True))
    ids = np.array([[5, 9, 30, 4, 8, 0], [7, 7, 8, 12, 39, 6]])
    segments = np.array([[0, 0, 1, 1, 1, 0], [0, 0, 0, 0, 0, 0]])
    real = ids > 0
    expected = bert_in_numpy(model, ids, segments)
    np.testing.assert_allclose(model([ids, segments]).numpy()[real], expected[real], atol=2e-5)


def test_kernels_of_a_layer_start_different():
    model = item_encoder(vocab_size=40, max_seq_length=12, hidden_size=16)
    kernels = [w.numpy() for w in model.weights if "kernel" in w.name and w.shape == (16, 16)]
    assert len(kernels) == 8
    for one, other in itertools.combinations(kernels, 2):
        assert np.abs(one - other).mean() > 0.01


def test_initial_weights_follow_from_the_seed():
    models = [item_encoder(vocab_size=40, max_seq_length=12, hidden_size=16, seed=seed) for seed in (3, 3, 4)]
    first, same, other = ([w.numpy() for w in model.weights if "kernel" in w.name] for model in models)
    for one, two, three in zip(first, same, other, strict=True):
        np.testing.assert_array_equal(one, two)
        assert np.abs(one - three).max() > 0.01


def test_initializer_range_is_heeded():
    draw = FreshTruncatedNormal(stddev=0.5, seed=1)([20_000]).numpy()
    assert 0.42 < draw.std() < 0.46  # a normal cut at two deviations keeps 0.88 of its deviation
    assert np.abs(draw).max() <= 1.0


def test_padding_changes_nothing():
    model = noisy(item_encoder(vocab_size=40, max_seq_length=12, hidden_size=16))
    ids = np.array([[5, 9, 30]])
    padded = np.array([[5, 9, 30, 0, 0, 0, 0]])
    np.testing.assert_allclose(model(padded).numpy()[:, :3], model(ids).numpy(), atol=1e-6)


@pytest.mark.parametrize("policy", POLICIES, indirect=True)
def test_a_row_of_padding_is_finite(policy):
    model = item_encoder(vocab_size=40, max_seq_length=12, hidden_size=16, seq2seq=True)
    states = model([np.zeros((2, 5), int), np.zeros((2, 5), int)])
    assert np.isfinite(states.numpy().astype(np.float32)).all()


@pytest.mark.parametrize("policy", POLICIES, indirect=True)
def test_large_ids_are_not_rounded(policy):
    """bfloat16 knows no 2999 and float16 no 59,999: two neighbours must not share an embedding."""
    model = item_encoder(vocab_size=60_000, max_seq_length=512, hidden_size=16)
    table = model.get_layer("Embedding-Token").embeddings
    lookup = keras.Model(model.inputs, model.get_layer("Embedding-Token").output)
    ids = np.arange(59_488, 60_000)[None]
    np.testing.assert_array_equal(
        tf.cast(lookup(ids), table.dtype).numpy(), tf.cast(tf.cast(tf.gather(table, ids), policy_dtype()), table.dtype)
    )


@pytest.mark.parametrize("policy", POLICIES, indirect=True)
def test_no_future_leaks_at_any_precision(policy):
    """A cumulative sum of segments above 256 is rounded in bfloat16, and a rounded mask lets the future in."""
    length = 512
    model = item_encoder(vocab_size=60_000, max_seq_length=length, hidden_size=16, seq2seq=True)
    rng = np.random.default_rng(0)
    ids = rng.integers(5, 60_000, (1, length))
    segments = (np.arange(length) >= 10).astype(int)[None]
    changed = ids.copy()
    changed[0, 400:] = rng.integers(5, 60_000, length - 400)
    before, after = (model([row, segments]).numpy().astype(np.float32) for row in (ids, changed))
    np.testing.assert_array_equal(before[0, :400], after[0, :400])
    assert np.abs(before[0, 400:] - after[0, 400:]).max() > 0


def policy_dtype():
    return keras.mixed_precision.global_policy().compute_dtype
