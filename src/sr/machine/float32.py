"""What float32 means on a GPU."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

_FULL = frozenset({"float32", "32-true", "64-true"})  # names of precisions, here and in Lightning


@contextmanager
def float32_as_in(precision: str) -> Iterator[None]:
    """Compute float32 in float32 if that is the precision, not in TF32, whose mantissa has 10 bits instead of 23.

    cuDNN convolves float32 in TF32 unless told otherwise. In mixed precision, what is left in float32 may be TF32: most
    of it has been through bfloat16, with its 7 bits, anyway.

    Args:
        precision: ``float32`` or ``bfloat16``, or Lightning's name of either.
    """
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    if precision in _FULL:
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before
