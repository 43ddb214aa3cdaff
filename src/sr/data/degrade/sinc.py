"""MATLAB's bicubic, then a sinc filter: the ringing of sharpening and of other programs' resizes."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor

from sr.data.degrade.base import Interval, Keyed, interval, uniform
from sr.data.degrade.bicubic import BICUBIC
from sr.data.degrade.filters import convolve, sinc

_HIGHEST = 3.1416  # radians per pixel, the highest frequency of an image, as people round it


@dataclass(frozen=True)
class Sinc(Keyed):
    """A sinc filter of random cutoff and size (Real-ESRGAN, Wang et al. 2021, arXiv 2107.10833, section 3.4).

    Attributes:
        cutoff: range of the highest frequency that passes, in radians per low-resolution pixel.
        radius: range of the radius of the kernel, whole low-resolution pixels.
    """

    resizes: ClassVar[bool] = False
    cutoff: Interval = (1.0472, 3.1416)  # pi / 3 to pi
    radius: Interval = (3, 10)

    def __post_init__(self) -> None:
        """Check the options."""
        object.__setattr__(self, "cutoff", interval("sinc", "cutoff", self.cutoff, 0.1, _HIGHEST))
        object.__setattr__(self, "radius", interval("sinc", "radius", self.radius, 1, 50, whole=True))

    @property
    def is_random(self) -> bool:
        """A single filter leaves nothing to draw."""
        return self.cutoff[0] < self.cutoff[1] or self.radius[0] < self.radius[1]

    def __call__(self, image: Tensor, scale: int, random: np.random.Generator) -> Tensor:
        """See `Degradation`."""
        radius = int(random.integers(int(self.radius[0]), int(self.radius[1]), endpoint=True))
        return convolve(BICUBIC(image, scale, random), sinc(radius, uniform(random, self.cutoff)))

    def margin(self, scale: int) -> int:
        """The largest filter, and the kernel of the resize."""
        return scale * int(self.radius[1]) + BICUBIC.margin(scale)
