"""Read what torch.save wrote as data: nothing in it is run, and it takes no more memory than the file is long.

``torch.load(weights_only=True)`` runs nothing foreign either, but calls ``bytearray`` and tensor classes with any size
and hashes any key: some bytes can make it take all memory, take for ever, or end the process (nested tuples).
"""

import math
import pickletools
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

_MOST_PICKLED = 2**24  # bytes; that of a run of 1,000 epochs has a tenth
_MOST_DIMENSIONS = 8
_MOST_KEY = 2**32  # larger integers as keys could all be made to hash alike

_STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
_EMPTY: dict[str, type] = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_PLAIN = frozenset({"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE"})
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


@dataclass(frozen=True)
class _Storage:
    """Where a tensor's values are, and how many there are."""

    key: str
    dtype: torch.dtype
    numel: int


def read_archive(path: Path) -> Any:
    """The values in a file: plain ones, lists, tuples, dicts, and tensors on the CPU.

    Raises:
        ValueError: for anything else in it, and for what is not whole.
        zipfile.BadZipFile: if it is no archive, or a checksum is wrong.
    """
    with _opened(path) as archive:
        names = [name for name in archive.namelist() if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(names) != 1:
            raise ValueError("torch did not write it")
        if archive.getinfo(names[0]).file_size > _MOST_PICKLED:
            raise ValueError("it has too many values beside its tensors")
        folder = names[0].removesuffix("data.pkl")
        order = f"{folder}byteorder"
        if order in archive.namelist() and archive.read(order) != sys.byteorder.encode():
            raise ValueError("it was written on a machine of the other byte order")
        read: dict[_Storage, Tensor] = {}

        def values(storage: _Storage) -> Tensor:
            if storage not in read:
                info = archive.getinfo(f"{folder}data/{storage.key}")
                if info.file_size != storage.numel * storage.dtype.itemsize:
                    raise ValueError("a storage has another size than it claims")
                content = bytearray(archive.read(info))
                empty = torch.empty(0, dtype=storage.dtype)
                read[storage] = torch.frombuffer(content, dtype=storage.dtype) if content else empty
            return read[storage]

        return _unpickle(archive.read(names[0]), values)


def check_archive(path: Path) -> None:
    """Compare all checksums, which torch does not look at.

    Raises:
        ValueError: if one is wrong, or torch cannot have written the file.
        zipfile.BadZipFile: if it is no archive.
    """
    with _opened(path) as archive:
        torn = archive.testzip()
    if torn is not None:
        raise ValueError(f"the checksum of {torn} is wrong")


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if any(
            entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size for entry in entries
        ):
            raise ValueError("it is compressed, which torch never does")
        if sum(entry.file_size for entry in entries) > path.stat().st_size:
            raise ValueError("its parts claim to be larger than the file")
        if len({entry.filename for entry in entries}) < len(entries):
            raise ValueError("it has two parts of one name")
        yield archive


def _unpickle(content: bytes, values: Callable[[_Storage], Tensor]) -> Any:
    """Follow a pickle of protocol 2 as far as torch.save uses it; what it names is looked up here, never imported."""
    stack: list[Any] = []
    below: list[list[Any]] = []
    memo: dict[int, Any] = {}
    argument: Any
    for operation, argument, _ in pickletools.genops(content):
        match operation.name:
            case "PROTO":
                pass
            case "BUILD":  # gives a state dict the versions of its layers, which nobody asks for
                stack.pop()
            case name if name in _PLAIN:
                stack.append(argument)
            case name if name in _CONSTANTS:
                stack.append(_CONSTANTS[name])
            case name if name in _EMPTY:
                stack.append(_EMPTY[name]())
            case "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "MARK":
                below.append(stack)
                stack = []
            case "TUPLE":
                items, stack = stack, below.pop()
                stack.append(tuple(items))
            case name if name in _TUPLES:
                items = [stack.pop() for _ in range(_TUPLES[name])]
                stack.append(tuple(reversed(items)))
            case "APPEND":
                item = stack.pop()
                _is(stack[-1], list).append(item)
            case "APPENDS":
                items, stack = stack, below.pop()
                _is(stack[-1], list).extend(items)
            case "SETITEM":
                item, key = stack.pop(), stack.pop()
                _is(stack[-1], dict)[_key(key)] = item
            case "SETITEMS":
                items, stack = stack, below.pop()
                _is(stack[-1], dict).update({_key(items[at]): items[at + 1] for at in range(0, len(items), 2)})
            case "GLOBAL":
                stack.append(_named(argument))
            case "BINPERSID":
                stack.append(_storage(stack.pop()))
            case "REDUCE":
                arguments, called = stack.pop(), stack.pop()
                if called is _tensor:
                    stack.append(_tensor(values, *arguments))
                elif called is dict and arguments in ((), ([],)):
                    stack.append({})
                else:
                    raise ValueError("it calls what torch does not call")
            case "STOP":
                return stack.pop()
            case name:
                raise ValueError(f"torch does not write {name}")
    raise ValueError("it is cut off")


def _is(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise ValueError(f"{kind.__name__} expected, got {type(value).__name__}")
    return value


def _key(value: object) -> object:
    """What a dict may be asked for: the hash of nested tuples can take for ever."""
    if isinstance(value, str) or (isinstance(value, int) and abs(value) < _MOST_KEY):
        return value
    raise ValueError(f"it has a key of the type {type(value).__name__}")


def _named(argument: str) -> object:
    module, _, name = argument.partition(" ")
    if module == "torch" and name in _STORAGES:
        return _STORAGES[name]
    known = {"collections OrderedDict": dict, "torch._utils _rebuild_tensor_v2": _tensor}
    if argument not in known:
        raise ValueError(f"it names {module}.{name}, which is neither a value nor a tensor")
    return known[argument]


def _storage(identity: object) -> _Storage:
    match identity:
        case ("storage", torch.dtype() as dtype, str() as key, str(), int() as numel):
            return _Storage(key, dtype, numel)
    raise ValueError("a storage is described in an unknown way")


def _tensor(values: Callable[[_Storage], Tensor], storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Tensor:
    """A view of a storage, which has to lie in it and cannot be larger."""
    numbers = (offset, *_is(size, tuple), *_is(stride, tuple))
    if not isinstance(storage, _Storage) or not all(type(number) is int and number >= 0 for number in numbers):
        raise ValueError("a tensor is described in an unknown way")
    if not len(size) == len(stride) <= _MOST_DIMENSIONS:
        raise ValueError("a tensor's strides do not fit its size")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    numel = math.prod(size)
    if numel > storage.numel or (numel and last >= storage.numel):
        raise ValueError("a tensor reaches beyond its storage")
    return torch.as_strided(values(storage), size, stride, offset)
