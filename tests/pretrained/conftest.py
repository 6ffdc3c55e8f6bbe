import json
import struct
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from kerasrec.backend import tf

CONFIG = {
    "vocab_size": 30,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "max_position_embeddings": 12,
    "type_vocab_size": 2,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "initializer_range": 0.02,
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
}
TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"t{number}" for number in range(25))]


def random_tensors(seed=0):
    """The tensors of a BERT with all parts, by the names of a Hugging Face file without the prefix."""
    rng = np.random.default_rng(seed)
    hidden, inner = CONFIG["hidden_size"], CONFIG["intermediate_size"]
    shapes = {
        "embeddings.word_embeddings.weight": [CONFIG["vocab_size"], hidden],
        "embeddings.position_embeddings.weight": [CONFIG["max_position_embeddings"], hidden],
        "embeddings.token_type_embeddings.weight": [CONFIG["type_vocab_size"], hidden],
        "embeddings.LayerNorm.weight": [hidden],
        "embeddings.LayerNorm.bias": [hidden],
        "pooler.dense.weight": [hidden, hidden],
        "pooler.dense.bias": [hidden],
        "cls.predictions.transform.dense.weight": [hidden, hidden],
        "cls.predictions.transform.dense.bias": [hidden],
        "cls.predictions.transform.LayerNorm.weight": [hidden],
        "cls.predictions.transform.LayerNorm.bias": [hidden],
        "cls.predictions.bias": [CONFIG["vocab_size"]],
        "cls.seq_relationship.weight": [2, hidden],
        "cls.seq_relationship.bias": [2],
    }
    for layer in range(CONFIG["num_hidden_layers"]):
        name = f"encoder.layer.{layer}"
        for dense, shape in {
            "attention.self.query": [hidden, hidden],
            "attention.self.key": [hidden, hidden],
            "attention.self.value": [hidden, hidden],
            "attention.output.dense": [hidden, hidden],
            "intermediate.dense": [inner, hidden],
            "output.dense": [hidden, inner],
        }.items():
            shapes |= {f"{name}.{dense}.weight": shape, f"{name}.{dense}.bias": shape[:1]}
        for norm in ("attention.output", "output"):
            shapes |= {f"{name}.{norm}.LayerNorm.weight": [hidden], f"{name}.{norm}.LayerNorm.bias": [hidden]}
    return {name: rng.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}


GOOGLE = {
    "embeddings.word_embeddings.weight": "bert/embeddings/word_embeddings",
    "embeddings.position_embeddings.weight": "bert/embeddings/position_embeddings",
    "embeddings.token_type_embeddings.weight": "bert/embeddings/token_type_embeddings",
    "embeddings.LayerNorm.weight": "bert/embeddings/LayerNorm/gamma",
    "embeddings.LayerNorm.bias": "bert/embeddings/LayerNorm/beta",
    "pooler.dense.weight": "bert/pooler/dense/kernel",
    "pooler.dense.bias": "bert/pooler/dense/bias",
    "cls.predictions.transform.dense.weight": "cls/predictions/transform/dense/kernel",
    "cls.predictions.transform.dense.bias": "cls/predictions/transform/dense/bias",
    "cls.predictions.transform.LayerNorm.weight": "cls/predictions/transform/LayerNorm/gamma",
    "cls.predictions.transform.LayerNorm.bias": "cls/predictions/transform/LayerNorm/beta",
    "cls.predictions.bias": "cls/predictions/output_bias",
    "cls.seq_relationship.weight": "cls/seq_relationship/output_weights",
    "cls.seq_relationship.bias": "cls/seq_relationship/output_bias",
    **{
        f"encoder.layer.{layer}.{hugging_face}": f"bert/encoder/layer_{layer}/{google}"
        for layer in range(CONFIG["num_hidden_layers"])
        for hugging_face, google in {
            "attention.self.query.weight": "attention/self/query/kernel",
            "attention.self.query.bias": "attention/self/query/bias",
            "attention.self.key.weight": "attention/self/key/kernel",
            "attention.self.key.bias": "attention/self/key/bias",
            "attention.self.value.weight": "attention/self/value/kernel",
            "attention.self.value.bias": "attention/self/value/bias",
            "attention.output.dense.weight": "attention/output/dense/kernel",
            "attention.output.dense.bias": "attention/output/dense/bias",
            "attention.output.LayerNorm.weight": "attention/output/LayerNorm/gamma",
            "attention.output.LayerNorm.bias": "attention/output/LayerNorm/beta",
            "intermediate.dense.weight": "intermediate/dense/kernel",
            "intermediate.dense.bias": "intermediate/dense/bias",
            "output.dense.weight": "output/dense/kernel",
            "output.dense.bias": "output/dense/bias",
            "output.LayerNorm.weight": "output/LayerNorm/gamma",
            "output.LayerNorm.bias": "output/LayerNorm/beta",
        }.items()
    },
}


