"""MATLAB's bicubic, then a JPEG file by Pillow's encoder."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor

from sr.data.degrade.base import Interval, interval, key_of
from sr.data.degrade.bicubic import BICUBIC
from sr.data.degrade.encoders import recoded


@dataclass(frozen=True)
class Jpeg:
    """JPEG of a random quality (Real-ESRGAN's range, Wang et al. 2021, arXiv 2107.10833, section 4.1).

    A crop is compressed from its own top left corner, margin included: its blocks are not those of the whole image.

    Attributes:
        quality: range of the encoder's quality, whole numbers from 1 to 100.
    """

    resizes: ClassVar[bool] = False
    quality: Interval = (30, 95)

    def __post_init__(self) -> None:
        """Check the options."""
        low, high = interval("jpeg", "quality", self.quality, 1, 100)
        object.__setattr__(self, "quality", (round(low), round(high)))

    @property
    def is_random(self) -> bool:
        """A single quality leaves nothing to draw."""
        return self.quality[0] < self.quality[1]

    def __call__(self, image: Tensor, scale: int, random: np.random.Generator) -> Tensor:
        """See `Degradation`."""
        quality = int(random.integers(int(self.quality[0]), int(self.quality[1]), endpoint=True))
        return recoded(BICUBIC(image, scale, random), "JPEG", quality)

    def margin(self, scale: int) -> int:
        """That of the resize."""
        return BICUBIC.margin(scale)

    def key(self) -> str:
        """See `Degradation`."""
        return key_of(self)
