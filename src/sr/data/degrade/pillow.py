"""Pillow's antialiased bicubic, which the origin project used."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from sr.data.degrade.base import Keyed
from sr.image import to_uint8
from sr.io.images import from_pil, to_pil

_HALF_A_LEVEL_OF_16_BITS = 0.5 / 257  # in levels of 8 bits


@dataclass(frozen=True)
class Pillow(Keyed):
    """``Image.resize`` with ``BICUBIC``: RGB that holds 8-bit levels as such an image, others a channel at a time."""

    resizes: ClassVar[bool] = True
    is_random: ClassVar[bool] = False

    def __call__(self, image: Tensor, scale: int, random: np.random.Generator) -> Tensor:
        """See `Degradation`."""
        if scale == 1:
            return image
        size = image.shape[2] // scale, image.shape[1] // scale
        levels = image * 255
        if image.shape[0] == 3 and bool(((levels - levels.round()).abs() < _HALF_A_LEVEL_OF_16_BITS).all()):
            return from_pil(to_pil(to_uint8(image)).resize(size, Image.Resampling.BICUBIC)).double() / 255
        planes = [Image.fromarray(plane).resize(size, Image.Resampling.BICUBIC) for plane in image.float().numpy()]
        return torch.from_numpy(np.stack([np.asarray(plane) for plane in planes])).double()

    def margin(self, scale: int) -> int:
        """The kernel spans four low-resolution pixels."""
        return 2 * scale
