"""The degradation of BSRGAN: two blurs, a resize and several kinds of noise in random order, then JPEG."""

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from sr.data.degrade.base import Interval, Keyed, chance, interval, uniform
from sr.data.degrade.encoders import jpeg
from sr.data.degrade.filters import convolved, gaussian
from sr.data.degrade.noise import gaussian_noise, with_camera_noise
from sr.data.degrade.random_kernels import RADII, drawn_radius
from sr.data.degrade.resampling import BICUBIC, BILINEAR, resampled

_STEPS = ("round blur", "turned blur", "shrink", "noise", "jpeg", "camera")
_BLURS = _STEPS[:2]
_SHRINKS = ("nearest", BILINEAR, BICUBIC, "twice")
_NOISES, _NOISE_PROBABILITIES = ("coloured", "white", "gray"), (0.2, 0.4, 0.4)
_SIGMA_PER_SCALE, _VARIANCE_PER_SCALE = 0.2, 1.0  # by which the ranges grow
_NEAREST_SIGMA = (0.1, 0.6)  # low-resolution pixels, before every other pixel is taken
_HALVED_SCALE = 4


@dataclass(frozen=True)
class Bsrgan(Keyed):
    """Two blurs, a resize, noise, JPEG and camera noise in random order, and JPEG at the end.

    Zhang et al. (2021), "Designing a Practical Degradation Model for Deep Blind Image Super-Resolution",
    arXiv 2103.14006, section 3, with the ranges given there and in the authors' program. Camera noise is that of
    `Noise`, in linear light: the authors' model of a whole camera, with demosaicing, is left out.

    Attributes:
        sigma: range of the standard deviation of the round kernel, in pixels of the image that is blurred, whose end
            grows by 0.2 times the scale: to 2.4 at x2.
        variance: range of the two variances of the turned kernel, whose end grows by the scale: to 6 at x2.
        halve: probability of a resize to half the size before everything else, at x4.
        noise: range of the standard deviation of Gaussian noise, in levels of 8 bits.
        jpeg: probability of JPEG before the one at the end.
        quality: range of its quality, whole numbers from 1 to 100.
        camera: probability of camera noise.
        shot: its variance per unit of linear light, whose logarithm is drawn uniformly.
        read: its variance in the dark, drawn likewise.
    """

    resizes: ClassVar[bool] = False
    is_random: ClassVar[bool] = True
    sigma: Interval = (0.1, 2.0)
    variance: Interval = (0.5, 4.0)
    halve: float = 0.25
    noise: Interval = (1.0, 25.0)
    jpeg: float = 0.75
    quality: Interval = (30, 95)
    camera: float = 0.25
    shot: Interval = (1e-4, 1e-2)
    read: Interval = (1e-6, 1e-3)

    def __post_init__(self) -> None:
        """Check the options."""
        for name in ("halve", "jpeg", "camera"):
            chance("bsrgan", name, getattr(self, name))
        ranges = (
            *(("sigma", 0.05, 20), ("variance", 0.05, 400), ("noise", 0, 255), ("quality", 1, 100)),
            *(("shot", 1e-8, 1), ("read", 1e-10, 1)),
        )
        for name, least, most in ranges:
            ends = interval("bsrgan", name, getattr(self, name), least, most, whole=name == "quality")
            object.__setattr__(self, name, ends)

    def __call__(self, image: Tensor, scale: int, random: np.random.Generator) -> Tensor:
        """See `Degradation`."""
        drawn = self.drawn(scale, random)
        size = image.shape[1] // scale, image.shape[2] // scale
        values = image.numpy().astype(np.float32)
        if drawn.halved_by:
            values = _limited(resampled(values, (image.shape[1] // 2, image.shape[2] // 2), drawn.halved_by))
        for step in drawn.order:
            if step in drawn.kernels:
                values = _limited(convolved(values, drawn.kernels[step]))
            elif step == "shrink":
                values = _limited(_shrunk(values, size, drawn, random))
            elif step == "noise":
                values = _limited(values + self._noise(values.shape, random))
            elif step == "jpeg":
                values = self._jpeg(values, random)
            else:
                values = _limited(
                    with_camera_noise(values, self._drawn(self.shot, random), self._drawn(self.read, random), random)
                )
        return torch.from_numpy(self._jpeg(values, random)).double()

    def drawn(self, scale: int, random: np.random.Generator) -> "Drawn":
        """The order, the kernels and the kinds of resize."""
        sigma = uniform(random, (self.sigma[0], self.sigma[1] + _SIGMA_PER_SCALE * scale))
        variances = self.variance[0], self.variance[1] + _VARIANCE_PER_SCALE * scale
        first, second = (math.sqrt(uniform(random, variances)) for _ in "ab")
        angle = float(random.uniform(0, math.pi))
        kernels = {
            _BLURS[0]: gaussian(drawn_radius(random), (sigma, sigma)),
            _BLURS[1]: gaussian(drawn_radius(random), (first, second), angle),
        }
        absent = {
            name
            for name, probability in (("jpeg", self.jpeg), ("camera", self.camera))
            if random.random() >= probability
        }
        order = tuple(_STEPS[number] for number in random.permutation(len(_STEPS)) if _STEPS[number] not in absent)
        shrink = _SHRINKS[int(random.integers(len(_SHRINKS)))]
        is_halved = random.random() < self.halve and scale == _HALVED_SCALE
        return Drawn(order, kernels, shrink, float(random.random()), _smooth_resize(random) if is_halved else None)

    def _noise(self, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
        sigma = uniform(random, self.noise) / 255
        kind = _NOISES[int(random.choice(len(_NOISES), p=_NOISE_PROBABILITIES))]
        if kind == "coloured":
            return coloured_noise(shape, sigma, random)
        return gaussian_noise(shape, sigma, kind == "gray", random)

    def _jpeg(self, values: np.ndarray, random: np.random.Generator) -> np.ndarray:
        quality = int(random.integers(int(self.quality[0]), int(self.quality[1]), endpoint=True))
        return jpeg(values, quality)

    @staticmethod
    def _drawn(ends: Interval, random: np.random.Generator) -> float:
        return float(np.exp(random.uniform(*np.log(ends))))

    def margin(self, scale: int) -> int:
        """The largest kernels after the resize."""
        return 2 * RADII[1] * scale + _resizes_reach(scale)

    def drawn_margin(self, scale: int, random: np.random.Generator) -> int:
        """See `Degradation`."""
        drawn = self.drawn(scale, random)
        shrinks = drawn.order.index("shrink")
        pixel = 2 if drawn.halved_by else 1  # before the resize, in pixels of the high resolution
        return _resizes_reach(scale) + sum(
            len(kernel) // 2 * (scale if drawn.order.index(name) > shrinks else pixel)
            for name, kernel in drawn.kernels.items()
        )


class Drawn(NamedTuple):
    """What is drawn for an image.

    Attributes:
        order: of the steps.
        kernels: of two of them.
        shrink: kind of the resize.
        extent: from 0 to 1, how far it goes: its size in between, or its width.
        halved_by: kind of the resize before the first step; None for an image that keeps its size there.
    """

    order: tuple[str, ...]
    kernels: dict[str, np.ndarray]
    shrink: str
    extent: float
    halved_by: str | None


def coloured_noise(shape: tuple[int, ...], sigma: float, random: np.random.Generator) -> np.ndarray:
    """Gaussian noise for ``(C, H, W)`` that is correlated between the channels.

    Its covariance has random axes, and variances along them that are uniform in [0, ``sigma ** 2``].
    """
    channels = shape[0]
    axes = np.linalg.qr(random.standard_normal((channels, channels)))[0] * np.sqrt(random.random(channels))
    noise: np.ndarray = sigma * np.einsum("ij,jhw->ihw", axes, random.standard_normal(shape))
    return noise


def _shrunk(values: np.ndarray, size: tuple[int, int], drawn: Drawn, random: np.random.Generator) -> np.ndarray:
    """Shrink by a whole factor, without a shift."""
    factor, kind = values.shape[1] // size[0], drawn.shrink
    if kind == "twice":  # to a size between that of the image and half the final one
        between = 1 + drawn.extent * (2 * factor - 1)
        rows, columns = (max(1, round(side / between)) for side in values.shape[1:])
        return resampled(resampled(values, (rows, columns), _smooth_resize(random)), size, _smooth_resize(random))
    if kind != "nearest" or factor == 1:
        return resampled(values, size, BICUBIC if kind == "nearest" else kind)
    shift = (factor - 1) / 2  # from the first pixel of a block, which is taken, to the middle of the block
    low, high = _NEAREST_SIGMA
    sigma = low + drawn.extent * (high * factor - low)
    return convolved(values, gaussian(_nearest_radius(factor), (sigma, sigma), shift=shift))[:, ::factor, ::factor]


def _nearest_radius(factor: int) -> int:
    return math.ceil(3 * _NEAREST_SIGMA[1] * factor + factor / 2)


def _smooth_resize(random: np.random.Generator) -> str:
    return BILINEAR if random.random() < 0.5 else BICUBIC


def _resizes_reach(scale: int) -> int:
    """How far the resizes look, in pixels of the high resolution: bicubic, the last time from half the final size."""
    return max(2 + 2 + 2 * 2 * scale, 2 + 2 * _nearest_radius(scale))


def _limited(values: np.ndarray) -> np.ndarray:
    limited: np.ndarray = np.clip(values, 0, 1).astype(np.float32, copy=False)
    return limited
