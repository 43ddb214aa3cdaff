"""Gaussian blur, then MATLAB's bicubic: a lens out of focus, or a hand that moved."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor

from sr.data.degrade.base import Interval, Keyed, chance, interval, uniform
from sr.data.degrade.bicubic import BICUBIC
from sr.data.degrade.filters import convolve, gaussian

_WIDTH = 3  # standard deviations from the middle of a kernel to its edge
_MOST = 20.0  # pixels


@dataclass(frozen=True)
class Blur(Keyed):
    """A Gaussian kernel with random width and shape (Real-ESRGAN, Wang et al. 2021, arXiv 2107.10833, section 3.2).

    Attributes:
        sigma: range of the standard deviations, in pixels of the image that is blurred.
        anisotropic: probability of two different widths at a random angle instead of a round kernel.
    """

    resizes: ClassVar[bool] = False
    sigma: Interval = (0.2, 3.0)
    anisotropic: float = 0.5

    def __post_init__(self) -> None:
        """Check the options."""
        object.__setattr__(self, "sigma", interval("blur", "sigma", self.sigma, 0.05, _MOST))
        chance("blur", "anisotropic", self.anisotropic)

    @property
    def is_random(self) -> bool:
        """A single width without anisotropy leaves nothing to draw."""
        return self.sigma[0] < self.sigma[1]

    def __call__(self, image: Tensor, scale: int, random: np.random.Generator) -> Tensor:
        """See `Degradation`."""
        anisotropic, first, second = random.random() < self.anisotropic, *(uniform(random, self.sigma) for _ in "ab")
        angle = float(random.uniform(0, math.pi))
        sigmas = (first, second) if anisotropic else (first, first)
        radius = math.ceil(_WIDTH * max(sigmas))
        return BICUBIC(convolve(image, gaussian(radius, sigmas, angle)), scale, random)

    def margin(self, scale: int) -> int:
        """The widest kernel, and that of the resize."""
        return math.ceil(_WIDTH * self.sigma[1]) + BICUBIC.margin(scale)
