import itertools

import numpy as np
import pytest

from kerasrec.backend import bert4keras, keras, set_precision, tf
from kerasrec.errors import KerasrecError
from kerasrec.nn.settings import BertConfig, ItemModelSettings
from kerasrec.nn.transformer import LayerNormalization, TruncatedNormal, gelu, item_encoder, text_encoder

POLICIES = ["float32", "mixed_bfloat16", "mixed_float16"]


@pytest.fixture
def policy(request):
    set_precision(request.param)
    yield request.param
    set_precision("float32")


def weight(model, layer, name):
    return next(w.numpy() for w in model.get_layer(layer).weights if w.name.endswith(f"{name}:0"))


def exact_gelu(x):
    from scipy.special import erf

    return 0.5 * x * (1 + erf(x / np.sqrt(2)))


def tanh_gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def relu(x):
    return np.maximum(x, 0)


def normalised(x, layer, epsilon=1e-12):
    beta, gamma = (w.numpy() for w in layer.weights)
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + epsilon) * gamma + beta


def bert_in_numpy(
    model,
    ids,
    segments=None,
    unilm=True,
    layers=2,
    heads=2,
    act=exact_gelu,
    epsilon=1e-12,
    causal=False,
    pre_norm=False,
):
    """The encoder of the BERT paper in NumPy; optionally with UniLM's mask, a causal mask or pre-normalisation."""
    x = weight(model, "Embedding-Token", "embeddings")[ids]
    if pre_norm:
        x = x * np.sqrt(x.shape[-1])
    if segments is not None:
        x = x + weight(model, "Embedding-Segment", "embeddings")[segments]
    if hasattr(model.get_layer("Embedding-Position"), "from_end"):
        lengths = (ids > 0).sum(axis=1, keepdims=True)
        distances = np.maximum(lengths - 1 - np.arange(ids.shape[1]), 0)
        x = x + weight(model, "Embedding-Position", "from_end")[distances]
    else:
        x = x + weight(model, "Embedding-Position", "embeddings")[: ids.shape[1]]
    if not pre_norm:
        x = normalised(x, model.get_layer("Embedding-Norm"), epsilon)
    allowed = np.broadcast_to((ids > 0)[:, None, :], (*ids.shape, ids.shape[1])).copy()
    if segments is not None and unilm:
        order = np.cumsum(segments, axis=1)
        allowed &= order[:, None, :] <= order[:, :, None]
    if causal:
        allowed &= np.tri(ids.shape[1], dtype=bool)

    def attended(x, name):
        weights = [w.numpy() for w in model.get_layer(name).weights]
        query, key, value = (x @ weights[2 * i] + weights[2 * i + 1] for i in range(3))
        size = x.shape[-1] // heads
        result = np.zeros_like(x)
        for head in range(heads):
            own = slice(head * size, (head + 1) * size)
            scores = query[..., own] @ key[..., own].transpose(0, 2, 1) / np.sqrt(size)
            scores = np.where(allowed, scores, -np.inf)
            scores = np.exp(scores - scores.max(-1, keepdims=True))
            result[..., own] = scores / scores.sum(-1, keepdims=True) @ value[..., own]
        return result @ weights[6] + weights[7]

    def forward(x, name):
        inner, inner_bias, outer, outer_bias = (w.numpy() for w in model.get_layer(name).weights)
        return act(x @ inner + inner_bias) @ outer + outer_bias

    for layer in range(layers):
        for name, sublayer in (("MultiHeadSelfAttention", attended), ("FeedForward", forward)):
            name = f"Transformer-{layer}-{name}"
            norm = model.get_layer(f"{name}-Norm")
            if pre_norm:
                x = x + sublayer(normalised(x, norm, epsilon), name)
            else:
                x = normalised(x + sublayer(x, name), norm, epsilon)
    return normalised(x, model.get_layer("Output-Norm"), epsilon) if pre_norm else x


def small_encoder(vocab_size, max_seq_length, ordered=True, seed=0, **settings):
    settings = ItemModelSettings(hidden_size=16, **settings)
    return item_encoder(settings, vocab_size, max_seq_length, ordered, seed=seed)


