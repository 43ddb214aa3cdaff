"""MATLAB's antialiased bicubic: the degradation of the literature, and the default."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor

from sr.data.degrade.base import Keyed
from sr.image import resize


@dataclass(frozen=True)
class Bicubic(Keyed):
    """MATLAB's ``imresize(image, 1/scale)`` (Keys 1981, a = -0.5, stretched by the factor)."""

    resizes: ClassVar[bool] = True
    is_random: ClassVar[bool] = False

    def __call__(self, image: Tensor, scale: int, random: np.random.Generator) -> Tensor:
        """See `Degradation`."""
        return resize(image[None], 1 / scale)[0]

    def margin(self, scale: int) -> int:
        """The kernel spans four low-resolution pixels."""
        return 2 * scale


BICUBIC = Bicubic()
