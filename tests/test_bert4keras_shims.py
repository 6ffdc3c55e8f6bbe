"""The patches of bert4keras, tested with notebook code that was written for bert4keras; only its imports are changed.

The first half is such a notebook, cell by cell: it trains on pairs of texts with the same meaning, with two losses.
"""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest

from kerasrec.backend import K, bert4keras, keras, limit_gpu_memory, set_precision, tf  # isort: split

from bert4keras.layers import FeedForward, Loss, MultiHeadAttention
from bert4keras.models import build_transformer_model
from bert4keras.optimizers import Adam, extend_with_weight_decay
from bert4keras.snippets import AutoRegressiveDecoder, DataGenerator, sequence_padding, strQ2B
from bert4keras.tokenizers import Tokenizer, load_vocab

from kerasrec.errors import KerasrecError

LETTERS = "abcdefghijklmnopqrstuvwxyz"
VOCAB = [
    "[PAD]",
    *(f"[unused{number}]" for number in range(1, 9)),
    *("[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    *LETTERS,
    *(f"##{letter}" for letter in LETTERS),
    *("你", "好", "##你", "##好"),
]
CONFIG = """{"vocab_size": %d, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
"intermediate_size": 64, "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1,
"max_position_embeddings": 64, "type_vocab_size": 2, "initializer_range": 0.02}"""

maxlen = 24
batch_size = 8
epochs = 5


class TotalLoss(Loss):
    """Cross-entropy of the tokens of the second text, plus cross-entropy of each text's partner in the batch."""

    def compute_loss(self, inputs, mask=None):
        seq2seq = self.compute_loss_of_seq2seq(inputs, mask)
        similarity = self.compute_loss_of_similarity(inputs, mask)
        self.add_metric(seq2seq, name="seq2seq_loss")
        self.add_metric(similarity, name="similarity_loss")
        return seq2seq + similarity

    def compute_loss_of_seq2seq(self, inputs, mask=None):
        token_ids, segment_ids, _, probas = inputs
        losses = K.sparse_categorical_crossentropy(token_ids[:, 1:], probas[:, :-1])
        weights = segment_ids[:, 1:]
        return K.sum(losses * weights) / K.sum(weights)

    def compute_loss_of_similarity(self, inputs, mask=None):
        vectors = K.l2_normalize(inputs[2], axis=1)
        rows = K.shape(vectors)[0]
        scores = K.dot(vectors, K.transpose(vectors)) - K.eye(rows) * 1e12
        places = K.arange(0, rows)
        partners = places + 1 - 2 * (places % 2)
        labels = K.cast(K.equal(places[None, :], partners[:, None]), K.floatx())
        return K.categorical_crossentropy(labels, scores * 30, from_logits=True)  # a vector: one loss per row


class data_generator(DataGenerator):  # noqa: N801
    """Yields two adjacent rows per group, with two texts of the group in both orders."""

    def __iter__(self, random=False):
        token_ids, segment_ids = [], []
        for is_end, texts in self.sample(random):
            text, synonym = np.random.permutation(texts)[:2]
            for first, second in ((text, synonym), (synonym, text)):
                tokens, segments = tokenizer.encode(str(first), str(second), maxlen=maxlen)
                token_ids.append(tokens)
                segment_ids.append(segments)
            if len(token_ids) == self.batch_size or is_end:
                yield [sequence_padding(token_ids), sequence_padding(segment_ids)], None
                token_ids, segment_ids = [], []


class Synonyms(AutoRegressiveDecoder):
    """Generates a second text after the first."""

    @AutoRegressiveDecoder.wraps(default_rtype="probas")
    def predict(self, inputs, output_ids, states):
        token_ids, segment_ids = inputs
        token_ids = np.concatenate([token_ids, output_ids], 1)
        segment_ids = np.concatenate([segment_ids, np.ones_like(output_ids)], 1)
        return self.last_token(seq2seq).predict([token_ids, segment_ids], verbose=0)

    def generate(self, text, n):
        token_ids, segment_ids = tokenizer.encode(text, maxlen=maxlen)
        return [tokenizer.decode(ids) for ids in self.random_sample([token_ids, segment_ids], n, topk=5)]


class Evaluate(keras.callbacks.Callback):
    """Stores the vectors of each group's first text after each epoch."""

    def __init__(self, groups):
        super().__init__()
        self.rows = [tokenizer.encode(texts[0])[0] for texts in groups]
        self.vectors = []

    def on_epoch_end(self, epoch, logs=None):
        token_ids = sequence_padding(self.rows)
        vectors = encoder.predict([token_ids, np.zeros_like(token_ids)], verbose=0)
        self.vectors.append(vectors / (vectors**2).sum(axis=1, keepdims=True) ** 0.5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a vocabulary and a configuration in the format of Google's checkpoints."""
    folder = tmp_path_factory.mktemp("bert")
    (folder / "vocab.txt").write_text("\n".join(VOCAB) + "\n", encoding="utf-8")
    (folder / "bert_config.json").write_text(CONFIG % len(VOCAB), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def run(folder):
    """Run the cells from top to bottom and return their results."""
    global tokenizer, encoder, seq2seq
    keras.utils.set_random_seed(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tf.config, "list_physical_devices", lambda kind=None: [])
        with pytest.warns(UserWarning, match="no GPU"):
            limit_gpu_memory(4 * 1024, 1)

    token_dict, keep_tokens = load_vocab(
        dict_path=str(folder / "vocab.txt"), simplified=True, startswith=["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    )
    tokenizer = Tokenizer(token_dict, do_lower_case=True)
    bert = build_transformer_model(
        str(folder / "bert_config.json"),
        None,
        with_pool="linear",
        application="unilm",
        keep_tokens=keep_tokens,
        return_keras_model=False,
    )
    encoder = keras.models.Model(bert.model.inputs, bert.model.outputs[0])
    seq2seq = keras.models.Model(bert.model.inputs, bert.model.outputs[1])
    outputs = TotalLoss([2, 3])(bert.model.inputs + bert.model.outputs)
    model = keras.models.Model(bert.model.inputs, outputs)
    AdamW = extend_with_weight_decay(Adam, "AdamW")
    model.compile(optimizer=AdamW(learning_rate=1e-2, weight_decay_rate=0.01))
    initial = {weight.name: weight.numpy() for weight in model.weights}

    # No two groups share a letter, so the groups are easy to distinguish.
    alphabets = [LETTERS[start : start + 2] for start in range(0, 24, 2)]
    groups = [[" ".join(letters * times) for times in (2, 3, 4)] for letters in alphabets]
    train_generator = data_generator(groups, batch_size)
    evaluator = Evaluate(groups)
    history = model.fit_generator(
        train_generator.forfit(), steps_per_epoch=10, epochs=epochs, callbacks=[evaluator], verbose=0
    )
    return SimpleNamespace(
        keep_tokens=keep_tokens, bert=bert, initial=initial, groups=groups, evaluator=evaluator, history=history.history
    )


def test_both_losses_fall(run):
    for name in ("loss", "seq2seq_loss", "similarity_loss"):
        assert len(run.history[name]) == epochs and np.isfinite(run.history[name]).all()
        assert run.history[name][-1] < 0.8 * run.history[name][0], name


def test_a_loss_that_is_a_vector_counts_as_its_mean(run):
    both = np.add(run.history["seq2seq_loss"], run.history["similarity_loss"])
    np.testing.assert_allclose(run.history["loss"], both, rtol=1e-4)


def test_the_callback_encodes_after_each_epoch(run):
    assert [vectors.shape for vectors in run.evaluator.vectors] == [(len(run.groups), 32)] * epochs
    before, after = (np.abs(vectors @ vectors.T).mean() for vectors in (run.evaluator.vectors[i] for i in (0, -1)))
    assert after < before  # the vectors of different groups move apart


def test_the_vocabulary_is_simplified(run):
    assert len(run.keep_tokens) < len(VOCAB)
    assert run.initial["Embedding-Token/embeddings:0"].shape == (len(run.keep_tokens), 32)


def test_generation(run):
    texts = Synonyms(start_id=None, end_id=tokenizer._token_end_id, maxlen=8).generate(run.groups[0][0], n=3)
    assert len(texts) == 3 and all(isinstance(text, str) for text in texts)


def test_kernels_of_a_layer_have_different_initial_values(run):
    kernels = [
        value
        for name, value in run.initial.items()
        if "Transformer-0-MultiHeadSelfAttention" in name and "kernel" in name
    ]
    assert [kernel.shape for kernel in kernels] == [(32, 32)] * 4
    for first, second in itertools.combinations(kernels, 2):
        assert np.abs(first - second).mean() > 0.01


def test_the_seed_determines_the_initial_weights(folder):
    def first_weights(seed):
        keras.utils.set_random_seed(seed)
        return build_transformer_model(str(folder / "bert_config.json")).get_weights()

    for weight, same_seed, other_seed in zip(*map(first_weights, (1, 1, 2)), strict=True):
        np.testing.assert_array_equal(weight, same_seed)
        assert weight.std() == 0 or np.abs(weight - other_seed).max() > 0


def test_bert4keras_loads_a_google_checkpoint(folder, run):
    """The checkpoint holds random values. A simplified vocabulary loads only the rows of its tokens."""
    rng = np.random.default_rng(0)
    names, values = {}, {}
    for layer, variables in run.bert.variable_mapping().items():
        if layer in run.bert.layers:
            for name, weight in zip(variables, run.bert.layers[layer].trainable_weights, strict=True):
                rows = {len(run.keep_tokens): len(VOCAB)}
                shape = [rows.get(size, size) for size in weight.shape]
                names[weight.name], values[name] = name, rng.normal(size=shape).astype(np.float32)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        for name, value in values.items():
            tf.compat.v1.get_variable(name, initializer=value)
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.train.Saver().save(session, str(folder / "bert_model.ckpt"), write_meta_graph=False)
    loaded = build_transformer_model(
        str(folder / "bert_config.json"),
        str(folder / "bert_model.ckpt"),
        with_pool="linear",
        application="unilm",
        keep_tokens=run.keep_tokens,
    )
    assert len(loaded.weights) == len(names) == len(values)
    for weight in loaded.weights:
        expected = values[names[weight.name]]
        if expected.shape != tuple(weight.shape):
            expected = expected[run.keep_tokens]
        np.testing.assert_array_equal(weight.numpy(), expected, err_msg=weight.name)


def test_eye_of_a_size_known_only_in_the_graph():
    @tf.function
    def masked(rows):
        return tf.zeros((3, 3)) - K.eye(rows) * 1e12

    np.testing.assert_array_equal(masked(tf.constant(3)), -1e12 * np.eye(3, dtype=np.float32))
    assert K.eye(2, dtype="int32").dtype == tf.int32
    assert K is keras.backend is bert4keras.backend.K


def test_mixed_precision_is_refused(folder):
    set_precision("mixed_bfloat16")
    try:
        with pytest.raises(
            KerasrecError, match="mixed_bfloat16, but bert4keras's own models are correct only in float32"
        ):
            build_transformer_model(str(folder / "bert_config.json"))
    finally:
        set_precision("float32")


@pytest.mark.parametrize(
    "make, inputs",
    [
        (lambda: MultiHeadAttention(heads=2, head_size=8), 3),
        (lambda: FeedForward(units=8, activation=["gelu", "linear"]), 1),
    ],
)
def test_kernels_of_a_single_layer_have_different_initial_values(make, inputs):
    layer = make()
    x = tf.zeros([1, 3, 8])
    layer([x] * inputs if inputs > 1 else x)
    kernels = [weight.numpy() for weight in layer.weights if len(weight.shape) == 2]
    pairs = [(first, second) for first, second in itertools.combinations(kernels, 2) if first.shape == second.shape]
    assert pairs and all(np.abs(first - second).max() > 0.01 for first, second in pairs)


def test_the_initializer_range_of_the_configuration(folder):
    model = build_transformer_model(str(folder / "bert_config.json"), initializer_range=0.5)
    assert (
        0.4 < model.get_layer("Embedding-Token").get_weights()[0].std() < 0.5
    )  # values beyond 2 deviations are drawn again
    assert type(model.get_layer("Embedding-Token").embeddings_initializer).__name__ == "TruncatedNormal"


IDS, SEGMENTS = [[2, 5, 6, 3]] * 3, [[0, 0, 1, 1]] * 3


@pytest.fixture(scope="module")
def unilm(folder):
    """A small model with two inputs, and its scores for IDS and SEGMENTS."""
    model = build_transformer_model(str(folder / "bert_config.json"), application="unilm")
    return model, model([np.array(IDS), np.array(SEGMENTS)]).numpy()


class Rows(DataGenerator):
    def __iter__(self, random=False):
        for _, (ids, segments) in self.sample(random):
            yield [np.array([ids]), np.array([segments])], None


def test_predict_accepts_the_batches_of_fortest(unilm):
    model, expected = unilm
    rows = Rows(list(zip(IDS, SEGMENTS, strict=True)), 1)
    np.testing.assert_allclose(model.predict(rows.fortest(), steps=3, verbose=0), expected, atol=1e-6)
    np.testing.assert_allclose(model.predict(next(rows.fortest()), verbose=0), expected[:1], atol=1e-6)


def test_predict_accepts_lists_of_numbers(unilm):
    model, expected = unilm
    np.testing.assert_allclose(model.predict([IDS, SEGMENTS], verbose=0), expected, atol=1e-6)
    arrays = [np.array(IDS), np.array(SEGMENTS)]
    np.testing.assert_allclose(model.predict(arrays, verbose=0), expected, atol=1e-6)


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_an_h5_file_of_a_whole_model_can_be_loaded(unilm, tmp_path):
    model, expected = unilm
    model.save(str(tmp_path / "model.h5"))
    loaded = keras.models.load_model(str(tmp_path / "model.h5"), compile=False)
    np.testing.assert_allclose(loaded([np.array(IDS), np.array(SEGMENTS)]), expected, atol=1e-6)


def test_a_checkpoint_with_frozen_layers_is_saved_and_loaded(folder, tmp_path):
    def model():
        model = build_transformer_model(
            str(folder / "bert_config.json"), with_mlm=True, with_nsp=True, return_keras_model=False
        )
        model.layers["Embedding-Token"].trainable = False
        return model

    saved, loaded = model(), model()
    saved.save_weights_as_checkpoint(str(tmp_path / "new" / "bert_model.ckpt"))
    loaded.load_weights_from_checkpoint(str(tmp_path / "new" / "bert_model.ckpt"))
    assert not saved.layers["Embedding-Token"].trainable and not loaded.layers["Embedding-Token"].trainable
    for saved_weight, loaded_weight in zip(saved.model.get_weights(), loaded.model.get_weights(), strict=True):
        np.testing.assert_array_equal(loaded_weight, saved_weight)
    stored = dict(tf.train.list_variables(str(tmp_path / "new" / "bert_model.ckpt")))
    assert stored["bert/embeddings/word_embeddings"] == [len(VOCAB), 32]
    assert stored["cls/seq_relationship/output_weights"] == [2, 32]  # transposed, as in Google's checkpoints


def test_full_width_letters():
    assert strQ2B("ＡＢ　１") == "AB 1"
