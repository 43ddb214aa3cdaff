"""The second-order degradation of Real-ESRGAN: what a photograph goes through from a lens to a web page."""

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor

from sr.data.degrade.base import Interval, Keyed, chance, interval, is_list, uniform
from sr.data.degrade.encoders import jpeg
from sr.data.degrade.filters import convolved, sinc
from sr.data.degrade.noise import gaussian_noise, poisson_noise
from sr.data.degrade.random_kernels import CUTOFF, RADII, drawn_kernel, drawn_radius
from sr.data.degrade.resampling import AREA, BICUBIC, BILINEAR, reach, resampled
from sr.errors import UserError

Odds: TypeAlias = tuple[float, float, float]
_RESAMPLING = (AREA, BILINEAR, BICUBIC)
_SMALLEST = 0.02  # factor of a resize


@dataclass(frozen=True)
class Photo(Keyed):
    """Blur, resize, noise and JPEG, twice, and a sinc filter before or after the last JPEG.

    Wang et al. (2021), "Real-ESRGAN: Training Real-World Blind Super-Resolution with Pure Synthetic Data",
    arXiv 2107.10833, sections 3.2 to 3.4; the ranges are those of section 4.1 and of the authors' program. Their
    sharpening of the targets is no part of it. Options with two values are for the first and the second pass.

    Attributes:
        blur: probability of a blur.
        sigma: range of the standard deviations of its kernels, in pixels of the image that is blurred.
        sinc: probability that a blur is a sinc filter.
        resize: range of the factor of a resize, by a random kernel: of the high resolution in the first pass, of the
            low resolution in the second, after which the image is brought to its final size.
        resize_odds: how often a resize enlarges, shrinks and keeps the size.
        gaussian: probability that the noise is Gaussian; it is Poisson noise otherwise.
        noise: range of the standard deviation of Gaussian noise, in levels of 8 bits.
        poisson: range of the factor on Poisson noise at 255 photons for white.
        gray: probability that all channels get the same noise.
        quality: range of the quality of JPEG, whole numbers from 1 to 100.
        final_sinc: probability of the sinc filter at the end.
    """

    resizes: ClassVar[bool] = False
    is_random: ClassVar[bool] = True
    blur: tuple[float, float] = (1.0, 0.8)
    sigma: tuple[Interval, Interval] = ((0.2, 3.0), (0.2, 1.5))
    sinc: tuple[float, float] = (0.1, 0.1)
    resize: tuple[Interval, Interval] = ((0.15, 1.5), (0.3, 1.2))
    resize_odds: tuple[Odds, Odds] = ((0.2, 0.7, 0.1), (0.3, 0.4, 0.3))
    gaussian: tuple[float, float] = (0.5, 0.5)
    noise: tuple[Interval, Interval] = ((1.0, 30.0), (1.0, 25.0))
    poisson: tuple[Interval, Interval] = ((0.05, 3.0), (0.05, 2.5))
    gray: tuple[float, float] = (0.4, 0.4)
    quality: tuple[Interval, Interval] = ((30, 95), (30, 95))
    final_sinc: float = 0.8

    def __post_init__(self) -> None:
        """Check the options."""
        for name in ("blur", "sinc", "gaussian", "gray"):
            self._set(name, [chance("photo", name, value) for value in self._pair(name)])
        ranges = (
            ("sigma", 0.05, 20),
            ("resize", _SMALLEST, 4),
            ("noise", 0, 255),
            ("poisson", 0, 20),
            ("quality", 1, 100),
        )
        for name, least, most in ranges:
            whole = name == "quality"
            self._set(name, [interval("photo", name, ends, least, most, whole=whole) for ends in self._pair(name)])
        if any(low > 1 or high < 1 for low, high in self.resize):
            raise UserError(f"degrade=photo: each range of resize must hold 1: {list(map(list, self.resize))}")
        self._set("resize_odds", [_odds(values) for values in self._pair("resize_odds")])
        chance("photo", "final_sinc", self.final_sinc)

    def _pair(self, name: str) -> list[Any]:
        values = getattr(self, name)
        if not is_list(values) or len(values) != 2:
            raise UserError(f"degrade=photo: {name} must be a list of two, for the first and the second pass: {values}")
        return list(values)

    def _set(self, name: str, values: list[Any]) -> None:
        object.__setattr__(self, name, tuple(values))

    def __call__(self, image: Tensor, scale: int, random: np.random.Generator) -> Tensor:
        """See `Degradation`."""
        size = image.shape[1] // scale, image.shape[2] // scale
        drawn = self.drawn(random)
        first, second = drawn.passes
        values = image.numpy().astype(np.float32)
        values = _resized(first.blurred(values), _times(image.shape[1:], first.factor), first.resampling)
        values = jpeg(self._noisy(values, 0, first.is_gaussian, random), first.quality)
        values = _resized(second.blurred(values), _times(size, second.factor), second.resampling)
        values = self._noisy(values, 1, second.is_gaussian, random)
        if drawn.ends_with_jpeg:
            return torch.from_numpy(jpeg(drawn.finished(values, size), second.quality)).double()
        return torch.from_numpy(drawn.finished(jpeg(values, second.quality), size)).double()

    def drawn(self, random: np.random.Generator) -> "Drawn":
        """Everything that is drawn but the noise itself."""
        passes = self._drawn_pass(0, random), self._drawn_pass(1, random)
        radius, cutoff = drawn_radius(random), uniform(random, CUTOFF)
        kernel = sinc(radius, cutoff) if random.random() < self.final_sinc else None
        return Drawn(passes, kernel, _one_of(random), bool(random.random() < 0.5))

    def _drawn_pass(self, number: int, random: np.random.Generator) -> "Pass":
        is_blurred = random.random() < self.blur[number]
        kernel = drawn_kernel(self.sigma[number], self.sinc[number], random) if is_blurred else None
        low, high = self.resize[number]
        odds = self.resize_odds[number]
        way = int(random.choice(3, p=np.array(odds) / sum(odds)))
        factor = float((random.uniform(1, high), random.uniform(low, 1), 1.0)[way])
        is_gaussian = bool(random.random() < self.gaussian[number])
        lowest, highest = map(int, self.quality[number])
        return Pass(kernel, factor, _one_of(random), is_gaussian, int(random.integers(lowest, highest, endpoint=True)))

    def _noisy(self, values: np.ndarray, number: int, is_gaussian: bool, random: np.random.Generator) -> np.ndarray:
        is_gray = bool(random.random() < self.gray[number])
        if is_gaussian:
            noise = gaussian_noise(values.shape, uniform(random, self.noise[number]) / 255, is_gray, random)
        else:
            noise = poisson_noise(values, uniform(random, self.poisson[number]), is_gray, random)
        noisy: np.ndarray = np.clip(values + noise, 0, 1).astype(np.float32)
        return noisy

    def margin(self, scale: int) -> int:
        """The largest kernels at the smallest sizes."""
        lowest = [low if odds[1] else 1.0 for (low, _), odds in zip(self.resize, self.resize_odds, strict=True)]
        radii = [RADII[1] if probability else 0 for probability in (*self.blur, self.final_sinc)]
        return _margin(scale, radii, lowest, [_RESAMPLING] * 3)

    def drawn_margin(self, scale: int, random: np.random.Generator) -> int:
        """See `Degradation`."""
        drawn = self.drawn(random)
        first, second = drawn.passes
        radii = [0 if kernel is None else len(kernel) // 2 for kernel in (first.kernel, second.kernel, drawn.kernel)]
        kinds = [[kind] for kind in (first.resampling, second.resampling, drawn.resampling)]
        return _margin(scale, radii, [first.factor, second.factor], kinds)


class Pass(NamedTuple):
    """What is drawn for one pass: the blur or None, the factor and kind of the resize, the noise, the quality."""

    kernel: np.ndarray | None
    factor: float
    resampling: str
    is_gaussian: bool
    quality: int

    def blurred(self, values: np.ndarray) -> np.ndarray:
        """Blur ``(C, H, W)``."""
        return values if self.kernel is None else convolved(values, self.kernel)


class Drawn(NamedTuple):
    """What is drawn for an image: two passes, the last sinc filter or None, the last resize, and the order."""

    passes: tuple[Pass, Pass]
    kernel: np.ndarray | None
    resampling: str
    ends_with_jpeg: bool

    def finished(self, values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Bring ``(C, H, W)`` to its size, and filter it."""
        values = _resized(values, size, self.resampling)
        return values if self.kernel is None else np.clip(convolved(values, self.kernel), 0, 1)


def _odds(values: Any) -> Odds:
    odds: tuple[float, ...] = ()
    with suppress(TypeError, ValueError):
        odds = tuple(map(float, values))
    if len(odds) != 3 or min(odds) < 0 or not sum(odds) > 0:
        raise UserError(
            f"degrade=photo: resize_odds must be three numbers of 0 or more, to enlarge, shrink and keep: {values}"
        )
    return odds


def _one_of(random: np.random.Generator) -> str:
    return _RESAMPLING[int(random.integers(len(_RESAMPLING)))]


def _times(size: Sequence[int], factor: float) -> tuple[int, int]:
    """A size times a factor, at least a pixel a side."""
    height, width = (max(1, round(side * factor)) for side in size)
    return height, width


def _resized(values: np.ndarray, size: tuple[int, int], kind: str) -> np.ndarray:
    resized: np.ndarray = np.clip(resampled(values, size, kind), 0, 1)
    return resized


def _margin(scale: int, radii: Sequence[int], factors: Sequence[float], kinds: Sequence[Sequence[str]]) -> int:
    """How far an output pixel looks, in pixels of the high resolution; JPEG's blocks do not count.

    Args:
        scale: between the high and the low resolution.
        radii: of the kernels of the two passes and of the end.
        factors: of the resizes of the two passes.
        kinds: of resize that each of the three may be.
    """
    sizes = 1.0, factors[0], factors[1] / scale, 1 / scale  # relative to the high resolution
    blurs = sum(radius / size for radius, size in zip(radii, (sizes[0], sizes[1], sizes[3]), strict=True))
    resizes = sum(
        max(reach(kind, after / before) for kind in each) / before
        for each, before, after in zip(kinds, sizes, sizes[1:], strict=False)
    )
    return math.ceil(blurs + resizes)
