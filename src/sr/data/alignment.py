"""Whether a low-resolution image is its partner made small: the same picture, in its place, antialiased."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from sr.image import DIHEDRAL_NAMES, dihedral, gray, resize, to_float

# What a pair may have that spoils training, worst first.
OTHER, TURNED, MOVED, SHIFTED, ALIASED, COLOURS = KINDS = (
    "another picture",
    "mirrored or turned",
    "moved",
    "slightly shifted",
    "aliased",
    "other colours",
)

# Lengths are in pixels of low resolution, values in grey levels 0..255.
_WINDOW = 256  # side of the middle that is looked at
_BORDER = 4  # left out at each side where pixels are compared: the window's edge is not the image's
_REACH = 8  # the furthest shift looked for
_LEAST_SIDE = 16
_FINE, _COARSE = 1.0, 4.0  # the band between two Gaussians: JPEG and noise lie above it, brightness below
_SOFT = (0.0, 1.5, 3.0)  # blurs of the partner tried, for a low resolution that was blurred
_FLAT = 3.0  # standard deviation in that band below which noise could hide the picture: not judged
_HANN = 3 / 8  # what Hann's window leaves of a standard deviation

# Measured on 74 photographs at scale 1 to 4. The likeness of other photographs is below 0.6 (0.66 in one case of 64x64
# pixels), that of the same one with noise of 25 levels, JPEG of quality 20 or a blur of 3 pixels above 0.7. Kernels
# that keep the place are found less than 0.05 off, those of wrong conventions 0.25 to 0.4. The aliasing ratio of
# antialiased kernels is at most 1.3.
_SAME = 0.6
_ALIKE = 0.95  # above it no other blur is tried
_DOUBTFUL = 0.85  # below it, a mirrored partner that is more alike by _CLEARLY says that the picture is mirrored
_CLEARLY = 0.1
_OFF = 0.2
_ERRORS = 5  # standard errors that a shift has to exceed as well
_MOVED = 0.75
_ALIASED, _EXACTLY = 2.0, 20.0
_NOISE = 1.0  # mean squared error below which versions cannot be told apart
_COLOUR = 8.0


@dataclass(frozen=True)
class Fault:
    """What is wrong with a pair.

    Attributes:
        kind: one of ``KINDS``.
        text: what goes behind the name of the low-resolution file, ``{}`` for the name of its partner.
    """

    kind: str
    text: str


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep torch to one thread: pairs are so small that it would spend its time on waking others."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def fault(lr: Tensor, hr: Tensor) -> Fault | None:
    """Compare a pair with what MATLAB's bicubic makes of ``hr``.

    Blur, noise, JPEG and other antialiased kernels are no faults.

    Args:
        lr: uint8 ``(3, h, w)``.
        hr: uint8 ``(3, scale*h, scale*w)``.

    Returns:
        The worst fault, or None: also where an image is too small or too flat to tell.
    """
    scale = hr.shape[1] // lr.shape[1]
    if min(lr.shape[1:]) < _LEAST_SIDE:
        return None
    low, high = _window(lr, 1), _window(hr, scale)
    derived = resize(high, 1 / scale)
    like, (down, right), soft = _likeness(low, derived)
    if like is None:
        return None
    if like < _DOUBTFUL and (turn := _turn(low, derived, like)):
        return Fault(TURNED, f"shows {{}} {turn}")
    if like < _SAME:
        return Fault(OTHER, "does not show the picture of {}")
    shift = _shift(low, _blur(derived, soft) if soft else derived, down, right)
    ratio = _aliasing(low, high, derived, scale) if scale > 1 else 0.0
    if ratio > (_EXACTLY if shift else _ALIASED):
        return Fault(ALIASED, "was made from {} without antialiasing")
    if shift:
        off = max(abs(length) for length in shift)
        return Fault(MOVED if off > _MOVED else SHIFTED, f"lies off {{}} by {_in_words(*shift)}")
    colours = (lr.float().mean((1, 2)) - hr.float().mean((1, 2))).tolist()
    if max(map(abs, colours)) > _COLOUR:
        means = ", ".join(f"{name} {value:+.0f}" for name, value in zip(("red", "green", "blue"), colours, strict=True))
        return Fault(COLOURS, f"differs from {{}} in its mean colour by {means} of 255")
    return None


def _window(image: Tensor, scale: int) -> Tensor:
    """The middle of a uint8 image as gray values ``(H, W)`` in 0..255."""
    top, left = (max(0, side // scale - _WINDOW) // 2 * scale for side in image.shape[1:])
    part = image[:, top : top + _WINDOW * scale, left : left + _WINDOW * scale]
    return 255 * gray(to_float(part.cpu())[None])[0, 0]


def _likeness(low: Tensor, derived: Tensor) -> tuple[float | None, tuple[int, int], float]:
    """Correlation of the two in a band at the best shift (down, right) and blur of ``derived``; None for flat ones."""
    height, width = low.shape
    best: tuple[float | None, tuple[int, int], float] = (None, (0, 0), 0.0)
    one, other = _spectrum(low), _spectrum(derived)
    reach = [min(_REACH, side // 4) for side in low.shape]
    for soft in _SOFT:
        if best[0] is not None and best[0] > _ALIKE:
            break
        blurred = other * _gaussian(low.shape, soft)
        signals = [torch.fft.irfft2(spectrum, s=(height, width)) for spectrum in (one, blurred)]
        norms = [float(signal.square().sum()) ** 0.5 for signal in signals]
        if min(norms) < _FLAT * (height * width) ** 0.5 * _HANN:
            break
        product = torch.fft.irfft2(one * blurred.conj(), s=(height, width))
        near = product.roll(reach, (0, 1))[: 2 * reach[0] + 1, : 2 * reach[1] + 1]
        place = int(near.argmax())
        like = float(near.flatten()[place]) / (norms[0] * norms[1])
        if best[0] is None or like > best[0]:
            best = (like, (place // near.shape[1] - reach[0], place % near.shape[1] - reach[1]), soft)
    return best


def _spectrum(plane: Tensor) -> Tensor:
    """Fourier transform of what lies in the band, the edges faded out."""
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


def _turn(low: Tensor, derived: Tensor, like: float) -> str | None:
    """How the partner has to be flipped or turned to be clearly more alike."""
    turned = {words: dihedral(derived, code) for code, words in DIHEDRAL_NAMES.items()}
    likes = {words: _likeness(low, view)[0] or 0.0 for words, view in turned.items() if view.shape == low.shape}
    best = max(likes, key=lambda words: likes[words])
    return best if likes[best] > max(like + _CLEARLY, _SAME) else None


def _shift(low: Tensor, derived: Tensor, down: int, right: int) -> tuple[float, float, float, float] | None:
    """How far ``low`` lies off in the middle (down, right), and at its edges beside that (outward); None for in place.

    One step of Lucas and Kanade (1981) from the best whole shift: ``low`` is regressed on the derived image, on what a
    blur would add to it, and on its gradients, plain and growing from the middle to the edges.
    """
    height, width = low.shape
    low, derived = _blur(low, _FINE), _blur(derived, _FINE).roll((down, right), (0, 1))
    slopes = [(derived.roll(-1, dim) - derived.roll(1, dim)) / 2 for dim in (0, 1)]
    places = torch.linspace(-1, 1, height)[:, None].expand(height, width), torch.linspace(-1, 1, width).expand_as(low)
    grown = [slope * place for slope, place in zip(slopes, places, strict=True)]
    border = _BORDER + max(abs(down), abs(right))
    inner = (slice(border, height - border), slice(border, width - border))
    blur = sum(derived.roll(step, dim) for step in (-1, 1) for dim in (0, 1)) - 4 * derived
    planes = (*slopes, *grown, derived, blur, torch.ones_like(low))
    columns = [plane[inner].flatten().double() for plane in planes]
    matrix, target = torch.stack(columns, 1), low[inner].flatten().double()
    if len(target) < _LEAST_SIDE**2 // 4:
        return None
    normal = matrix.T @ matrix
    normal += 1e-6 * normal.diagonal().mean() * torch.eye(len(normal), dtype=normal.dtype)
    solution = torch.linalg.solve(normal, matrix.T @ target)
    noise = (target - matrix @ solution).square().mean() * 4 * math.pi * _FINE**2  # blurred pixels speak together
    errors = (torch.linalg.inv(normal).diagonal() * noise)[:4].sqrt() / solution[4].abs()
    lengths = -solution[:4] / solution[4] + torch.tensor([down, right, 0, 0])
    if not bool(((lengths.abs() > _OFF) & (lengths.abs() > _ERRORS * errors)).any()):
        return None
    first, second, third, fourth = lengths.tolist()
    return first, second, third, fourth


def _blur(plane: Tensor, sigma: float) -> Tensor:
    reach = round(3 * sigma)
    taps = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
    taps = taps / taps.sum()
    padded = F.pad(plane[None, None], [reach] * 4, mode="replicate")
    return F.conv2d(F.conv2d(padded, taps.view(1, 1, -1, 1)), taps.view(1, 1, 1, -1))[0, 0]


def _aliasing(low: Tensor, high: Tensor, derived: Tensor, scale: int) -> float:
    """Error against the nearest antialiased version over that against the nearest one without antialiasing."""
    whole = high[None, None]

    def by_torch(mode: str, antialias: bool = False) -> Tensor:
        return F.interpolate(whole, low.shape, mode=mode, antialias=antialias)[0, 0]

    def error(version: Tensor) -> float:
        return float((version - low)[_BORDER:-_BORDER, _BORDER:-_BORDER].square().mean())

    smooth = [derived, F.avg_pool2d(whole, scale)[0, 0], resize(high, 1 / scale, "lanczos"), by_torch("bilinear", True)]
    rough = [*(high[phase::scale, phase::scale] for phase in range(scale)), by_torch("bicubic")]
    if scale > 2:  # at 2 it is the mean of four pixels
        rough.append(by_torch("bilinear"))
    least = min(map(error, smooth))
    return least / max(min(map(error, rough)), 1e-3) if least > _NOISE else 0.0


def _in_words(down: float, right: float, tall: float, wide: float) -> str:
    """The lengths as a text.

    >>> _in_words(0.0, -2.0, 0.0, 0.0)
    '2.00 pixels to the left'
    """
    named = (
        (down, "down", "up"),
        (right, "to the right", "to the left"),
        (tall, "taller than it at top and bottom", "shorter than it at top and bottom"),
        (wide, "wider than it at left and right", "narrower than it at left and right"),
    )
    return ", ".join(
        f"{abs(length):.2f} pixels {more if length > 0 else less}"
        for length, more, less in named
        if abs(length) > _OFF / 2
    )
