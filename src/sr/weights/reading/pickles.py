"""Interpret untrusted pickles of `torch.save`: values and tensors, nothing else."""

import math
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any

import torch
from torch import Tensor

MAX_PICKLE_BYTES = 2**24  # a run of 1,000 epochs needs a tenth of it
_MAX_DIMENSIONS = 8
_MAX_KEY = 2**32  # larger integers could be chosen so that all keys have the same hash

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
_EMPTY_CONTAINERS: dict[str, type] = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_LITERALS = frozenset({"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE"})
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


@dataclass(frozen=True)
class Storage:
    """A block of values that tensors are views of; ``key`` names its part of the archive."""

    key: str
    dtype: torch.dtype
    numel: int


def unpickle(stream: IO[bytes], load_storage: Callable[[Storage], Tensor]) -> Any:
    """Interpret the part of pickle protocol 2 that torch.save uses; globals are looked up here, never imported.

    Args:
        stream: is left behind the pickle.
        load_storage: returns the values of a storage, in one dimension.

    Raises:
        ValueError: if it contains anything else, or is incomplete.
    """
    stack: list[Any] = []
    outer_stacks: list[list[Any]] = []
    memo: dict[int, Any] = {}
    argument: Any
    for operation, argument, _ in pickletools.genops(stream):
        match operation.name:
            case "PROTO":
                pass
            case "BUILD":  # attaches layer versions to a state dict, which are not needed
                stack.pop()
            case name if name in _LITERALS:
                stack.append(argument)
            case name if name in _CONSTANTS:
                stack.append(_CONSTANTS[name])
            case name if name in _EMPTY_CONTAINERS:
                stack.append(_EMPTY_CONTAINERS[name]())
            case "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "MARK":
                outer_stacks.append(stack)
                stack = []
            case "TUPLE":
                items, stack = stack, outer_stacks.pop()
                stack.append(tuple(items))
            case name if name in _TUPLES:
                items = [stack.pop() for _ in range(_TUPLES[name])]
                stack.append(tuple(reversed(items)))
            case "APPEND":
                item = stack.pop()
                _expect(stack[-1], list).append(item)
            case "APPENDS":
                items, stack = stack, outer_stacks.pop()
                _expect(stack[-1], list).extend(items)
            case "SETITEM":
                item, key = stack.pop(), stack.pop()
                _expect(stack[-1], dict)[_checked_key(key)] = item
            case "SETITEMS":
                items, stack = stack, outer_stacks.pop()
                _expect(stack[-1], dict).update(
                    {_checked_key(items[at]): items[at + 1] for at in range(0, len(items), 2)}
                )
            case "GLOBAL":
                stack.append(_lookup(argument))
            case "BINPERSID":
                stack.append(_parse_storage(stack.pop()))
            case "REDUCE":
                arguments, function = stack.pop(), stack.pop()
                if function is _rebuild_tensor:
                    stack.append(_rebuild_tensor(load_storage, *arguments))
                elif function is dict and arguments in ((), ([],)):
                    stack.append({})
                else:
                    raise ValueError("it calls a function that torch.save never calls")
            case "STOP":
                return stack.pop()
            case name:
                raise ValueError(f"torch.save never writes {name}")
    raise ValueError("it is truncated")


def _expect(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise ValueError(f"{kind.__name__} expected, got {type(value).__name__}")
    return value


def _checked_key(value: object) -> object:
    """Refuse all but strings and small integers as dict keys: hashing nested tuples can take forever."""
    if isinstance(value, str) or (isinstance(value, int) and abs(value) < _MAX_KEY):
        return value
    raise ValueError(f"it has a dict key of type {type(value).__name__}")


def _lookup(argument: str) -> object:
    module, _, name = argument.partition(" ")
    if module == "torch" and name in _STORAGES:
        return _STORAGES[name]
    known = {
        "collections OrderedDict": dict,
        "torch._utils _rebuild_tensor": _rebuild_tensor,  # of torch 0.3
        "torch._utils _rebuild_tensor_v2": _rebuild_tensor,
    }
    if argument not in known:
        raise ValueError(f"it refers to {module}.{name}, which is neither a value nor a tensor")
    return known[argument]


def _parse_storage(identity: object) -> Storage:
    match identity:
        case ("storage", torch.dtype() as dtype, str() as key, str(), int() as numel, *rest):
            if rest in ([], [None]) and numel >= 0:  # before torch 1.6: the part of another storage that it is
                return Storage(key, dtype, numel)
    raise ValueError("a storage has an unknown description")


def _rebuild_tensor(
    load_storage: Callable[[Storage], Tensor], storage: Any, offset: Any, size: Any, stride: Any, *_: Any
) -> Tensor:
    """Make a view of a storage, refusing one that extends beyond it or has more elements."""
    numbers = (offset, *_expect(size, tuple), *_expect(stride, tuple))
    if not isinstance(storage, Storage) or not all(type(number) is int and number >= 0 for number in numbers):
        raise ValueError("a tensor has an unknown description")
    if not len(size) == len(stride) <= _MAX_DIMENSIONS:
        raise ValueError("a tensor's strides do not match its size")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    numel = math.prod(size)
    if numel > storage.numel or (numel and last >= storage.numel):
        raise ValueError("a tensor extends beyond its storage")
    return torch.as_strided(load_storage(storage), size, stride, offset)
