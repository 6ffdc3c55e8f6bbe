"""Open a pretrained T5 in a Hugging Face folder, check its tensors and load them into an encoder and a decoder."""

import dataclasses
import logging
import os
import re
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kerasrec.errors import KerasrecError
from kerasrec.nn.settings import T5Config
from kerasrec.pretrained.checkpoints import left_out, stored_tensors, weights_file
from kerasrec.pretrained.json_file import read_object
from kerasrec.pretrained.lazy_tensor import StoredTensor, read_weights

if TYPE_CHECKING:
    from kerasrec.backend import keras, tf

logger = logging.getLogger(__name__)

TEXT_TABLE = "shared.weight"
# Other names of the text table.
_TEXT_TABLES = re.compile(r"(encoder|decoder)\.embed_tokens\.weight")


class _T5Tensor(NamedTuple):
    """A tensor, and the layer and attribute of the model that it belongs to."""

    name: str
    """In the file."""
    layer: str
    attribute: str
    shape: tuple[int, ...]
    """In the file, where kernels are [out, in]."""


def open_t5(path: str | os.PathLike) -> "PretrainedT5":
    """Open a pretrained T5; its tensors are read when they are loaded.

    Args:
        path: A folder with `config.json` and `model.safetensors` or `pytorch_model.bin`.

    Raises:
        KerasrecError: a file is missing or damaged, the model is not a T5, or a tensor is missing, has a wrong shape or
            is not part of a T5.

    Example:
        >>> open_t5("no/such/folder")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        kerasrec.errors.KerasrecError: there is no checkpoint at no/such/folder: give a folder, ...
    """
    weights = weights_file(Path(path))
    return PretrainedT5(weights, _config(weights.parent / "config.json"), stored_tensors(weights))


class PretrainedT5:
    """A complete checkpoint; use `open_t5` to create it.

    Args:
        path: The file of the weights, for messages.
        config: Shape of the model.
        stored: The tensors, by name.

    Attributes:
        path, config: The arguments.
        vocab_size: Number of rows of the text table.

    Raises:
        KerasrecError: a tensor is missing or has a wrong shape, or a tensor of the encoder or decoder is not part of a
            T5.
    """

    def __init__(self, path: Path, config: T5Config, stored: dict[str, StoredTensor]):
        self.path = path
        self.config = config
        self._stored = stored
        self._tensors = {"encoder": list(_tensors(config, "encoder")), "decoder": list(_tensors(config, "decoder"))}
        wanted = {tensor.name: tensor.shape for tensors in self._tensors.values() for tensor in tensors}
        for name in (TEXT_TABLE, *wanted):
            if name not in stored:
                raise KerasrecError(
                    f"{path} lacks {name}, which this T5 needs: give a complete checkpoint, or its own config.json"
                )
        self.vocab_size: int = stored[TEXT_TABLE].shape[0]
        wanted[TEXT_TABLE] = (self.vocab_size, config.d_model)
        for name, shape in wanted.items():
            if stored[name].shape != shape:
                raise KerasrecError(
                    f"{name} has the shape {list(stored[name].shape)} in {path}, but its config.json needs "
                    f"{list(shape)}: give the checkpoint's own config.json"
                )
        self._text_tables = [name for name in stored if _TEXT_TABLES.fullmatch(name)]
        self._other = sorted(stored.keys() - wanted.keys() - set(self._text_tables))
        unknown = [name for name in self._other if name.startswith(("encoder.", "decoder."))]
        if unknown:
            raise KerasrecError(
                f"{path} contains {unknown[0]}, which the T5 of its config.json does not have: give a checkpoint of T5"
            )

    def load_into(self, encoder: "keras.Model", decoder: "keras.Model", text_table: "tf.Variable") -> None:
        """Load the weights.

        Other tensors of the file, such as an output layer over texts, are left out, and the log names them.

        Args:
            encoder: A `t5_encoder` of this configuration.
            decoder: A `t5_decoder` of this configuration.
            text_table: Text embeddings, float32 [vocab_size, H].

        Raises:
            KerasrecError: the values cannot be read, or the file stores the text table twice with different values.
        """
        table = self._read(TEXT_TABLE)
        for name in self._text_tables:
            if not np.array_equal(self._read(name), table):
                raise KerasrecError(f"{TEXT_TABLE} and {name} must be equal, but they differ in {self.path}")
        for model, tensors in ((encoder, self._tensors["encoder"]), (decoder, self._tensors["decoder"])):
            for tensor in tensors:
                values = self._read(tensor.name)
                is_kernel = tensor.attribute.endswith("kernel")
                attrgetter(tensor.attribute)(model.get_layer(tensor.layer)).assign(values.T if is_kernel else values)
        text_table.assign(table)
        if self._other:
            logger.info(f"{self.path}: {left_out(self._other)}")

    def _read(self, name: str) -> np.ndarray:
        return read_weights(self.path, name, self._stored[name])


