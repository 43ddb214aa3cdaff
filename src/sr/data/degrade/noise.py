"""MATLAB's bicubic, then noise: Gaussian, Poisson, or that of a camera."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from sr.data.degrade.base import Interval, Keyed, chance, interval, is_list, uniform
from sr.data.degrade.bicubic import BICUBIC
from sr.errors import UserError

KINDS = ("gaussian", "poisson", "camera")


@dataclass(frozen=True)
class Noise(Keyed):
    """One of several kinds of noise, each as likely.

    Gaussian and Poisson noise are those of Real-ESRGAN (Wang et al. 2021, arXiv 2107.10833, section 3.2), the camera's
    is the model of Foi et al. (2008), "Practical Poissonian-Gaussian noise modeling and fitting for single-image raw
    data", in linear light: the variance is ``shot * value + read``.

    Attributes:
        kinds: to choose from: ``gaussian``, ``poisson``, ``camera``.
        sigma: of Gaussian noise, in levels of 8 bits.
        poisson: factor on the standard deviation of Poisson noise at 255 photons for white.
        shot: variance per unit of linear light, whose logarithm is drawn uniformly.
        read: variance in the dark, drawn likewise.
        gray: probability that all channels get the same noise.
    """

    resizes: ClassVar[bool] = False
    is_random: ClassVar[bool] = True
    kinds: tuple[str, ...] = KINDS
    sigma: Interval = (1.0, 30.0)
    poisson: Interval = (0.05, 3.0)
    shot: Interval = (1e-4, 1e-2)
    read: Interval = (1e-6, 1e-3)
    gray: float = 0.4

    def __post_init__(self) -> None:
        """Check the options."""
        kinds = tuple(self.kinds) if is_list(self.kinds) else ()
        if not kinds or not all(kind in KINDS for kind in kinds):
            said = list(kinds) or self.kinds
            raise UserError(f"degrade=noise: kinds must be a list of some of {', '.join(KINDS)}: {said}")
        object.__setattr__(self, "kinds", kinds)
        for name, least, most in (("sigma", 0, 255), ("poisson", 0, 20), ("shot", 1e-8, 1), ("read", 1e-10, 1)):
            object.__setattr__(self, name, interval("noise", name, getattr(self, name), least, most))
        chance("noise", "gray", self.gray)

    def __call__(self, image: Tensor, scale: int, random: np.random.Generator) -> Tensor:
        """See `Degradation`."""
        small = BICUBIC(image, scale, random).clamp(0, 1).numpy()
        kind = self.kinds[int(random.integers(len(self.kinds)))]
        is_gray = bool(random.random() < self.gray)
        if kind == "gaussian":
            noisy = small + gaussian_noise(small.shape, uniform(random, self.sigma) / 255, is_gray, random)
        elif kind == "poisson":
            noisy = small + poisson_noise(small, uniform(random, self.poisson), is_gray, random)
        else:
            shot, read = (float(np.exp(random.uniform(*np.log(ends)))) for ends in (self.shot, self.read))
            noisy = with_camera_noise(small, shot, read, random)
        return torch.from_numpy(np.clip(noisy, 0, 1))

    def margin(self, scale: int) -> int:
        """That of the resize."""
        return BICUBIC.margin(scale)


def gaussian_noise(shape: tuple[int, ...], sigma: float, is_gray: bool, random: np.random.Generator) -> np.ndarray:
    """White noise of standard deviation ``sigma`` for ``(C, H, W)``, equal in all channels if it is gray."""
    return sigma * random.standard_normal((1, *shape[1:]) if is_gray else shape)


def poisson_noise(image: np.ndarray, factor: float, is_gray: bool, random: np.random.Generator) -> np.ndarray:
    """Photon noise of ``(C, H, W)`` in [0, 1] at 255 photons for white, times ``factor``; gray noise is of the mean."""
    light = image.mean(axis=0, keepdims=True) if is_gray else image
    noise: np.ndarray = factor * (random.poisson(light * 255) / 255 - light)
    return noise


def with_camera_noise(image: np.ndarray, shot: float, read: float, random: np.random.Generator) -> np.ndarray:
    """The sRGB image ``(C, H, W)`` with noise of variance ``shot * value + read`` in linear light."""
    light = linear_of_srgb(image)
    noisy = light + np.sqrt(shot * light + read) * random.standard_normal(light.shape)
    return srgb_of_linear(np.clip(noisy, 0, 1))


def linear_of_srgb(image: np.ndarray) -> np.ndarray:
    """Light of sRGB values in [0, 1] (IEC 61966-2-1)."""
    return np.where(image <= 0.04045, image / 12.92, ((image + 0.055) / 1.055) ** 2.4)


def srgb_of_linear(light: np.ndarray) -> np.ndarray:
    """SRGB values of light in [0, 1] (IEC 61966-2-1)."""
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
