"""Check that a low-resolution image is its partner downscaled: the same picture, aligned and antialiased."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from sr.arrays import DIHEDRAL_NAMES
from sr.image import dihedral, gray, preview, resize, to_float

# Faults of a pair that impair training, worst first.
OTHER, TURNED, MOVED, SHIFTED, ALIASED, COLOURS = KINDS = (
    "another picture",
    "mirrored or turned",
    "moved",
    "slightly shifted",
    "aliased",
    "other colours",
)

# Lengths are in low-resolution pixels, values in gray levels from 0 to 255.
_WINDOW = 256  # side of the central window that is compared
_BORDER = 4  # excluded where pixels are compared: resizing differs at the edges of the window
_MAX_SHIFT = 8  # the largest shift that is searched
_MIN_SIDE = 16  # smaller images are not judged
_FINE, _COARSE = 1.0, 4.0  # sigmas of a band-pass filter that removes noise, JPEG artefacts and brightness
_BLURS = (0.0, 1.5, 3.0)  # sigmas of blurs of the partner to try, in case the low resolution was blurred
_FLAT = 3.0  # standard deviation in the band below which noise could dominate: not judged
_HANN = 3 / 8  # factor by which a Hann window reduces a standard deviation

# Measured on 74 photographs at scales 1 to 4. Different photographs have a similarity below 0.6 (once 0.66, at 64x64
# pixels). It is above 0.7 for the same photograph with noise of 25 levels, JPEG of quality 20 or a blur of 3 pixels.
# The measured shift of aligned kernels is below 0.05, that of misaligned conventions 0.25 to 0.4. The aliasing ratio of
# antialiased kernels is at most 1.3.
_SAME_PICTURE = 0.6
_VERY_SIMILAR = 0.95  # above it, no further blur is tried
_DOUBTFUL = 0.85  # below it, flips and turns of the partner are tried
_CLEARLY_MORE = 0.1  # how much more similar a flipped or turned partner must be
_MIN_SHIFT = 0.2  # smaller shifts are accepted
_MIN_ERRORS = 5  # a shift must also exceed this many standard errors
_LARGE_SHIFT = 0.75  # larger shifts are MOVED, others SHIFTED
_ALIASING_RATIO, _ALIASING_RATIO_IF_SHIFTED = 2.0, 20.0  # larger aliasing ratios are ALIASED
_NOISE = 1.0  # mean squared error below which there is no aliasing to judge
_COLOUR_DIFFERENCE = 8.0  # larger differences of the mean are COLOURS


@dataclass(frozen=True)
class Fault:
    """A fault of a pair.

    Attributes:
        kind: one of ``KINDS``.
        text: description that follows the name of the low-resolution file; ``{}`` stands for the name of its partner.
    """

    kind: str
    text: str


def fault(lr: Tensor, hr: Tensor) -> Fault | None:
    """Find the worst fault of a pair, by comparing ``lr`` with ``hr`` downscaled by MATLAB's bicubic.

    Blur, noise, JPEG compression and other antialiased kernels are not faults.

    Args:
        lr: ``(C, h, w)`` of uint8 or uint16.
        hr: ``(C, scale*h, scale*w)``.

    Returns:
        The fault, or None if there is none or the image is too small or too flat to judge.
    """
    scale = hr.shape[1] // lr.shape[1]
    lr, hr = preview(lr), preview(hr)
    if min(lr.shape[1:]) < _MIN_SIDE:
        return None
    low, high = _window(lr, 1), _window(hr, scale)
    derived = resize(high, 1 / scale)
    similarity, (down, right), sigma = _similarity(low, derived)
    if similarity is None:
        return None
    if similarity < _DOUBTFUL and (turn := _turn(low, derived, similarity)):
        return Fault(TURNED, f"shows {{}} {turn}")
    if similarity < _SAME_PICTURE:
        return Fault(OTHER, "does not show the picture of {}")
    shift = _significant_shift(low, _blur(derived, sigma) if sigma else derived, down, right)
    ratio = _aliasing(low, high, derived, scale) if scale > 1 else 0.0
    if ratio > (_ALIASING_RATIO_IF_SHIFTED if shift else _ALIASING_RATIO):
        return Fault(ALIASED, "was downscaled from {} without antialiasing")
    if shift:
        largest = max(abs(length) for length in shift)
        return Fault(MOVED if largest > _LARGE_SHIFT else SHIFTED, f"is misaligned with {{}}: {_in_words(*shift)}")
    differences = (lr.float().mean((1, 2)) - hr.float().mean((1, 2))).tolist()
    if max(map(abs, differences)) > _COLOUR_DIFFERENCE:
        channels = ", ".join(
            f"{name} {value:+.0f}" for name, value in zip(("red", "green", "blue"), differences, strict=True)
        )
        return Fault(COLOURS, f"differs from {{}} in its mean colour: {channels} (of 255)")
    return None


def displacement(lr: Tensor, hr: Tensor, least_similarity: float = _SAME_PICTURE) -> tuple[float, float] | None:
    """How far ``lr`` is shifted against ``hr`` at its centre: down and right, in low-resolution pixels.

    Shifts by up to 8 pixels, or a quarter of a side, are found.

    Args:
        lr: ``(C, h, w)`` of uint8 or uint16.
        hr: ``(C, scale*h, scale*w)``.
        least_similarity: correlation below which the pictures are taken for different ones.

    Returns:
        The two lengths; None if the images are too small or too flat to tell, or show different pictures.
    """
    scale = hr.shape[1] // lr.shape[1]
    if min(lr.shape[1:]) < _MIN_SIDE:
        return None
    low = _window(preview(lr), 1)
    derived = resize(_window(preview(hr), scale), 1 / scale)
    similarity, (down, right), sigma = _similarity(low, derived)
    if similarity is None or similarity < least_similarity:
        return None
    measured = _shift(low, _blur(derived, sigma) if sigma else derived, down, right)
    return None if measured is None else measured.lengths[:2]


def _window(image: Tensor, scale: int) -> Tensor:
    """The central window of a uint8 image as gray values ``(H, W)`` from 0 to 255."""
    top, left = (max(0, side // scale - _WINDOW) // 2 * scale for side in image.shape[1:])
    window = image[:, top : top + _WINDOW * scale, left : left + _WINDOW * scale]
    return 255 * gray(to_float(window.cpu())[None])[0, 0]


def _similarity(low: Tensor, derived: Tensor) -> tuple[float | None, tuple[int, int], float]:
    """The best band-pass correlation, and the shift (down, right) and blur of ``derived`` for it; None if flat."""
    height, width = low.shape
    best: tuple[float | None, tuple[int, int], float] = (None, (0, 0), 0.0)
    low_spectrum, derived_spectrum = _spectrum(low), _spectrum(derived)
    reach = [min(_MAX_SHIFT, side // 4) for side in low.shape]
    for sigma in _BLURS:
        if best[0] is not None and best[0] > _VERY_SIMILAR:
            break
        blurred = derived_spectrum * _gaussian(low.shape, sigma)
        signals = [torch.fft.irfft2(spectrum, s=(height, width)) for spectrum in (low_spectrum, blurred)]
        norms = [float(signal.square().sum()) ** 0.5 for signal in signals]
        if min(norms) < _FLAT * (height * width) ** 0.5 * _HANN:
            break
        product = torch.fft.irfft2(low_spectrum * blurred.conj(), s=(height, width))
        searched = product.roll(reach, (0, 1))[: 2 * reach[0] + 1, : 2 * reach[1] + 1]
        place = int(searched.argmax())
        similarity = float(searched.flatten()[place]) / (norms[0] * norms[1])
        if best[0] is None or similarity > best[0]:
            best = (similarity, (place // searched.shape[1] - reach[0], place % searched.shape[1] - reach[1]), sigma)
    return best


def _spectrum(plane: Tensor) -> Tensor:
    """Fourier transform of a band-pass filtered image with faded edges."""
    fade = [torch.hann_window(side, periodic=False) for side in plane.shape]
    faded = (plane - plane.mean()) * fade[0][:, None] * fade[1]
    spectrum: Tensor = torch.fft.rfft2(faded)
    return spectrum * (_gaussian(plane.shape, _FINE) - _gaussian(plane.shape, _COARSE))


@lru_cache(maxsize=32)
def _gaussian(shape: torch.Size, sigma: float) -> Tensor:
    """Transfer function of a Gaussian blur."""
    rows, columns = torch.fft.fftfreq(shape[0]), torch.fft.rfftfreq(shape[1])
    squares: Tensor = rows.square()[:, None] + columns.square()
    return (-2 * (math.pi * sigma) ** 2 * squares).exp()


def _turn(low: Tensor, derived: Tensor, similarity: float) -> str | None:
    """The flip or turn that makes the partner clearly more similar, in words; None if there is none."""
    turned = {words: dihedral(derived, code) for code, words in DIHEDRAL_NAMES.items()}
    scores = {words: _similarity(low, view)[0] or 0.0 for words, view in turned.items() if view.shape == low.shape}
    best = max(scores, key=lambda words: scores[words])
    return best if scores[best] > max(similarity + _CLEARLY_MORE, _SAME_PICTURE) else None


class _Shift(NamedTuple):
    """How far an image is shifted at its centre (down, right) and, beyond that, at its edges (outward).

    Attributes:
        lengths: the four, in pixels.
        errors: their standard errors.
    """

    lengths: tuple[float, float, float, float]
    errors: tuple[float, float, float, float]


def _significant_shift(low: Tensor, derived: Tensor, down: int, right: int) -> tuple[float, float, float, float] | None:
    """The lengths of `_shift`, or None if ``low`` is aligned."""
    measured = _shift(low, derived, down, right)
    if measured and any(
        abs(length) > max(_MIN_SHIFT, _MIN_ERRORS * error)
        for length, error in zip(measured.lengths, measured.errors, strict=True)
    ):
        return measured.lengths
    return None


def _shift(low: Tensor, derived: Tensor, down: int, right: int) -> _Shift | None:
    """Measure how far ``low`` is shifted; None if too few pixels are left to compare.

    One step of Lucas and Kanade (1981) from the best integer shift: ``low`` is regressed on the derived image, on its
    Laplacian (for blur), and on its gradients, both constant and growing from the centre to the edges.
    """
    height, width = low.shape
    low, derived = _blur(low, _FINE), _blur(derived, _FINE).roll((down, right), (0, 1))
    gradients = [(derived.roll(-1, dim) - derived.roll(1, dim)) / 2 for dim in (0, 1)]
    places = torch.linspace(-1, 1, height)[:, None].expand(height, width), torch.linspace(-1, 1, width).expand_as(low)
    scaled = [gradient * place for gradient, place in zip(gradients, places, strict=True)]
    border = _BORDER + max(abs(down), abs(right))
    inner = (slice(border, height - border), slice(border, width - border))
    laplacian = sum(derived.roll(step, dim) for step in (-1, 1) for dim in (0, 1)) - 4 * derived
    planes = (*gradients, *scaled, derived, laplacian, torch.ones_like(low))
    columns = [plane[inner].flatten().double() for plane in planes]
    matrix, target = torch.stack(columns, 1), low[inner].flatten().double()
    if len(target) < _MIN_SIDE**2 // 4:
        return None
    normal = matrix.T @ matrix
    normal += 1e-6 * normal.diagonal().mean() * torch.eye(len(normal), dtype=normal.dtype)
    solution = torch.linalg.solve(normal, matrix.T @ target)
    noise = (
        (target - matrix @ solution).square().mean() * 4 * math.pi * _FINE**2
    )  # the blur correlates neighbouring pixels
    errors = (torch.linalg.inv(normal).diagonal() * noise)[:4].sqrt() / solution[4].abs()
    lengths = -solution[:4] / solution[4] + torch.tensor([down, right, 0, 0])
    return _Shift(tuple(lengths.tolist()), tuple(errors.tolist()))


def _blur(plane: Tensor, sigma: float) -> Tensor:
    reach = round(3 * sigma)
    taps = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
    taps = taps / taps.sum()
    padded = F.pad(plane[None, None], [reach] * 4, mode="replicate")
    return F.conv2d(F.conv2d(padded, taps.view(1, 1, -1, 1)), taps.view(1, 1, 1, -1))[0, 0]


def _aliasing(low: Tensor, high: Tensor, derived: Tensor, scale: int) -> float:
    """The least error against antialiased versions, divided by that against versions without antialiasing."""
    batch = high[None, None]

    def by_torch(mode: str, antialias: bool = False) -> Tensor:
        return F.interpolate(batch, low.shape, mode=mode, antialias=antialias)[0, 0]

    def error(version: Tensor) -> float:
        return float((version - low)[_BORDER:-_BORDER, _BORDER:-_BORDER].square().mean())

    antialiased = [
        derived,
        F.avg_pool2d(batch, scale)[0, 0],
        resize(high, 1 / scale, "lanczos"),
        by_torch("bilinear", True),
    ]
    aliased = [*(high[phase::scale, phase::scale] for phase in range(scale)), by_torch("bicubic")]
    if scale > 2:  # at 2, bilinear is the mean of four pixels
        aliased.append(by_torch("bilinear"))
    least = min(map(error, antialiased))
    return least / max(min(map(error, aliased)), 1e-3) if least > _NOISE else 0.0


def _in_words(down: float, right: float, tall: float, wide: float) -> str:
    """Describe the result of `_shift`.

    >>> _in_words(0.0, -2.0, 0.0, 0.0)
    '2.00 pixels too far left'
    """
    directions = (
        (down, "too far down", "too far up"),
        (right, "too far right", "too far left"),
        (tall, "too tall at top and bottom", "too short at top and bottom"),
        (wide, "too wide at left and right", "too narrow at left and right"),
    )
    return ", ".join(
        f"{abs(length):.2f} pixels {positive if length > 0 else negative}"
        for length, positive, negative in directions
        if abs(length) > _MIN_SHIFT / 2
    )