def _config(path: Path) -> T5Config:
    content = read_object(path)
    if content.get("model_type") != "t5":
        raise KerasrecError(f"{path} is not the configuration of a T5: give the folder of a T5")
    content.setdefault("num_decoder_layers", content.get("num_layers"))
    known = {field.name for field in dataclasses.fields(T5Config)}
    missing = sorted({"d_model", "d_kv", "d_ff", "num_layers", "num_heads"} - content.keys())
    if missing:
        raise KerasrecError(f"{path} lacks {', '.join(missing)}: give the complete configuration of a T5")
    try:
        return T5Config(**{name: value for name, value in content.items() if name in known})
    except KerasrecError as error:
        raise KerasrecError(f"{path}: {error}") from None


def _tensors(config: T5Config, side: str) -> Iterator[_T5Tensor]:
    model, size = side.title(), config.d_model
    inner = config.num_heads * config.d_kv
    blocks = config.num_layers if side == "encoder" else config.num_decoder_layers
    attentions = {"SelfAttention": "SelfAttention"}
    if side == "decoder":
        attentions["EncDecAttention"] = "CrossAttention"
    distances = (config.relative_attention_num_buckets, config.num_heads)
    name = f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
    yield _T5Tensor(name, f"{model}-Embedding-Relative-Position", "embeddings", distances)
    for block in range(blocks):
        for number, (theirs, ours) in enumerate(attentions.items()):
            layer = f"{model}-Transformer-{block}-MultiHead{ours}"
            prefix = f"{side}.block.{block}.layer.{number}"
            for part in "qkv":
                yield _T5Tensor(f"{prefix}.{theirs}.{part}.weight", layer, f"{part}_dense.kernel", (inner, size))
            yield _T5Tensor(f"{prefix}.{theirs}.o.weight", layer, "o_dense.kernel", (size, inner))
            yield _T5Tensor(f"{prefix}.layer_norm.weight", f"{layer}-Norm", "gamma", (size,))
        layer, prefix = f"{model}-Transformer-{block}-FeedForward", f"{side}.block.{block}.layer.{len(attentions)}"
        inputs = ["wi"] if config.feed_forward_proj == "relu" else ["wi_0", "wi_1"]
        for number, theirs in enumerate(inputs):
            kernel = f"{prefix}.DenseReluDense.{theirs}.weight"
            yield _T5Tensor(kernel, layer, f"i{number}_dense.kernel", (config.d_ff, size))
        yield _T5Tensor(f"{prefix}.DenseReluDense.wo.weight", layer, "o_dense.kernel", (size, config.d_ff))
        yield _T5Tensor(f"{prefix}.layer_norm.weight", f"{layer}-Norm", "gamma", (size,))
    yield _T5Tensor(f"{side}.final_layer_norm.weight", f"{model}-Output-Norm", "gamma", (size,))
