"""Antialiased Lanczos: sharper than bicubic, and it rings more."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor

from sr.data.degrade.base import Keyed
from sr.image import resize


@dataclass(frozen=True)
class Lanczos(Keyed):
    """MATLAB's ``imresize(image, 1/scale, 'lanczos3')`` (Duchon 1979, three lobes, stretched by the factor)."""

    resizes: ClassVar[bool] = True
    is_random: ClassVar[bool] = False

    def __call__(self, image: Tensor, scale: int, random: np.random.Generator) -> Tensor:
        """See `Degradation`."""
        return resize(image[None], 1 / scale, "lanczos")[0]

    def margin(self, scale: int) -> int:
        """The kernel spans six low-resolution pixels."""
        return 3 * scale
