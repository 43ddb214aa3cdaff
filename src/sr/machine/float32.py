"""What float32 means on a GPU."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

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
        self._before = (True, False)

    def enter(self) -> None:
        with self._lock:
            if self._users == 0:
                self._before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
                torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
            self._users += 1

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = self._before


_full_float32 = _FullFloat32()
