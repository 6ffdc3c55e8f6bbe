"""The settings of the command on pretrained weights; imports no TensorFlow."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional


@dataclass(frozen=True)
class Convert:
    """Hugging Face's weights into a checkpoint of Google's: bert_config.json, bert_model.ckpt, vocab.txt."""

    source: Positional[Path]
    """A folder with config.json, model.safetensors or pytorch_model.bin, and vocab.txt or tokenizer.json; or its file
    of weights."""
    target: Positional[Path]
    """The folder to write; it must not exist yet, or be empty."""
