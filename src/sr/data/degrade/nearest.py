"""One pixel of each block, without antialiasing: what a careless program does."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor

from sr.data.degrade.base import Keyed


@dataclass(frozen=True)
class Nearest(Keyed):
    """The pixel in the middle of each ``scale`` x ``scale`` block; for even factors the one below and right of it."""

    resizes: ClassVar[bool] = True
    is_random: ClassVar[bool] = False

    def __call__(self, image: Tensor, scale: int, random: np.random.Generator) -> Tensor:
        """See `Degradation`."""
        return image[:, scale // 2 :: scale, scale // 2 :: scale].clone()

    def margin(self, scale: int) -> int:
        """Nothing beyond the covered pixels counts."""
        return 0
