import math

import numpy as np
import pytest

from kerasrec.backend import set_precision, tf
from kerasrec.errors import KerasrecError
from kerasrec.nn.settings import T5Config
from kerasrec.nn.t5 import DecoderSteps, t5_decoder, t5_encoder

SHAPE = {"d_model": 12, "d_kv": 5, "d_ff": 20, "num_layers": 2, "num_decoder_layers": 2, "num_heads": 3}
CONFIG = T5Config(**SHAPE, relative_attention_num_buckets=8, relative_attention_max_distance=20)
GATED = T5Config(**SHAPE, feed_forward_proj="gated-gelu", decoder_d_ff=28)


def noisy(model, seed=0):
    """Adds noise, so that attention is far from uniform and the test fails if a weight is not applied."""
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        variable.assign(variable.numpy() + rng.normal(0, 0.3, variable.shape))
    return model


class NumpyT5:
    """T5 in NumPy, after the paper and its published code; weights are found by the names of the layers."""

    def __init__(self, model, config, side):
        self.get, self.config, self.side = model.get_layer, config, side

    def norm(self, x, name):
        gamma = self.get(name).gamma.numpy()
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + self.config.layer_norm_epsilon) * gamma

    def bucket(self, distance):
        """The bucket of a distance, which is the key's position minus the query's."""
        buckets, bucket = self.config.relative_attention_num_buckets, 0
        if self.side == "Encoder":
            buckets //= 2
            bucket = buckets * (distance > 0)
            distance = abs(distance)
        else:
            distance = max(0, -distance)
        exact = buckets // 2
        if distance < exact:
            return bucket + distance
        ratio = math.log(distance / exact) / math.log(self.config.relative_attention_max_distance / exact)
        return bucket + min(buckets - 1, exact + int(ratio * (buckets - exact)))

    def attention(self, x, context, allowed, name, positions):
        layer = self.get(name)
        result = np.zeros([len(x), layer.heads * layer.head_size])
        query, key, value = (
            states @ dense.kernel.numpy()
            for states, dense in ((x, layer.q_dense), (context, layer.k_dense), (context, layer.v_dense))
        )
        for head in range(layer.heads):
            part = slice(head * layer.head_size, (head + 1) * layer.head_size)
            for q in range(len(x)):
                scores = key[:, part] @ query[q, part]
                if positions:
                    table = self.get(f"{self.side}-Embedding-Relative-Position").embeddings.numpy()
                    scores = scores + [table[self.bucket(k - q), head] for k in range(len(context))]
                scores = np.where(allowed[q], scores, -np.inf)
                weights = np.exp(scores - scores.max())
                result[q, part] = weights @ value[:, part] / weights.sum()
        return result @ layer.o_dense.kernel.numpy()

    def forward(self, x, name):
        layer = self.get(name)
        inner = x @ layer.i0_dense.kernel.numpy()
        if self.config.feed_forward_proj == "relu":
            inner = np.maximum(inner, 0)
        else:
            inner = 0.5 * inner * (1 + np.tanh(math.sqrt(2 / math.pi) * (inner + 0.044715 * inner**3)))
            inner = inner * (x @ layer.i1_dense.kernel.numpy())
        return inner @ layer.o_dense.kernel.numpy()

    def encode(self, x, real):
        all_real = np.tile(real, [len(x), 1])
        for block in range(self.config.num_layers):
            name = f"Encoder-Transformer-{block}-MultiHeadSelfAttention"
            queries = self.norm(x, f"{name}-Norm")
            x = x + self.attention(queries, queries, all_real, name, positions=True)
            name = f"Encoder-Transformer-{block}-FeedForward"
            x = x + self.forward(self.norm(x, f"{name}-Norm"), name)
        return self.norm(x, "Encoder-Output-Norm")

    def decode(self, context, x, real):
        earlier = np.tril(np.ones([len(x), len(x)], bool))
        all_real = np.tile(real, [len(x), 1])
        for block in range(self.config.num_decoder_layers):
            name = f"Decoder-Transformer-{block}-MultiHeadSelfAttention"
            queries = self.norm(x, f"{name}-Norm")
            x = x + self.attention(queries, queries, earlier, name, positions=True)
            name = f"Decoder-Transformer-{block}-MultiHeadCrossAttention"
            x = x + self.attention(self.norm(x, f"{name}-Norm"), context, all_real, name, positions=False)
            name = f"Decoder-Transformer-{block}-FeedForward"
            x = x + self.forward(self.norm(x, f"{name}-Norm"), name)
        return self.norm(x, "Decoder-Output-Norm")


