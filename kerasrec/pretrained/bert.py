"""Open a pretrained BERT, check its tensors and load them into a model.

The formats are Google's checkpoint (`bert_config.json`, `bert_model.ckpt.*`, `vocab.txt`) and Hugging Face's folder
(`config.json` or `bert_config.json`, `model.safetensors` or `pytorch_model.bin`, `vocab.txt` or `tokenizer.json`). The
model is BERT (https://arxiv.org/abs/1810.04805); the names of its tensors are Google's.
"""

import logging
import operator
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kerasrec.errors import KerasrecError, require
from kerasrec.nn.settings import BertConfig
from kerasrec.pretrained.architectures import (
    DECODER,
    HARMLESS,
    OUTPUT_BIAS,
    OWN,
    WORD_EMBEDDINGS,
    Names,
    bert_names,
)
from kerasrec.pretrained.checkpoints import left_out, stored_tensors, weights_file
from kerasrec.pretrained.config import config_file as config_beside
from kerasrec.pretrained.config import read_config
from kerasrec.pretrained.lazy_tensor import StoredTensor, read_weights
from kerasrec.pretrained.vocabulary import Vocabulary, read_vocabulary, vocabulary_file

if TYPE_CHECKING:
    from kerasrec.backend import keras

logger = logging.getLogger(__name__)


def open_bert(
    path: str | os.PathLike, config_file: str | os.PathLike | None = None, vocab_file: str | os.PathLike | None = None
) -> "PretrainedBert":
    """Open a pretrained BERT; its tensors are read when they are loaded.

    Args:
        path: A folder, a `.safetensors` or `.bin` file, or the prefix of a TensorFlow checkpoint (`bert_model.ckpt`).
        config_file: Its configuration; by default the `config.json` or `bert_config.json` next to the weights.
        vocab_file: Its vocabulary; by default the `vocab.txt` or the `tokenizer.json` in the same folder, if there is
            one.

    Raises:
        KerasrecError: a file is missing or damaged, the model is not a BERT, the vocabulary and the model have
            different sizes, or a tensor of the encoder is missing, has a wrong shape or is not part of a BERT.

    Example:
        >>> open_bert("no/such/folder")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        kerasrec.errors.KerasrecError: there is no checkpoint at no/such/folder: give a folder, ...
    """
    weights = weights_file(Path(path))
    config_path = Path(config_file) if config_file is not None else config_beside(weights.parent)
    config = read_config(config_path)
    vocab_path = Path(vocab_file) if vocab_file is not None else vocabulary_file(weights.parent)
    vocabulary = None if vocab_path is None else read_vocabulary(vocab_path)
    if vocabulary is not None and len(vocabulary.tokens) != config.vocab_size:
        raise KerasrecError(
            f"{vocab_path} has {len(vocabulary.tokens)} tokens, but {config_path} says {config.vocab_size}: give the "
            "vocabulary that the checkpoint was trained with"
        )
    return PretrainedBert(weights, config, vocabulary, stored_tensors(weights))


class _Copy(NamedTuple):
    """A tensor in a file, under one of its names."""

    name: str
    stored: StoredTensor
    transposed: bool


