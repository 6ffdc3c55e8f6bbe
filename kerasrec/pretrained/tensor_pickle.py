"""Read the pickle of a PyTorch file without calling the functions that it names.

A pickle is a program for a small stack machine. Python's machine calls any function that the program names, allocates a
memo of any size, and hashes tuples of any depth. The machine in this module implements only the operations that
`torch.save` writes for a state dict, and calls no functions: the description of a tensor becomes a `View`. It does not
recurse into nested values, so their depth does not matter; the constants below limit their number.
"""

import io
import math
import pickletools
from collections.abc import Iterable
from typing import Any, NamedTuple

from kerasrec.errors import KerasrecError, quoted

MOST_BYTES = 1 << 24
"""Largest size of a description; that of BERT-large has 80 KB."""
_MOST_OPERATIONS = 300_000
"""Largest number of operations; a tensor needs about 40."""
_MOST_AXES = 32
_MOST_ELEMENTS = 1 << 62

STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}
"""PyTorch's classes of storages, and their dtypes."""


class Storage(NamedTuple):
    """A flat array of numbers of one type."""

    kind: str
    """One of STORAGES."""
    key: str
    length: int
    """In elements, like the offsets."""
    start: int
    """The element at which the offsets of its tensors are 0; above 0 only in the format before PyTorch 1.6."""


class View(NamedTuple):
    """A tensor as a part of a storage; offset and strides count the storage's elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Global(NamedTuple):
    module: str
    name: str


def load(file: io.BytesIO) -> Any:
    """The value of the pickle at the file's position, which moves to the end of the pickle.

    Tensors become `View`s, and ordered dicts become dicts.

    Raises:
        KerasrecError: the pickle names a function that a file of tensors does not need; the caller adds the name of the
            file before the message.
        Exception: the pickle is damaged; the exception can be of any class.

    Example:
        >>> import pickle
        >>> load(io.BytesIO(pickle.dumps({"a": [1, 2.5, (None, True)]})))
        {'a': [1, 2.5, (None, True)]}
    """
    return _Machine().run(file)


class _Machine:
    def __init__(self):
        self._stack: list = []
        self._outer: list[list] = []  # the stacks below the marks
        self._memo: dict[int, object] = {}

    def run(self, file: io.BytesIO) -> object:
        for number, (opcode, argument, _) in enumerate(pickletools.genops(file)):
            if number == _MOST_OPERATIONS:
                raise ValueError(f"a description of over {_MOST_OPERATIONS:,} operations")
            name = opcode.name
            if name in _VALUES:
                self._stack.append(argument)
            elif name in _CONSTANTS:
                self._stack.append(_CONSTANTS[name]())
            elif name == "STOP":
                [value] = self._stack
                return value
            else:
                getattr(self, f"_{name.lower()}", self._unknown)(*(() if argument is None else (argument,)))
        raise ValueError("no end")

    def _unknown(self, argument=None):
        raise ValueError("an operation that a file of tensors does not need")

    def _proto(self, version):
        pass

    def _frame(self, length):
        pass

    def _put(self, number):
        self._memo[number] = self._stack[-1]

    _binput = _long_binput = _put

    def _memoize(self):
        self._put(len(self._memo))

    def _get(self, number):
        self._stack.append(self._memo[number])

    _binget = _long_binget = _get

    def _mark(self):
        self._outer.append(self._stack)
        self._stack = []

    def _marked(self) -> list:
        values, self._stack = self._stack, self._outer.pop()
        return values

    def _tuple(self):
        values = self._marked()
        self._stack.append(tuple(values))

    def _tuple1(self):
        self._last_as_tuple(1)

    def _tuple2(self):
        self._last_as_tuple(2)

    def _tuple3(self):
        self._last_as_tuple(3)

    def _last_as_tuple(self, count: int):
        values = [self._stack.pop() for _ in range(count)]
        self._stack.append(tuple(reversed(values)))

    def _list(self):
        values = self._marked()
        self._stack.append(values)

    def _append(self):
        value = self._stack.pop()
        self._last(list).append(value)

    def _appends(self):
        values = self._marked()
        self._last(list).extend(values)

    def _dict(self):
        values = self._marked()
        self._stack.append({})
        self._set(values)

    def _setitem(self):
        value, key = self._stack.pop(), self._stack.pop()
        self._set([key, value])

    def _setitems(self):
        self._set(self._marked())

    def _set(self, values: list):
        self._last(dict).update(_pairs(zip(values[::2], values[1::2], strict=True)))

    def _last(self, kind: type):
        value = self._stack[-1]
        if type(value) is not kind:
            raise ValueError(f"a {type(value).__name__} instead of a {kind.__name__}")
        return value

    def _global(self, module_and_name: str):
        module, name = module_and_name.split(" ", 1)
        if (module, name) not in _CALLS and (module != "torch" or name not in STORAGES):
            raise KerasrecError(
                f"refers to {quoted(f'{module}.{name}')}, which a file of tensors does not need; it was not called: "
                "give a file with only the state dict"
            )
        self._stack.append(_Global(module, name))

    _inst = _global

    def _stack_global(self):
        name, module = self._stack.pop(), self._stack.pop()
        self._global(f"{module} {name}")

    def _reduce(self):
        arguments, called = self._stack.pop(), self._stack.pop()
        if type(called) is not _Global or type(arguments) is not tuple:
            raise ValueError("a call of an unnamed function")
        self._stack.append(_CALLS[called.module, called.name](*arguments))

    def _build(self):
        self._stack.pop()  # attributes of the dict, such as PyTorch's _metadata
        self._last(dict)

    def _binpersid(self):
        label, kind, key, _, length, *part = self._stack.pop()
        if label != "storage" or type(kind) is not _Global or kind.name not in STORAGES or type(key) is not str:
            raise ValueError("a reference that is not a storage")
        start = part[0][1] if part and part[0] is not None else 0
        _require_counts((length, start))
        self._stack.append(Storage(kind.name, key, length, start))


def _pairs(pairs) -> dict:
    values = {}
    for key, value in pairs:
        if not isinstance(key, (str, int)):  # hashing other types can take very long
            raise ValueError(f"a {type(key).__name__} as a name")
        values[key] = value
    return values


def _view(storage: Storage, offset: int, shape: tuple, strides: tuple, *_) -> View:
    if type(storage) is not Storage or len(shape) != len(strides) or len(shape) > _MOST_AXES:
        raise ValueError("a tensor without a storage, or with a shape and strides of different lengths")
    _require_counts((offset, *shape, *strides))
    offset += storage.start
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if math.prod(shape) > storage.length or (0 not in shape and last >= storage.length):
        raise ValueError(f"a tensor that reaches beyond its {storage.length} stored values")
    return View(storage, offset, tuple(shape), tuple(strides))


def _require_counts(numbers: tuple) -> None:
    if not all(type(number) is int and 0 <= number < _MOST_ELEMENTS for number in numbers):
        raise ValueError("an invalid offset, size or stride")


def _parameter(view: View, *_) -> View:
    return view


def _ordered_dict(pairs: Iterable = ()) -> dict:  # Python 2 writes the pairs as an argument
    return _pairs(pairs)


_CALLS = {
    ("collections", "OrderedDict"): _ordered_dict,
    ("torch._utils", "_rebuild_tensor"): _view,
    ("torch._utils", "_rebuild_tensor_v2"): _view,
    ("torch._utils", "_rebuild_parameter"): _parameter,
}
# Operations whose argument is the value.
_NUMBERS = {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"}
_TEXTS = {"STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"}
_VALUES = _NUMBERS | _TEXTS
_CONSTANTS = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
}
