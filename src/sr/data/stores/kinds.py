"""The kinds of stores for decoded pairs, and their common interface."""

import math
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Protocol

import torch

from sr.data.pairs import stored_size
from sr.data.sources import Source
from sr.data.stores.packed import PackedPairs, Pair
from sr.io.pixel_formats import RGB8, PixelFormat
from sr.machine.memory import total_memory
from sr.machine.processes import workers_of_sweep

# Shares that `auto` may use: of the free memory of the device, and of main memory.
_DEVICE_SHARE = 0.4
_MEMORY_SHARE = 0.25

LoadPair = Callable[[Source], Pair]


class CacheKind(StrEnum):
    """Values of ``data.cache``: where decoded pairs are held."""

    AUTO = "auto"  # the first of the next three that has enough space
    DEVICE = "device"
    MEMORY = "memory"
    DISK = "disk"
    NONE = "none"  # decoded on each access


class Backend(Protocol):
    """A store for decoded pairs.

    Attributes:
        sources: the source of each pair, without skipped files.
        sizes: (height, width) of each ``hr``.
        packed: all pairs as one flat tensor, or None for other stores.
    """

    sources: list[Source]
    sizes: list[tuple[int, int]]
    packed: PackedPairs | None

    def __getitem__(self, index: int) -> Pair:
        """Pair ``(lr, hr)`` of uint8 or uint16 ``(C, h, w)`` and ``(C, scale*h, scale*w)``."""
        ...

    def close(self) -> None:
        """Release the memory; pairs cannot be read afterwards."""
        ...


def choose_kind(
    sources: Sequence[Source],
    scale: int,
    device: torch.device,
    pixels: PixelFormat = RGB8,
    *,
    is_shared: bool = False,
) -> CacheKind:
    """Choose the first of device, memory and disk that has enough space.

    Processes that need the same images share a copy on disk instead of using main memory, and the parallel workers of a
    sweep share what the pairs may take of the device.
    """
    size = decoded_values(sources, scale, pixels) * pixels.bits // 8
    if device.type == "cuda" and size < _DEVICE_SHARE / workers_of_sweep() * torch.cuda.mem_get_info(device)[0]:
        return CacheKind.DEVICE
    if is_shared:
        return CacheKind.DISK
    return CacheKind.MEMORY if size < _MEMORY_SHARE * total_memory() else CacheKind.DISK


def decoded_values(sources: Sequence[Source], scale: int, pixels: PixelFormat) -> int:
    """Number of values of all pairs at most, by the headers of the files; those without a readable one do not count."""
    area = sum(_area(source) for source in sources)
    return pixels.channels * (area + area // scale**2 + 1)


def _area(source: Source) -> int:
    """Pixels of an image or of a copy, at most; see `sr.data.pairs.load_pair`."""
    height, width = (math.ceil(side * source.size) for side in stored_size(source))
    return min(height, width) ** 2 // 2 if source.rotated else height * width  # a square whose diagonal fits
