"""Limit what building a network from an untrusted file may cost."""

import math
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.overrides import TorchFunctionMode

from sr.errors import UserError

_SLACK = 4  # allowed parameters per stored weight: weight norm, for one, creates extra ones while building
_FREE_ELEMENTS = 2**27  # that tensors made while building may have beyond the stored ones, such as tables of positions

_REPEATING = frozenset(
    {"expand", "repeat", "repeat_interleave", "tile", "new_empty", "new_full", "new_ones", "new_zeros"}
)


@contextmanager
def no_larger_than(weights: Mapping[str, object]) -> Iterator[None]:
    """Stop building a network once it has far more parameters than the file has weights.

    Building it on the device ``meta`` would detect the same, but makes torch import its compiler.
    """
    remaining = [_SLACK * len(weights), _SLACK * _stored_elements(weights)]
    thread = threading.get_ident()

    def count(module: nn.Module, name: str, value: nn.Parameter | None) -> None:
        if value is None or threading.get_ident() != thread:
            return
        remaining[:] = remaining[0] - 1, remaining[1] - value.numel()
        if min(remaining) < 0:
            raise UserError("describes a larger network than its weights are for")

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()


class NoLargerTensors(TorchFunctionMode):
    """Refuse functions whose results have far more elements, all together, than the stored weights.

    It looks before a function runs: the memory of a result is not taken first. For networks of other packages, which
    derive tables from the shapes of weights: the square of their size, or more. A ``TorchDispatchMode`` would see more,
    but makes torch import its compiler.
    """

    def __init__(self, weights: Mapping[str, object]) -> None:
        """Start counting; use it in a ``with`` statement."""
        super().__init__()
        self._remaining = _FREE_ELEMENTS + 4 * _SLACK * _stored_elements(weights)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run a function unless its result may be too large, and count it."""
        kwargs = kwargs or {}
        if _most_elements(getattr(func, "__name__", ""), [*args, *kwargs.values()]) > self._remaining:
            raise UserError("describes a network that is far larger than its weights are for")
        result = func(*args, **kwargs)
        self._remaining -= sum(tensor.numel() for tensor in _tensors([result]))
        return result


def _most_elements(name: str, arguments: Sequence[object]) -> int:
    """How many elements the result of a function has at most, by the shapes and sizes that it is given."""
    shapes = [tensor.shape for tensor in _tensors(arguments)]
    sizes = [
        math.prod(abs(int(item)) for item in value)
        for value in arguments
        if isinstance(value, list | tuple) and all(type(item) is int for item in value)
    ]
    numbers = [abs(value) for value in arguments if type(value) is int and value]
    if not shapes:
        return max([*sizes, *numbers, math.prod(numbers)])  # of arange; of zeros
    together = sum(shape.numel() for shape in shapes)
    if name in _REPEATING:
        return together * max([*sizes, math.prod(numbers)])
    try:
        return max(together, math.prod(map(int, torch.broadcast_shapes(*shapes))))
    except RuntimeError:  # not element by element
        return together


def _tensors(arguments: Iterable[object]) -> Iterator[Tensor]:
    for value in arguments:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from (item for item in value if isinstance(item, Tensor))


def _stored_elements(weights: Mapping[str, object]) -> int:
    """The elements of all weights; those of one storage count once."""
    tensors = [value for value in weights.values() if isinstance(value, Tensor)]
    return sum({value.untyped_storage().data_ptr(): value.numel() for value in tensors}.values())
