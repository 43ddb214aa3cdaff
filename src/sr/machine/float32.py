"""What float32 means on a GPU."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch


@contextmanager
def full_float32() -> Iterator[None]:
    """Compute float32 in float32, not in TF32, whose mantissa has 10 bits instead of 23.

    cuDNN convolves float32 in TF32 unless told otherwise. In mixed precision too: what is left in float32 there, such
    as the features of LPIPS, is so because it was asked for. The setting is that of the process: threads that need
    float32 may enter and leave at any time.
    """
    _full_float32.enter()
    try:
        yield
    finally:
        _full_float32.leave()


class _FullFloat32:
    """Counts who needs float32; the first turns TF32 off, and the last restores the setting."""

    def __init__(self) -> None:
        self._lock, self._users = threading.Lock(), 0
        self._restore: list[Callable[[], None]] = []

    def enter(self) -> None:
        with self._lock:
            if self._users == 0:
                self._restore = [_setting_of_products(), _setting_of_convolutions()]
                torch.set_float32_matmul_precision("highest")
                torch.backends.cudnn.allow_tf32 = False
            self._users += 1

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                for restore in self._restore:
                    restore()


def _setting_of_products() -> Callable[[], None]:
    """Restores the present one; torch has two ways to set it, and the older refuses to read what the newer has set."""
    try:
        return partial(torch.set_float32_matmul_precision, torch.get_float32_matmul_precision())
    except RuntimeError:
        products = torch.backends.cuda.matmul
        return partial(setattr, products, "fp32_precision", products.fp32_precision)


def _setting_of_convolutions() -> Callable[[], None]:
    try:
        return partial(setattr, torch.backends.cudnn, "allow_tf32", torch.backends.cudnn.allow_tf32)
    except RuntimeError:
        cudnn: Any = torch.backends.cudnn
        of_both = [(kind, kind.fp32_precision) for kind in (cudnn.conv, cudnn.rnn)]

        def restore() -> None:
            for kind, precision in of_both:
                kind.fp32_precision = precision

        return restore


_full_float32 = _FullFloat32()
