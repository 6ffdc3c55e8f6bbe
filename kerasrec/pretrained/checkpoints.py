"""Where a checkpoint's files lie, and the named tensors in each of its formats."""

import json
from pathlib import Path

import ml_dtypes  # noqa: F401  teaches NumPy, and so safetensors, what bfloat16 is
import safetensors

from kerasrec.errors import KerasrecError
from kerasrec.pretrained.stored import StoredTensor
from kerasrec.pretrained.torch_file import torch_tensors

# In the order in which they are looked for in a folder.
WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "bert_model.ckpt.index",
)


def weights_file(path: Path) -> Path:
    """The file that holds the weights, or the index of the files that do.

    Args:
        path: A folder, a file, or the prefix of a TensorFlow checkpoint (`.../bert_model.ckpt`).

    Raises:
        KerasrecError: there is none.
    """
    if path.is_file():
        return path
    index = path.with_name(f"{path.name}.index")
    if index.is_file():
        return index
    if not path.is_dir():
        raise KerasrecError(f"there is no checkpoint at {path}: give a folder, a file of weights or a prefix")
    for name in WEIGHTS:
        if (path / name).is_file():
            return path / name
    raise KerasrecError(f"{path} holds no weights: one of {', '.join(WEIGHTS)} has to be in it")


def stored_tensors(file: Path) -> dict[str, StoredTensor]:
    """The tensors of a file that `weights_file` has found, by the names they have in it.

    Raises:
        KerasrecError: the file is damaged, or its ending is not known.
    """
    if file.name.endswith(".index.json"):
        return _shards(file)
    if file.suffix not in _FORMATS:
        raise KerasrecError(f"{file} is no checkpoint by its ending: give a file that ends in {', '.join(_FORMATS)}")
    return _FORMATS[file.suffix](file)


def _shards(index: Path) -> dict[str, StoredTensor]:
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise KerasrecError(f"{index} names no files of weights: fetch it again") from None
    tensors: dict[str, StoredTensor] = {}
    for name in names:
        tensors |= stored_tensors(weights_file(index.parent / name))
    return tensors


def _safetensors(file: Path) -> dict[str, StoredTensor]:
    try:
        opened = safetensors.safe_open(file, "np")
    except safetensors.SafetensorError as error:
        raise KerasrecError(f"{file} is not a whole safetensors file ({error}): fetch it again") from None

    def stored(name: str) -> StoredTensor:
        return StoredTensor(tuple(opened.get_slice(name).get_shape()), lambda: opened.get_tensor(name))

    return {name: stored(name) for name in opened.keys()}  # noqa: SIM118  it is no mapping


def _google_tensors(file: Path) -> dict[str, StoredTensor]:
    from kerasrec.backend import tf  # here, because the other formats can do without TensorFlow

    broken = (tf.errors.OpError, IndexError)  # the second for data that ends too early
    try:
        reader = tf.train.load_checkpoint(str(file.with_suffix("")))
        shapes = reader.get_variable_to_shape_map()
    except broken as error:
        raise KerasrecError(f"{file} is the index of no whole checkpoint ({error}): fetch it again") from None

    def stored(name: str) -> StoredTensor:
        def read():
            try:
                return reader.get_tensor(name)
            except broken as error:
                raise KerasrecError(f"{file}: {name} cannot be read ({error}): fetch it again") from None

        return StoredTensor(tuple(shapes[name]), read)

    return {name: stored(name) for name in shapes}


_FORMATS = {".safetensors": _safetensors, ".bin": torch_tensors, ".index": _google_tensors}
