"""Tensors out of PyTorch's file format, without PyTorch and without running what the file says.

`torch.save` writes a zip archive: `<folder>/data.pkl` is a pickle that describes the tensors, `<folder>/data/<key>` are
their bytes. A pickle may call any function that can be imported, so only the few names that tensors are made of are
known here, and each stands for a function of this module.
"""

import collections
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import ml_dtypes
import numpy as np

from kerasrec.errors import KerasrecError
from kerasrec.pretrained.stored import StoredTensor

_STORAGES = {
    "DoubleStorage": np.dtype(np.float64),
    "FloatStorage": np.dtype(np.float32),
    "HalfStorage": np.dtype(np.float16),
    "BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "LongStorage": np.dtype(np.int64),
    "IntStorage": np.dtype(np.int32),
    "ShortStorage": np.dtype(np.int16),
    "CharStorage": np.dtype(np.int8),
    "ByteStorage": np.dtype(np.uint8),
    "BoolStorage": np.dtype(np.bool_),
}


class _Storage(NamedTuple):
    kind: str
    key: str


class _View(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]  # in elements, as `offset`


def torch_tensors(path: Path) -> dict[str, StoredTensor]:
    """The tensors of a `.bin` or `.pt` file that holds a state dict, by name; their bytes are read when asked for.

    Raises:
        KerasrecError: the file is not of the zip format, is damaged, or holds anything but tensors by name.
    """
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile:
        raise KerasrecError(
            f"{path} is not a whole file of PyTorch's zip format; if a PyTorch before 1.6 wrote it, load it there and "
            "save it again with a newer one or as model.safetensors, otherwise fetch it again"
        ) from None
    description = next((name for name in archive.namelist() if name.endswith("/data.pkl")), None)
    if description is None:
        raise KerasrecError(f"{path} is a zip file without data.pkl: give one that torch.save has written")
    folder = description.removesuffix("data.pkl")
    try:
        with archive.open(description) as file:
            content = _TensorUnpickler(file).load()
    except KerasrecError as error:
        raise KerasrecError(f"{path} {error}") from None
    except Exception as error:  # a damaged pickle can end in any exception at all
        raise KerasrecError(f"{path} is damaged ({type(error).__name__}: {error}): fetch it again") from error
    if not isinstance(content, Mapping):
        raise KerasrecError(f"{path} holds a {type(content).__name__}: give a file of tensors by name, a state dict")
    for name, value in content.items():
        if not isinstance(value, _View):
            raise KerasrecError(
                f"{path} holds a {type(value).__name__} as {name!r}: give a file of tensors by name, a state dict"
            )

    def stored(name: str, view: _View) -> StoredTensor:
        return StoredTensor(view.shape, lambda: _read(archive, path, folder, name, view))

    return {str(name): stored(name, view) for name, view in content.items()}


def _read(archive: zipfile.ZipFile, path: Path, folder: str, name: str, view: _View) -> np.ndarray:
    dtype = _STORAGES[view.storage.kind]
    try:
        values = np.frombuffer(archive.read(f"{folder}data/{view.storage.key}"), dtype)
    except (KeyError, ValueError, zipfile.BadZipFile) as error:
        raise KerasrecError(
            f"{path} is damaged: the bytes of {name} cannot be read ({error}); fetch it again"
        ) from None
    last = view.offset + sum((size - 1) * stride for size, stride in zip(view.shape, view.strides, strict=True))
    if 0 not in view.shape and not 0 <= last < len(values):
        raise KerasrecError(f"{path} is damaged: {name} reaches beyond its {len(values)} stored values; fetch it again")
    return np.lib.stride_tricks.as_strided(
        values[view.offset :], view.shape, [stride * dtype.itemsize for stride in view.strides], writeable=False
    )


def _view(storage: _Storage, offset: int, shape: tuple, strides: tuple, *_) -> _View:
    whole = all(isinstance(number, int) and number >= 0 for number in (offset, *shape, *strides))
    if not isinstance(storage, _Storage) or not whole or len(shape) != len(strides):
        raise ValueError("a tensor is described by anything but its storage, an offset, a shape and strides")
    return _View(storage, offset, tuple(shape), tuple(strides))


def _parameter(view: _View, *_) -> _View:
    return view


class _TensorUnpickler(pickle.Unpickler):
    KNOWN = {
        ("collections", "OrderedDict"): collections.OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): _view,
        ("torch._utils", "_rebuild_parameter"): _parameter,
        **{("torch", name): name for name in _STORAGES},
    }

    def find_class(self, module, name):
        try:
            return self.KNOWN[module, name]
        except KeyError:
            raise KerasrecError(
                f"refers to {module}.{name}, which a file of tensors does not need and which was not run: give a file "
                "that holds the state dict alone"
            ) from None

    def persistent_load(self, pid):
        what, kind, key, _, _ = pid
        if what != "storage" or kind not in _STORAGES or not isinstance(key, str):
            raise ValueError(f"{pid!r} is no storage")
        return _Storage(kind, key)