def as_google(tensors):
    """Tensors by Google's names, with transposed kernels."""
    named = {GOOGLE[name]: values for name, values in tensors.items()}
    return {name: values.T if name.endswith("/kernel") else values for name, values in named.items()}


def write_google(folder, tensors):
    """Writes a checkpoint as Google's scripts do, from a graph with a Saver, with optimizer slots."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        variables = [tf.compat.v1.Variable(values, name=name) for name, values in tensors.items()]
        variables += [
            tf.compat.v1.Variable(tensors[name], name=f"{name}/{slot}")
            for name in ("bert/embeddings/word_embeddings", "bert/pooler/dense/bias")
            for slot in ("adam_m", "adam_v")
            if name in tensors
        ]
        variables.append(tf.compat.v1.Variable(7, name="global_step"))
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.train.Saver(variables).save(
            session, str(folder / "bert_model.ckpt"), write_meta_graph=False, write_state=False
        )


STORAGE = {"float32": "FloatStorage", "float16": "HalfStorage", "bfloat16": "BFloat16Storage", "int64": "LongStorage"}


def torch_pickle(tensors):
    """The pickle of `torch.save(state_dict)`, opcode by opcode."""

    def text(value):
        return b"X" + struct.pack("<I", len(value.encode())) + value.encode()

    def numbers(values):
        return b"(" + b"".join(b"J" + struct.pack("<i", value) for value in values) + b"t"

    empty = b"ccollections\nOrderedDict\n)R"
    items = b""
    for key, (name, values) in enumerate(tensors.items()):
        storage = b"ctorch\n" + STORAGE[values.dtype.name].encode() + b"\n"
        size = b"J" + struct.pack("<i", values.size)
        storage = b"(" + text("storage") + storage + text(str(key)) + text("cpu") + size + b"tQ"
        strides = [stride // values.itemsize for stride in values.strides]
        view = b"(" + storage + b"K\x00" + numbers(values.shape) + numbers(strides) + b"\x89" + empty + b"t"
        items += text(name) + b"ctorch._utils\n_rebuild_tensor_v2\n" + view + b"R"
    metadata = b"}(" + text("_metadata") + empty + b"ub"  # as an attribute of the dict, which PyTorch adds
    return b"\x80\x02" + empty + b"(" + items + b"u" + metadata + b"."


def save_torch(path, tensors, pickled=None, stored=None):
    """Writes what `torch.save(tensors)` writes; optionally with another pickle or only the first `stored` storages."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled or torch_pickle(tensors))
        for key, values in enumerate(list(tensors.values())[:stored]):
            as_in_memory = values.transpose(
                sorted(range(values.ndim), key=[-stride for stride in values.strides].__getitem__)
            )
            archive.writestr(f"archive/data/{key}", as_in_memory.tobytes())
        archive.writestr("archive/version", "3\n")