class PretrainedBert:
    """A checkpoint with a complete encoder; use `open_bert` to create it.

    Args:
        path: The file of the weights, for messages.
        config: Shape of the model.
        vocabulary: Its vocabulary, or None.
        stored: The tensors, by their names in the file.

    Attributes:
        path, config, vocabulary: The arguments.
        tokens: The vocabulary's tokens, or None.
        other: Names of tensors that are not part of a BERT, such as those of a classifier; they are left out.

    Raises:
        KerasrecError: a tensor of the encoder is missing or has a wrong shape, or a tensor of the encoder or the pooler
            is not part of a BERT.
    """

    def __init__(
        self, path: Path, config: BertConfig, vocabulary: Vocabulary | None, stored: Mapping[str, StoredTensor]
    ):
        self.path = path
        self.config = config
        self.vocabulary = vocabulary
        self.tokens = None if vocabulary is None else vocabulary.tokens
        self._names = bert_names(config)
        self._found = {
            names.google: copies
            for part in self._names.values()
            for names in part
            if (copies := list(_copies(names, stored)))
        }
        known = {copy.name for copies in self._found.values() for copy in copies}
        rest = sorted(name for name in stored if name not in known and not HARMLESS.fullmatch(name))
        extra = [name for name in rest if OWN.match(name)]
        self.other = [name for name in rest if not OWN.match(name)]
        if extra:
            more = f" and {len(extra) - 1} more tensors" if extra[1:] else ""
            raise KerasrecError(
                f"{path} contains {extra[0]}{more}, which the BERT of its configuration does not have: give the "
                "checkpoint's own configuration, or a checkpoint of a BERT"
            )
        self.require_whole("encoder")

    def has(self, part: str) -> bool:
        """Whether the checkpoint has a tensor of a part: "encoder", "pooler", "head", "decoder" or "next_sentence"."""
        return any(names.google in self._found for names in self._names[part])

    def require_whole(self, part: str) -> None:
        """Refuse a part that is not complete, or whose shapes are not those of the configuration.

        Raises:
            KerasrecError: a tensor is missing or has a wrong shape.
        """
        for names in self._names[part]:
            if names.google not in self._found:
                raise KerasrecError(
                    f"{self.path} lacks {names.google} (at Hugging Face {names.hugging_face[0]}), which the {part} of "
                    "this BERT needs: give a complete checkpoint, or the checkpoint's own configuration"
                )
            for copy in self._found[names.google]:
                wanted = names.shape[::-1] if copy.transposed else names.shape
                if copy.stored.shape != wanted:
                    raise KerasrecError(
                        f"{copy.name} has the shape {list(copy.stored.shape)} in {self.path}, but its configuration "
                        f"needs {list(wanted)}: give the checkpoint's own configuration"
                    )

    def names(self, part: str) -> list[str]:
        """Google's names of the tensors of a part."""
        return [names.google for names in self._names[part]]

    def read(self, name: str) -> np.ndarray:
        """A tensor by Google's name, float32, kernels as [in, out].

        Raises:
            KerasrecError: the values are not floating-point numbers, or the file stores the tensor twice with different
                values.
        """
        first, *others = self._found[name]
        values = self._floats(first)
        for other in others:
            if not np.array_equal(values, self._floats(other)):
                raise KerasrecError(
                    f"{first.name} and {other.name} must be equal, but they differ in {self.path}: give another "
                    "checkpoint"
                )
        return values

    def load_into(
        self,
        encoder: "keras.Model",
        *,
        keep_tokens: Sequence[int] | None = None,
        head: "keras.layers.Layer | None" = None,
        pooler: "keras.layers.Dense | None" = None,
    ) -> list[str]:
        """Load the weights into a model, and log which tensors are left out. After an error the model is unchanged.

        Args:
            encoder: A `text_encoder` of this configuration; with `keep_tokens`, its vocabulary has their length.
            keep_tokens: Token ids that the model keeps: row i of its embeddings is row `keep_tokens[i]` of the
                checkpoint.
            head: A `MaskedItemHead` for the weights of the masked language model.
            pooler: A dense layer for the weights of the pooler.

        Returns:
            The names "head" and "pooler" if they were given but the checkpoint lacks them; they are unchanged.

        Raises:
            KerasrecError: the model and the checkpoint differ in a tensor or its shape; the head or the pooler is
                incomplete; the head is not BERT's; `keep_tokens` has ids that the checkpoint lacks.
        """
        keep = None if keep_tokens is None else _token_ids(keep_tokens, self.config.vocab_size)
        wanted = {name: layer for name, layer in (("head", head), ("pooler", pooler)) if layer is not None}
        here = {name: layer for name, layer in wanted.items() if self.has(name)}
        for name, layer in here.items():
            self.require_whole(name)
            if not layer.built:
                layer(np.zeros((1, self.config.hidden_size), np.float32))
        if "head" in here:
            self._require_usual_head(head)
        plan = [pair for name, model in {"encoder": encoder, **here}.items() for pair in self._fit(name, model, keep)]
        values = [self.read(names.google) for names, _ in plan]
        for (names, variable), value in zip(plan, values, strict=True):
            variable.assign(value[keep] if keep is not None and names.google in _PER_TOKEN else value)
        unread = [part for part in ("pooler", "head", "next_sentence") if self.has(part) and part not in here]
        if unread or self.other:
            logger.info(f"{self.path}: {left_out([*unread, *self.other])}")
        return [name for name in wanted if name not in here]

    def _fit(self, part: str, model: "keras.layers.Layer", keep: np.ndarray | None) -> list[tuple[Names, Any]]:
        """Each tensor of a part with its variable."""
        layers = {layer.name: layer for layer in model.layers} if part == "encoder" else {"": model}
        own = {id(variable): variable for variable in model.weights}
        plan = []
        for names in self._names[part]:
            if names.layer not in layers:
                raise KerasrecError(f"{self.path} has {names.google}, but the model has no such layer: {_REBUILD}")
            variable = operator.attrgetter(names.attribute)(layers[names.layer])
            shape = names.shape
            if keep is not None and names.google in _PER_TOKEN:
                shape = (len(keep), *shape[1:])
            if tuple(variable.shape) != shape:
                raise KerasrecError(
                    f"{names.google} has the shape {list(variable.shape)} in the model, but {list(shape)} in "
                    f"{self.path}{'' if keep is None else ' after keep_tokens'}: {_REBUILD}"
                )
            del own[id(variable)]
            plan.append((names, variable))
        for variable in own.values():
            raise KerasrecError(f"the model has {variable.name}, which {self.path} lacks: {_REBUILD}")
        return plan

    def _require_usual_head(self, head: "keras.layers.Layer") -> None:
        config, epsilon = self.config, head.norm.epsilon
        require(config.hidden_act == "gelu", "hidden_act", config.hidden_act, "'gelu', as in the head")
        require(config.layer_norm_eps == epsilon, "layer_norm_eps", config.layer_norm_eps, f"{epsilon}, as in the head")
        if self.has("decoder"):
            self.require_whole("decoder")
            if not np.array_equal(self.read(DECODER), self.read(WORD_EMBEDDINGS)):
                [copy] = self._found[DECODER]
                raise KerasrecError(
                    f"{copy.name} in {self.path} must equal the token embeddings in a BERT, but it differs: load the "
                    "checkpoint without the head"
                )

    def _floats(self, copy: _Copy) -> np.ndarray:
        values = read_weights(self.path, copy.name, copy.stored)
        return values.T if copy.transposed else values


_PER_TOKEN = (WORD_EMBEDDINGS, OUTPUT_BIAS)
_REBUILD = (
    "build the model from the checkpoint's configuration, with the vocabulary size len(keep_tokens) if they are given"
)


def _copies(names: Names, stored: Mapping[str, StoredTensor]) -> Iterator[_Copy]:
    if names.google in stored:
        yield _Copy(names.google, stored[names.google], False)
    for bare in names.hugging_face:
        for name in (bare, f"bert.{bare}"):
            if name in stored:
                yield _Copy(name, stored[name], names.transposed)


def _token_ids(given: Sequence[int], vocab_size: int) -> np.ndarray:
    ids = np.asarray(given)
    require(ids.ndim == 1 and np.issubdtype(ids.dtype, np.integer), "keep_tokens", given, "a list of token ids")
    outside = ids[(ids < 0) | (ids >= vocab_size)]
    if len(outside):
        raise KerasrecError(
            f"keep_tokens contains {outside[0]}, but the checkpoint has the token ids 0 to {vocab_size - 1}: give ids "
            "in this range"
        )
    return ids
