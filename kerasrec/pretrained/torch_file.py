"""Read tensors from PyTorch's two file formats, without PyTorch and without executing code from the file.

Since PyTorch 1.6, `torch.save` writes a zip archive: `<folder>/data.pkl` is a pickle that describes the tensors, and
`<folder>/data/<key>` are their bytes. Earlier versions wrote five pickles (a magic number, a version, properties of the
machine, the description, the keys of the storages) and then each storage: its length as int64 and its bytes.
"""

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import ml_dtypes  # noqa: F401  registers bfloat16 with NumPy
import numpy as np

from kerasrec.errors import KerasrecError, quoted
from kerasrec.pretrained.lazy_tensor import StoredTensor
from kerasrec.pretrained.tensor_pickle import MOST_BYTES, STORAGES, Storage, View, load

_MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001
_LENGTH = np.dtype("<i8")

_StorageBytes = Callable[[Storage], bytes]


def torch_tensors(path: Path) -> dict[str, StoredTensor]:
    """The tensors of a `.bin` or `.pt` file with a state dict, by name; their bytes are read on demand.

    Raises:
        KerasrecError: the file is damaged, cannot be read, or has other values than tensors by name.
    """
    try:
        with path.open("rb") as file:
            views, storage_bytes = _zip(path) if file.read(2) == b"PK" else _before_zip(path, file)
    except KerasrecError as error:
        raise KerasrecError(f"{path} {error}") from None
    except OSError as error:
        raise KerasrecError(f"{path} cannot be read ({error.strerror or error}): download it again") from None
    except Exception as error:  # damaged bytes can raise any class of error
        raise KerasrecError(f"{path} is damaged ({_reason(error)}): download it again") from error

    def stored(name: str, view: View) -> StoredTensor:
        return StoredTensor(view.shape, lambda: _read(path, name, view, storage_bytes))

    return {name: stored(name, view) for name, view in views.items()}


def _tensors_by_name(content: object) -> dict[str, View]:
    if not isinstance(content, dict):
        raise KerasrecError(f"contains a {type(content).__name__}: give a file of tensors by name, a state dict")
    for name, value in content.items():
        if not isinstance(value, View):
            raise KerasrecError(
                f"contains a {type(value).__name__} as {quoted(name)}: give a file of tensors by name, a state dict"
            )
    return {str(name): view for name, view in content.items()}


def _zip(path: Path) -> tuple[dict[str, View], _StorageBytes]:
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile:
        raise KerasrecError("is not a complete file in PyTorch's zip format: download it again") from None
    description = next((name for name in archive.namelist() if name.endswith("/data.pkl")), None)
    if description is None:
        raise KerasrecError("is a zip file without data.pkl: give a file from torch.save")
    views = _tensors_by_name(load(io.BytesIO(_entry(archive, description, MOST_BYTES))))
    folder = description.removesuffix("data.pkl")

    def storage_bytes(storage: Storage) -> bytes:
        return _entry(archive, f"{folder}data/{storage.key}", path.stat().st_size)

    return views, storage_bytes


def _entry(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """The bytes of an entry. PyTorch never compresses them; a compressed one could unpack to 1,000 times its size."""
    entry = archive.getinfo(name)
    if entry.compress_type != zipfile.ZIP_STORED or not entry.file_size == entry.compress_size <= most:
        raise ValueError(f"{quoted(name)} is compressed or too large")
    return archive.read(entry)


def _before_zip(path: Path, file: io.BufferedReader) -> tuple[dict[str, View], _StorageBytes]:
    file.seek(0)
    head = io.BytesIO(file.read(MOST_BYTES))
    try:
        known = load(head) == _MAGIC and load(head) == _VERSION
    except Exception:  # as in torch_tensors
        known = False
    if not known:
        raise KerasrecError("is not a complete PyTorch file in the zip or the older format: download it again")
    load(head)  # properties of the machine; the numbers are little-endian on all machines
    views, keys = _tensors_by_name(load(head)), load(head)
    kinds = {view.storage.key: view.storage.kind for view in views.values()}
    places, position = {}, head.tell()
    for key in keys:
        file.seek(position)
        [length] = np.frombuffer(file.read(_LENGTH.itemsize), _LENGTH)
        size = length.item() * np.dtype(STORAGES[kinds[key]]).itemsize
        if not 0 <= size <= os.fstat(file.fileno()).st_size - position - _LENGTH.itemsize:
            raise ValueError(f"storage {quoted(key)} ends after the end of the file")
        places[key] = position + _LENGTH.itemsize, size
        position += _LENGTH.itemsize + size

    def storage_bytes(storage: Storage) -> bytes:
        start, size = places[storage.key]
        with path.open("rb") as file:
            file.seek(start)
            return file.read(size)

    return views, storage_bytes


def _read(path: Path, name: str, view: View, storage_bytes: _StorageBytes) -> np.ndarray:
    dtype = np.dtype(STORAGES[view.storage.kind])
    try:
        values = np.frombuffer(storage_bytes(view.storage), dtype)
        if len(values) != view.storage.length:
            raise ValueError(f"{len(values)} stored values instead of {view.storage.length}")
    except Exception as error:  # as in torch_tensors
        raise KerasrecError(
            f"{path} is damaged: the bytes of {name} cannot be read ({_reason(error)}); download it again"
        ) from None
    return np.lib.stride_tricks.as_strided(
        values[view.offset :], view.shape, [stride * dtype.itemsize for stride in view.strides], writeable=False
    )


def _reason(error: Exception) -> str:
    return quoted(f"{type(error).__name__}: {error}")
