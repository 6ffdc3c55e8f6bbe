"""Find the weights of a checkpoint, and read the names and shapes of its tensors in each format."""

from collections.abc import Callable, Sequence
from pathlib import Path

import ml_dtypes  # noqa: F401  registers bfloat16 with NumPy, for safetensors
import numpy as np
import safetensors

from kerasrec.errors import KerasrecError, quoted
from kerasrec.pretrained.json_file import read_object
from kerasrec.pretrained.lazy_tensor import StoredTensor
from kerasrec.pretrained.tensor_bundle import require_sound_index
from kerasrec.pretrained.torch_file import torch_tensors

# In the order of preference in a folder.
WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "bert_model.ckpt.index",
)


def weights_file(path: Path) -> Path:
    """The file with the weights, or the index of several such files.

    Args:
        path: A folder, a file, or the prefix of a TensorFlow checkpoint (`.../bert_model.ckpt`).

    Raises:
        KerasrecError: there is no such file.
    """
    if path.is_file():
        return path
    index = path.with_name(f"{path.name}.index")
    if index.is_file():
        return index
    if not path.is_dir():
        raise KerasrecError(f"there is no checkpoint at {path}: give a folder, a file with weights or a prefix")
    for name in WEIGHTS:
        if (path / name).is_file():
            return path / name
    raise KerasrecError(f"{path} has no weights: give a folder with one of {', '.join(WEIGHTS)}")


def stored_tensors(file: Path) -> dict[str, StoredTensor]:
    """The tensors of a file from `weights_file`, by their names in the file.

    Raises:
        KerasrecError: the file is damaged, its extension is unknown, or a tensor has an unusual name or shape.
    """
    if file.name.endswith(".index.json"):
        return _shards(file)
    if file.suffix not in _FORMATS:
        raise KerasrecError(
            f"{file} does not have the extension of a checkpoint: give a file that ends in {', '.join(_FORMATS)}"
        )
    tensors = _FORMATS[file.suffix](file)
    for name, tensor in tensors.items():  # messages show the names
        if not name.isprintable() or len(name) > 200 or len(tensor.shape) > 32:
            raise KerasrecError(
                f"{file} has {quoted(name)} with {len(tensor.shape)} axes, which is not a weight: download it again"
            )
    return tensors


def left_out(names: Sequence[str]) -> str:
    """The part of a message about tensors that are not loaded.

    Example:
        >>> left_out(["classifier.bias", "classifier.weight"])
        'left out: classifier.bias, classifier.weight'
    """
    more = f" and {len(names) - 3} more" if names[3:] else ""
    return f"left out: {', '.join(names[:3])}{more}"


def _shards(index: Path) -> dict[str, StoredTensor]:
    weight_map = read_object(index).get("weight_map")
    names = set(weight_map.values()) if isinstance(weight_map, dict) and _all_text(weight_map.values()) else ()
    if not names:
        raise KerasrecError(f"{index} names no files with weights: download it again")
    tensors: dict[str, StoredTensor] = {}
    for name in sorted(names):
        if Path(name).name != name or Path(name).suffix not in (".safetensors", ".bin"):
            raise KerasrecError(
                f"{index} names {quoted(name)}, which is not a file with weights in the same folder: download it again"
            )
        part = stored_tensors(weights_file(index.parent / name))
        twice = sorted(part.keys() & tensors.keys())
        if twice:
            raise KerasrecError(
                f"{index.parent / name} has {twice[0]}, which is in another file too: download the files again"
            )
        tensors |= part
    return tensors


def _all_text(values) -> bool:
    return all(isinstance(value, str) for value in values)


def _safetensors(file: Path) -> dict[str, StoredTensor]:
    try:
        opened = safetensors.safe_open(file, "np")
        shapes = {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118  not a mapping
    except (safetensors.SafetensorError, OSError) as error:
        raise KerasrecError(
            f"{file} is not a complete safetensors file ({quoted(str(error))}): download it again"
        ) from None
    return _lazily(file, shapes, opened.get_tensor)


def _lazily(
    file: Path, shapes: dict[str, tuple[int, ...]], read: Callable[[str], np.ndarray]
) -> dict[str, StoredTensor]:
    def stored(name: str) -> StoredTensor:
        def values() -> np.ndarray:
            try:
                return read(name)
            except Exception as error:  # the libraries raise errors of any class for an unknown dtype or size
                reason = quoted(f"{type(error).__name__}: {error}")
                raise KerasrecError(
                    f"{file}: {name} cannot be read ({reason}): download it again, or give a file with float32 values"
                ) from None

        return StoredTensor(shapes[name], values)

    return {name: stored(name) for name in shapes}


def _google_tensors(file: Path) -> dict[str, StoredTensor]:
    from kerasrec.backend import tf  # imported here, because the other formats do not need TensorFlow

    try:
        require_sound_index(file)
        reader = tf.train.load_checkpoint(str(file.with_suffix("")))
        shapes = {name: tuple(shape) for name, shape in reader.get_variable_to_shape_map().items()}
    except Exception as error:  # TensorFlow and protobuf have no common base class for errors of damaged files
        reason = quoted(f"{type(error).__name__}: {error}")
        raise KerasrecError(f"{file} is not the index of a complete checkpoint ({reason}): download it again") from None
    return _lazily(file, shapes, reader.get_tensor)


_FORMATS = {".safetensors": _safetensors, ".bin": torch_tensors, ".index": _google_tensors}
