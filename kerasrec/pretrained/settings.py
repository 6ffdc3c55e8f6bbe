"""Settings of the command for pretrained weights; imports no TensorFlow."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional


@dataclass(frozen=True)
class Convert:
    """Convert Hugging Face's weights into Google's format: bert_config.json, bert_model.ckpt and vocab.txt."""

    source: Positional[Path]
    """A folder with config.json, model.safetensors or pytorch_model.bin, and vocab.txt or tokenizer.json; or the file
    with the weights in it."""
    target: Positional[Path]
    """The folder to write; it must not exist yet, or be empty."""
