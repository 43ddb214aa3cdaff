"""Mend one pair: cut both images to the area that they share, and align their pixels."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sr.data.alignment import MOVED, SHIFTED, Fault, displacement, fault
from sr.data.pairs import MIN_SIDE
from sr.io.bounded import Pixels

_ALIGNED = 0.05  # low-resolution pixels: about what is measured of aligned kernels, see `sr.data.alignment`
_STEPS = 3  # measurements, each of what the one before left
# Where sizes do not fit, an image has to be this similar and large (low-resolution pixels). Of 300 pairs of crops of
# different photographs, 11 reach 0.85 by chance with a side of 16, and none with one of 32.
_SURELY_SAME, _SURE_SIDE = 0.85, 32
_LOBES = 4  # of the windowed sinc that shifts by parts of a pixel


class UnmendableError(ValueError):
    """A pair that cannot be mended; the message says why."""


@dataclass(frozen=True)
class Mended:
    """A pair whose pixels are aligned.

    Attributes:
        hr: ``(scale*h, scale*w, C)`` of uint8 or uint16; always pixels of the file, unchanged.
        lr: ``(h, w, C)``.
        actions: what was done, in words; empty if both images are as they were.
    """

    hr: Pixels
    lr: Pixels
    actions: tuple[str, ...] = ()


def mend(hr: Pixels, lr: Pixels, scale: int) -> Mended:
    """Align a pair.

    The part of a shift that is a whole number of high-resolution pixels is undone by cropping alone. The rest, at most
    half a high-resolution pixel, is undone by resampling the low resolution, since the high resolution is what networks
    learn and are scored against.

    Args:
        hr: high resolution ``(H, W, C)`` of uint8 or uint16.
        lr: low resolution ``(h, w, C)``.
        scale: factor between the two.

    Returns:
        A pair in which `sr.data.alignment.fault` finds nothing.

    Raises:
        UnmendableError: if the two cannot be aligned by shifting and cropping, or too little is left.
    """
    reason = ""
    for hr_start, lr_start in _starts(hr.shape[:2], lr.shape[:2], scale):
        try:
            return _aligned(hr, lr, scale, hr_start, lr_start)
        except UnmendableError as error:
            reason = reason or str(error)
    raise UnmendableError(reason)


def _starts(
    hr_size: tuple[int, ...], lr_size: tuple[int, ...], scale: int
) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Where the two images may show the same area: at the same corner, or if the sizes differ, at the same centre."""
    yield (0, 0), (0, 0)
    surplus = [high // scale - low for high, low in zip(hr_size, lr_size, strict=True)]
    if any(surplus):
        top, left = (max(0, pixels) // 2 * scale for pixels in surplus)
        yield (top, left), (max(0, -surplus[0]) // 2, max(0, -surplus[1]) // 2)


def _aligned(hr: Pixels, lr: Pixels, scale: int, hr_start: tuple[int, int], lr_start: tuple[int, int]) -> Mended:
    high, low = hr[hr_start[0] :, hr_start[1] :], lr[lr_start[0] :, lr_start[1] :]
    pair = _cut(high, low, scale, (0.0, 0.0))
    found = _fault(pair)
    fits = tuple(side // scale for side in hr.shape[:2]) == lr.shape[:2]
    shift = (0.0, 0.0)
    for _ in range(_STEPS if found else 0):
        assert found
        if found.kind not in (MOVED, SHIFTED):
            raise UnmendableError(_said(found))
        rest = displacement(_tensor(pair.lr), _tensor(pair.hr))
        if rest is None:
            raise UnmendableError(_said(found))
        shift = (shift[0] + rest[0], shift[1] + rest[1])
        pair = _cut(high, low, scale, shift)
        if max(map(abs, rest)) < _ALIGNED:
            break
    if found and (left := _fault(pair)):
        raise UnmendableError(f"after shifting it {_said(left)}")
    if not fits and not _is_surely_same(pair):
        raise UnmendableError("the sizes do not fit, and too little detail shows where the images do")
    return Mended(pair.hr, pair.lr, tuple(_actions(hr, lr, pair, shift)))


def _is_surely_same(pair: Mended) -> bool:
    is_large = min(pair.lr.shape[:2]) >= _SURE_SIDE
    return is_large and displacement(_tensor(pair.lr), _tensor(pair.hr), _SURELY_SAME) is not None


def _actions(hr: Pixels, lr: Pixels, pair: Mended, shift: tuple[float, float]) -> Iterator[str]:
    if any(shift):
        yield f"shifted by {-shift[0]:+.2f} pixels down and {-shift[1]:+.2f} right"
    yield from pair.actions
    for name, before, after in (("high", hr, pair.hr), ("low", lr, pair.lr)):
        if before.shape != after.shape:
            yield f"{name} resolution cropped from {_size(before)} to {_size(after)}"


def _cut(hr: Pixels, lr: Pixels, scale: int, shift: tuple[float, float]) -> Mended:
    """Undo a shift of ``lr`` (down, right) in low-resolution pixels, and keep the area that both show.

    Raises:
        UnmendableError: if too little is left.
    """
    resampled = False
    for axis, length in enumerate(shift):
        whole = round(scale * length)  # high-resolution pixels
        part = length - whole / scale
        lr_start = max(0, math.ceil(whole / scale))
        hr_start = scale * lr_start - whole
        if abs(part) > _ALIGNED:
            lr = _resampled(lr, part, axis)
            resampled = True
            before, after = int(part < 0), int(part > 0)  # pixels whose content lies beyond the edge
            if before and lr_start == 0:
                lr_start, hr_start = 1, hr_start + scale
            lr = lr.take(range(lr.shape[axis] - after), axis)
        sides = min(lr.shape[axis] - lr_start, (hr.shape[axis] - hr_start) // scale)
        if sides * scale < MIN_SIDE:
            raise UnmendableError("too little is left of the area that both show")
        lr = lr.take(range(lr_start, lr_start + sides), axis)
        hr = hr.take(range(hr_start, hr_start + scale * sides), axis)
    return Mended(hr, lr, ("low resolution resampled",) if resampled else ())


def _resampled(pixels: Pixels, part: float, axis: int) -> Pixels:
    """The values at positions ``part`` of a pixel further on, by a sinc with Lanczos' window; edges are mirrored."""
    taps = np.arange(1 - _LOBES, _LOBES + 1)
    offset = part % 1
    weights = np.sinc(taps - offset) * np.sinc((taps - offset) / _LOBES)
    weights /= weights.sum()
    margin = [(0, 0)] * pixels.ndim
    margin[axis] = (_LOBES, _LOBES)
    padded = np.pad(pixels.astype(np.float64), margin, mode="symmetric")
    first = _LOBES + math.floor(part)
    length = pixels.shape[axis]
    values = sum(
        weight * padded.take(range(first + tap, first + tap + length), axis)
        for tap, weight in zip(taps.tolist(), weights, strict=True)
    )
    mended: Pixels = np.asarray(values).round().clip(0, np.iinfo(pixels.dtype).max).astype(pixels.dtype)
    return mended


def _fault(pair: Mended) -> Fault | None:
    return fault(_tensor(pair.lr), _tensor(pair.hr))


def _tensor(pixels: Pixels) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)


def _said(found: Fault) -> str:
    return found.text.format("its high resolution")


def _size(pixels: Pixels) -> str:
    return f"{pixels.shape[1]}x{pixels.shape[0]}"