def some_rows(rows=2, length=30, config=CONFIG):
    rng = np.random.default_rng(1)
    real = np.arange(length) < np.array([length, length // 2])[:rows, None]
    return rng.normal(size=[rows, length, config.d_model]).astype(np.float32), real


@pytest.mark.parametrize("config", [CONFIG, GATED])
def test_encoder_equals_that_of_the_paper(config):
    encoder = noisy(t5_encoder(config))
    embeddings, real = some_rows(config=config)
    states = encoder([embeddings, real]).numpy()
    reference = NumpyT5(encoder, config, "Encoder")
    for row in range(2):
        expected = reference.encode(embeddings[row].astype(np.float64), real[row])
        assert states[row][real[row]] == pytest.approx(expected[real[row]], abs=2e-4)


@pytest.mark.parametrize("config", [CONFIG, GATED])
def test_decoder_equals_that_of_the_paper(config):
    decoder = noisy(t5_decoder(config))
    context, real = some_rows(config=config)
    embeddings = np.random.default_rng(2).normal(size=[2, 4, config.d_model]).astype(np.float32)
    states = decoder([context, embeddings, real]).numpy()
    reference = NumpyT5(decoder, config, "Decoder")
    for row in range(2):
        expected = reference.decode(context[row].astype(np.float64), embeddings[row].astype(np.float64), real[row])
        assert states[row] == pytest.approx(expected, abs=2e-4)


def test_all_kernels_differ_and_have_the_expected_standard_deviations():
    config = T5Config(d_model=64, d_kv=16, d_ff=256, num_layers=2, num_decoder_layers=2)
    kernels = [v for m in (t5_encoder(config, 1), t5_decoder(config, 2)) for v in m.variables if "kernel" in v.name]
    assert len(kernels) == 2 * 6 + 2 * 10
    for number, kernel in enumerate(kernels):
        expected = kernel.shape[0] ** -0.5 * (16**-0.5 if "q_dense" in kernel.name else 1)
        assert kernel.numpy().std() == pytest.approx(expected * 0.88, rel=0.1)  # truncated at two standard deviations
        for other in kernels[:number]:
            assert other.shape != kernel.shape or abs(other.numpy() - kernel.numpy()).max() > 0.01 * expected


@pytest.mark.parametrize("fill", [0.0, 1e6])
def test_padding_does_not_change_states(fill):
    encoder, decoder = noisy(t5_encoder(CONFIG)), noisy(t5_decoder(CONFIG))
    embeddings, real = some_rows(length=6)
    codes = np.ones([2, 3, CONFIG.d_model], np.float32)
    unpadded = encoder([embeddings[1:, :3], real[1:, :3]])
    expected = decoder([unpadded, codes[1:], real[1:, :3]]).numpy()
    embeddings = np.where(real[..., None], embeddings, fill)
    states = encoder([embeddings, real])
    assert decoder([states, codes, real])[1:].numpy() == pytest.approx(expected, abs=1e-4)


def test_a_position_does_not_depend_on_later_ones():
    decoder = noisy(t5_decoder(CONFIG))
    context, real = some_rows()
    embeddings = np.random.default_rng(0).normal(size=[2, 4, CONFIG.d_model]).astype(np.float32)
    changed = embeddings.copy()
    changed[:, 2:] += 1
    before, after = (decoder([context, given, real]).numpy() for given in (embeddings, changed))
    assert np.array_equal(before[:, :2], after[:, :2])
    assert abs(before[:, 2:] - after[:, 2:]).min(axis=-1).max() > 1e-4


def test_decoder_steps_equal_the_decoder():
    decoder = noisy(t5_decoder(CONFIG))
    steps = DecoderSteps(decoder, CONFIG)
    context, real = some_rows()
    candidates = np.random.default_rng(3).normal(size=[2, 5, 4, CONFIG.d_model]).astype(np.float32)  # 5 for each row
    expected = np.stack([decoder([context, candidates[:, number], real]) for number in range(5)], axis=1)
    step_context, cache = steps.context(tf.constant(context), tf.constant(real)), steps.empty_cache()
    order = np.tile(np.arange(5), [2, 1])
    for position in range(4):
        chosen = np.take_along_axis(candidates[:, :, position], order[..., None], axis=1)
        states, cache = steps.step(tf.constant(chosen), step_context, cache, length=4)
        assert states.numpy() == pytest.approx(
            np.take_along_axis(expected[:, :, position], order[..., None], axis=1), abs=1e-4
        )
        picked = np.random.default_rng(position).integers(5, size=[2, 5])  # some are chosen twice, some never
        cache = steps.cache_of(cache, 2, tf.constant(picked, tf.int32))
        order = np.take_along_axis(order, picked, axis=1)


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_low_precision_is_close_to_float32(precision):
    embeddings, real = some_rows()
    expected = t5_encoder(CONFIG, seed=4)([embeddings, real]).numpy()
    try:
        set_precision(precision)
        encoder = t5_encoder(CONFIG, seed=4)
        states = encoder([embeddings, real])
    finally:
        set_precision("float32")
    assert np.asarray(states, np.float32)[real] == pytest.approx(expected[real], abs=0.15)


@pytest.mark.parametrize(
    "wrong", [{"d_model": 0}, {"dropout_rate": 1.0}, {"feed_forward_proj": "swish"}, {"num_heads": True},
              {"decoder_d_ff": 0}, {"relative_attention_max_distance": 8}, {"layer_norm_epsilon": 0}],
)  # fmt: skip
def test_invalid_shapes(wrong):
    with pytest.raises(KerasrecError, match=next(iter(wrong))):
        T5Config(**wrong)
