"""The mean of the pixels that a low-resolution pixel covers, as a sensor sums light."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor

from sr.data.degrade.base import Keyed


@dataclass(frozen=True)
class Area(Keyed):
    """Means of ``scale`` x ``scale`` pixels."""

    resizes: ClassVar[bool] = True
    is_random: ClassVar[bool] = False

    def __call__(self, image: Tensor, scale: int, random: np.random.Generator) -> Tensor:
        """See `Degradation`."""
        return image.unfold(1, scale, scale).unfold(2, scale, scale).mean((-1, -2))

    def margin(self, scale: int) -> int:
        """Nothing beyond the covered pixels counts."""
        return 0
