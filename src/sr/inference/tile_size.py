"""The side of the tiles that enlarge an image fastest on a CPU, from what its layers read and write."""

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sr.inference.tiles import enlarge
from sr.inference.windows import LEAST_TILE, round_up
from sr.terms import image_channels

_PROBE = 32  # side of the image that layers are measured on
_SHARE = 0.25  # of the free memory that a tile's activations may take
_MOST_TILE = 1024  # low-resolution pixels
_MOST_VALUES = 2**31 - 1  # of a feature map: what an operation of a GPU can count
_FLOAT32 = 4  # bytes
_LEAST_ON_CPU = 96  # smaller ones spend their time on calling layers
_STEP = 32  # between the sides that are compared

_FRUGAL = 256  # larger tiles than these have to be worth their memory:
_WORTH, _SAVING = 1.1, 0.75  # times the least time, for tiles of at most so much of the side
_OURS = 0.5  # share of the cache: other processes use it as well
_SPILLED = 0.3  # how much longer a layer takes whose input and output exceed the cache


def bytes_of_layers(net: nn.Module) -> list[float]:
    """What each module of a network reads and writes, in bytes for each pixel of the input, on a small image."""
    sizes: list[float] = []

    def count(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        tensors = [value for value in (*inputs, output) if isinstance(value, Tensor)]
        sizes.append(sum(tensor.numel() * tensor.element_size() for tensor in tensors) / _PROBE**2)

    handles = [module.register_forward_hook(count) for module in net.modules()]
    try:
        device = next(net.parameters()).device
        enlarge(net, torch.zeros(1, image_channels(net), _PROBE, _PROBE, device=device))
    finally:
        for handle in handles:
            handle.remove()
    return sizes


def largest_tile(layers: Sequence[float], free_bytes: int) -> int:
    """Side in low-resolution pixels of the tiles whose activations take a quarter of the free memory.

    Estimated from the largest input and output of a layer; twice that is held at a time.
    """
    side = math.isqrt(int(free_bytes * _SHARE / (2 * max(layers))))
    return max(LEAST_TILE, min(_MOST_TILE, side // LEAST_TILE * LEAST_TILE))


def countable_side(layers: Sequence[float], margin: int) -> int:
    """Side in low-resolution pixels of the largest tile none of whose feature maps has 2^31 values, margins included.

    Args:
        layers: see `bytes_of_layers`, in float32: input and output of a layer, of which neither has more values.
        margin: pixels around a tile that are computed with it.
    """
    side = math.isqrt(int(_MOST_VALUES * _FLOAT32 / max(layers))) - 2 * margin
    return max(LEAST_TILE, side // LEAST_TILE * LEAST_TILE)


def fastest_tile(
    layers: Sequence[float], height: int, width: int, *, margin: int, align: int, most: int, cache_bytes: int
) -> int:
    """Side of the tiles that a CPU computes an image with in the least time, or nearly so.

    Small tiles compute their margins in addition; large ones leave the cache between layers. The time of a tile is its
    pixels, margins included, times 1.3 for the part of its layers, weighted by their bytes, that does not fit into half
    the cache. It is computed rather than measured, so that an image is always computed in the same way: other tiles
    round differently. Of tiles of 256 pixels or more, the smallest of those within a tenth of the least time is chosen,
    to save memory.

    Args:
        layers: see `bytes_of_layers`, in the precision of the computation.
        height: of the image, in low-resolution pixels.
        width: of the image.
        margin: pixels around a tile that are computed with it.
        align: sides are multiples of it.
        most: the largest side for the memory; an image of as many pixels may be a single tile.
        cache_bytes: of the processor.

    >>> layers = [512.0] * 10  # 64 channels in float32, in and out
    >>> fastest_tile(layers, 1000, 1000, margin=1, align=1, most=1024, cache_bytes=2**25)  # 162^2 * 512 < 2^24 bytes
    160
    >>> fastest_tile(layers, 1000, 1000, margin=40, align=1, most=1024, cache_bytes=2**25)  # margins cost more
    1000
    """
    whole, held = max(height, width), _OURS * cache_bytes
    sides = {round_up(side, align) for side in [*range(_LEAST_ON_CPU, most, _STEP), most] if side < whole}
    if height * width <= most**2:
        sides.add(whole)

    def seconds(side: int) -> float:
        pixels = 0.0
        rows, columns = (Counter(_lengths(length, side, margin)) for length in (height, width))
        for (tile_height, of_height), (tile_width, of_width) in itertools.product(rows.items(), columns.items()):
            area = tile_height * tile_width
            spilled = sum(size for size in layers if size * area > held) / sum(layers)
            pixels += of_height * of_width * area * (1 + _SPILLED * spilled)
        return pixels

    times = {side: seconds(side) for side in sorted(sides, reverse=True)}
    fastest = min(times, key=times.__getitem__)
    frugal = (side for side in times if _FRUGAL <= side <= _SAVING * fastest)
    return min((side for side in frugal if times[side] <= _WORTH * times[fastest]), default=fastest)


def _lengths(length: int, side: int, margin: int) -> Iterator[int]:
    """Sides of the tiles along one side of an image, margins within the image included.

    >>> list(_lengths(100, 40, 5))
    [45, 50, 25]
    """
    for start in range(0, length, side):
        yield min(length, start + side + margin) - max(0, start - margin)