def noisy(model, seed=0):
    """Moves biases and norms away from 0 and 1, so that the test fails if one is not applied."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        variable.assign(variable.numpy() + rng.normal(0, 0.1, variable.shape))
    return model


def test_encoder_equals_that_of_the_paper():
    model = noisy(small_encoder(40, 12))
    ids = np.array([[5, 9, 30, 4, 0, 0], [7, 7, 8, 12, 39, 6]])
    expected = bert_in_numpy(model, ids)
    np.testing.assert_allclose(model(ids).numpy()[ids > 0], expected[ids > 0], atol=2e-5)


def test_positions_are_counted_from_the_end():
    """A state of a causal model must not depend on the number of later items; that of a masked model may."""
    rows = np.array([[5, 9, 30, 4], [9, 30, 4, 0]])
    from_end = small_encoder(40, 12).get_layer("Embedding-Position")
    embedded = from_end(tf.zeros([2, 4, 16]), mask=tf.constant(rows > 0)).numpy()
    np.testing.assert_array_equal(embedded[0, 1:], embedded[1, :3])
    np.testing.assert_array_equal(embedded[0], from_end.from_end.numpy()[[3, 2, 1, 0]])
    for settings in ({"objective": "causal"}, {"seq2seq_weight": 1.0}):
        encoder = small_encoder(40, 12, **settings)
        assert not hasattr(encoder.get_layer("Embedding-Position"), "from_end")


def test_unilm_encoder_equals_that_of_the_paper():
    model = noisy(small_encoder(40, 12, seq2seq_weight=1.0))
    ids = np.array([[5, 9, 30, 4, 8, 0], [7, 7, 8, 12, 39, 6]])
    segments = np.array([[0, 0, 1, 1, 1, 0], [0, 0, 0, 0, 0, 0]])
    real = ids > 0
    expected = bert_in_numpy(model, ids, segments)
    np.testing.assert_allclose(model([ids, segments]).numpy()[real], expected[real], atol=2e-5)


def test_causal_encoder_equals_that_of_the_paper():
    model = noisy(small_encoder(40, 12, objective="causal"))
    ids = np.array([[5, 9, 30, 4, 0, 0], [7, 7, 8, 12, 39, 6]])
    expected = bert_in_numpy(model, ids, causal=True)
    np.testing.assert_allclose(model(ids).numpy()[ids > 0], expected[ids > 0], atol=2e-5)


@pytest.mark.parametrize("mask", ["none", "unilm", "causal"])
def test_pre_norm_normalises_the_inputs_of_sublayers(mask):
    masks = {"none": {}, "unilm": {"seq2seq_weight": 1.0}, "causal": {"objective": "causal"}}
    model = noisy(small_encoder(40, 12, norm="pre", **masks[mask]))
    ids = np.array([[5, 9, 30, 4, 8, 0], [7, 7, 8, 12, 39, 6]])
    segments = np.array([[0, 0, 1, 1, 1, 0], [0, 0, 0, 0, 0, 0]]) if mask == "unilm" else None
    expected = bert_in_numpy(model, ids, segments, causal=mask == "causal", pre_norm=True)
    states = model(ids if segments is None else [ids, segments]).numpy()
    np.testing.assert_allclose(states[ids > 0], expected[ids > 0], atol=2e-5)


def test_a_causal_state_does_not_depend_on_later_items():
    model = noisy(small_encoder(40, 12, objective="causal"))
    states, changed = model(np.array([[5, 9, 30, 4, 8]])), model(np.array([[5, 9, 30, 11, 0]]))
    np.testing.assert_array_equal(states[:, :3], changed[:, :3])
    assert np.abs(states - changed)[:, 3:].min(axis=-1).max() > 0


@pytest.mark.parametrize("dtype, atol", [("float32", 1e-6), ("bfloat16", 0.03)])
def test_the_gradient_of_gelu_is_its_derivative(dtype, atol):
    x = tf.constant(np.linspace(-6, 6, 101), dtype)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        ours, theirs = gelu(x), tf.nn.gelu(tf.cast(x, tf.float32))
    np.testing.assert_allclose(tf.cast(ours, tf.float32), theirs, atol=atol)
    expected = tape.gradient(theirs, x)
    np.testing.assert_allclose(tf.cast(tape.gradient(ours, x), tf.float32), tf.cast(expected, tf.float32), atol=atol)


def test_the_gradient_of_layer_normalisation_is_its_derivative():
    layer = LayerNormalization(epsilon=0.01)
    layer.build([None, 5])
    x = tf.constant(np.random.default_rng(0).normal(size=(3, 4, 5)), tf.float32)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        ours = tf.reduce_sum(layer(x) ** 3)
        mean, variance = tf.nn.moments(x, axes=[-1], keepdims=True)
        theirs = tf.reduce_sum(((x - mean) / tf.sqrt(variance + 0.01)) ** 3)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    np.testing.assert_allclose(tape.gradient(ours, x), tape.gradient(theirs, x), atol=1e-4)


BERT = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "max_position_embeddings": 12,
}
IDS = np.array([[5, 9, 30, 4, 8, 0], [7, 7, 8, 12, 39, 6]])
SEGMENTS = np.array([[0, 0, 1, 1, 1, 0], [0, 0, 0, 2, 2, 1]])


@pytest.mark.parametrize("unilm", [False, True])
@pytest.mark.parametrize(
    "name, act", [("gelu", exact_gelu), ("gelu_new", tanh_gelu), ("gelu_pytorch_tanh", tanh_gelu), ("relu", relu)]
)
def test_text_encoder_equals_that_of_the_paper(name, act, unilm):
    config = BertConfig(**BERT, type_vocab_size=3, hidden_act=name, layer_norm_eps=0.03)
    model = noisy(text_encoder(config, unilm))
    expected = bert_in_numpy(model, IDS, SEGMENTS, unilm, heads=4, act=act, epsilon=0.03)
    np.testing.assert_allclose(model([IDS, SEGMENTS]).numpy()[IDS > 0], expected[IDS > 0], atol=2e-5)


def test_gelu_is_exact_even_after_bert4keras_set_gelu():
    bert4keras.backend.set_gelu("tanh")
    try:
        model = noisy(text_encoder(BertConfig(**BERT)))
        states = model([IDS, 0 * SEGMENTS]).numpy()
    finally:
        bert4keras.backend.set_gelu("erf")
    exact, rounded = (bert_in_numpy(model, IDS, 0 * SEGMENTS, heads=4, act=act) for act in (exact_gelu, tanh_gelu))
    real = IDS > 0
    assert np.abs(states - exact)[real].max() < 0.1 * np.abs(states - rounded)[real].max()


def test_text_encoder_has_the_shapes_of_its_configuration():
    model = text_encoder(BertConfig(**BERT, type_vocab_size=3))
    assert [x.dtype for x in model.inputs] == [tf.int32, tf.int32]
    assert weight(model, "Embedding-Token", "embeddings").shape == (40, 16)
    assert weight(model, "Embedding-Position", "embeddings").shape == (12, 16)
    assert weight(model, "Embedding-Segment", "embeddings").shape == (3, 16)
    assert model.get_layer("Transformer-1-FeedForward").i0_dense.kernel.shape == (16, 24)


def test_text_encoder_without_segments_takes_and_ignores_them():
    model = noisy(text_encoder(BertConfig(**BERT, type_vocab_size=0)))
    expected = bert_in_numpy(model, IDS, heads=4)
    np.testing.assert_allclose(model([IDS, SEGMENTS]).numpy()[IDS > 0], expected[IDS > 0], atol=2e-5)


@pytest.mark.parametrize("segments", [0, 1])
def test_unilm_needs_two_segments(segments):
    with pytest.raises(KerasrecError, match=f"type_vocab_size is {segments}; it must be at least 2 for UniLM"):
        text_encoder(BertConfig(**BERT, type_vocab_size=segments), unilm=True)


def test_text_encoder_has_the_dropout_of_its_configuration():
    config = BertConfig(**BERT, hidden_dropout_prob=0.5, attention_probs_dropout_prob=0.25)
    model = text_encoder(config)
    assert model.get_layer("Embedding-Dropout").rate == 0.5
    assert model.get_layer("Transformer-0-MultiHeadSelfAttention").dropout.rate == 0.25
    assert np.abs(model([IDS, 0 * IDS], training=True) - model([IDS, 0 * IDS])).max() > 0.01


def test_configuration_and_seed_determine_the_initial_weights_of_text_encoder():
    config = BertConfig(**BERT, initializer_range=0.5)
    first, same, other = (text_encoder(config, seed=seed).get_weights() for seed in (3, 3, 4))
    assert 0.4 < first[0].std() < 0.48
    for one, two in zip(first, same, strict=True):
        np.testing.assert_array_equal(one, two)
    assert np.abs(first[0] - other[0]).max() > 0.1


def test_the_initial_kernels_of_a_layer_differ():
    model = small_encoder(40, 12)
    kernels = [w.numpy() for w in model.weights if "kernel" in w.name and w.shape == (16, 16)]
    assert len(kernels) == 8
    for one, other in itertools.combinations(kernels, 2):
        assert np.abs(one - other).mean() > 0.01


def test_the_seed_determines_the_initial_weights():
    models = [small_encoder(40, 12, seed=seed) for seed in (3, 3, 4)]
    first, same, other = ([w.numpy() for w in model.weights if "kernel" in w.name] for model in models)
    for one, two, three in zip(first, same, other, strict=True):
        np.testing.assert_array_equal(one, two)
        assert np.abs(one - three).max() > 0.01


def test_the_initializer_has_the_given_standard_deviation():
    draw = TruncatedNormal(stddev=0.5, seed=1)([20_000]).numpy()
    assert 0.42 < draw.std() < 0.46  # truncation at two standard deviations leaves 0.88 of it
    assert np.abs(draw).max() <= 1.0


def test_padding_does_not_change_states():
    model = noisy(small_encoder(40, 12))
    ids = np.array([[5, 9, 30]])
    padded = np.array([[5, 9, 30, 0, 0, 0, 0]])
    np.testing.assert_allclose(model(padded).numpy()[:, :3], model(ids).numpy(), atol=1e-6)


@pytest.mark.parametrize("policy", POLICIES, indirect=True)
def test_a_row_of_padding_is_finite(policy):
    model = small_encoder(40, 12, seq2seq_weight=1.0)
    states = model([np.zeros((2, 5), int), np.zeros((2, 5), int)])
    assert np.isfinite(states.numpy().astype(np.float32)).all()


@pytest.mark.parametrize("policy", POLICIES, indirect=True)
def test_large_ids_are_not_rounded(policy):
    """bfloat16 cannot represent 2999, nor float16 59,999; two neighbouring ids must not share an embedding."""
    model = small_encoder(60_000, 512)
    table = model.get_layer("Embedding-Token").embeddings
    lookup = keras.Model(model.inputs, model.get_layer("Embedding-Token").output)
    ids = np.arange(59_488, 60_000)[None]
    np.testing.assert_array_equal(
        tf.cast(lookup(ids), table.dtype).numpy(), tf.cast(tf.cast(tf.gather(table, ids), policy_dtype()), table.dtype)
    )


@pytest.mark.parametrize("policy", POLICIES, indirect=True)
def test_later_positions_have_no_effect_at_any_precision(policy):
    """bfloat16 rounds a cumulative sum of segments above 256, and a rounded mask would allow later positions."""
    length = 512
    model = small_encoder(60_000, length, seq2seq_weight=1.0)
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


def test_an_unordered_encoder_ignores_the_order():
    model = small_encoder(30, 4, ordered=False)
    assert not any("Position" in layer.name for layer in model.layers)
    ids = np.array([[5, 9, 7, 6, 12, 8, 11]])  # longer than max_seq_length, which has no effect without positions
    shuffled = np.random.default_rng(1).permutation(ids.shape[1])
    np.testing.assert_allclose(model(ids[:, shuffled]), model(ids).numpy()[:, shuffled], atol=1e-6)


def test_an_ordered_encoder_depends_on_the_order():
    model = small_encoder(30, 4)
    states = model(np.array([[5, 9, 7, 6]])).numpy()
    assert np.abs(model(np.array([[6, 7, 9, 5]])).numpy()[:, ::-1] - states).max() > 1e-3