def write_shards(folder, tensors):
    names = list(tensors)
    files = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, part in files.items():
        safetensors.numpy.save_file({name: tensors[name] for name in part}, folder / file)
    weight_map = {name: file for file, part in files.items() for name in part}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint for tests: tensors by Hugging Face's names, a configuration and a vocabulary."""

    folder: Path
    tensors: dict
    config: dict
    tokens: list

    def but(self, **changes):
        return replace(self, **changes)

    def without(self, *names):
        return self.but(tensors={name: values for name, values in self.tensors.items() if name not in names})

    def write(self, kind="safetensors"):
        """Writes the files of one format; returns the path to open."""
        folder = self.folder
        folder.mkdir(parents=True, exist_ok=True)
        config = dict(self.config)
        if kind != "google":
            config["model_type"] = "bert"
        (folder / ("bert_config.json" if kind == "google" else "config.json")).write_text(json.dumps(config))
        if self.tokens is not None:
            (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in self.tokens))
        if kind == "google":
            write_google(folder, as_google(self.tensors))
        elif kind == "torch":
            save_torch(folder / "pytorch_model.bin", self.tensors)
        elif kind == "shards":
            write_shards(folder, self.tensors)
        else:
            safetensors.numpy.save_file(self.tensors, folder / "model.safetensors")
        return folder


@pytest.fixture
def checkpoint(tmp_path):
    return Checkpoint(tmp_path / "bert", random_tensors(), CONFIG, TOKENS)


@pytest.fixture(scope="session")
def write_torch():
    return save_torch


def gelu(x):
    from scipy.special import erf

    return 0.5 * x * (1 + erf(x / np.sqrt(2)))


def bert_in_numpy(tensors, config, ids, segments=None, unilm=False):
    """The forward pass of BERT in float64, from the arrays of a Hugging Face file."""

    def dense(x, name):
        return x @ tensors[f"{name}.weight"].astype(float).T + tensors[f"{name}.bias"]

    def norm(x, name):
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + config["layer_norm_eps"])
        return scaled * tensors[f"{name}.LayerNorm.weight"] + tensors[f"{name}.LayerNorm.bias"]

    batch, length = ids.shape
    heads = config["num_attention_heads"]
    segments = np.zeros_like(ids) if segments is None else segments
    x = tensors["embeddings.word_embeddings.weight"][ids].astype(float)
    x = x + tensors["embeddings.token_type_embeddings.weight"][segments]
    x = norm(x + tensors["embeddings.position_embeddings.weight"][:length], "embeddings")
    seen = np.broadcast_to((ids > 0)[:, None, :], (batch, length, length))
    if unilm:
        order = segments.cumsum(axis=1)
        seen = seen & (order[:, None, :] <= order[:, :, None])
    for layer in range(config["num_hidden_layers"]):
        name = f"encoder.layer.{layer}"
        query, key, value = (
            dense(x, f"{name}.attention.self.{kind}").reshape(batch, length, heads, -1).transpose(0, 2, 1, 3)
            for kind in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 1, 3, 2) / np.sqrt(query.shape[-1])
        weights = np.exp(scores - scores.max(-1, keepdims=True)) * seen[:, None]
        attended = weights / weights.sum(-1, keepdims=True) @ value
        attended = attended.transpose(0, 2, 1, 3).reshape(batch, length, -1)
        x = norm(x + dense(attended, f"{name}.attention.output.dense"), f"{name}.attention.output")
        x = norm(x + dense(gelu(dense(x, f"{name}.intermediate.dense")), f"{name}.output.dense"), f"{name}.output")
    return x


def head_in_numpy(tensors, config, states):
    """Scores of the masked language model."""
    transform = "cls.predictions.transform"
    x = gelu(states @ tensors[f"{transform}.dense.weight"].astype(float).T + tensors[f"{transform}.dense.bias"])
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + config["layer_norm_eps"])
    x = x * tensors[f"{transform}.LayerNorm.weight"] + tensors[f"{transform}.LayerNorm.bias"]
    return x @ tensors["embeddings.word_embeddings.weight"].T + tensors["cls.predictions.bias"]


@pytest.fixture
def oracle():
    return bert_in_numpy


@pytest.fixture
def head_oracle():
    return head_in_numpy


@pytest.fixture
def google_names():
    return as_google
