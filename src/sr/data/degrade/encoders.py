"""Degradations by an encoder: MATLAB's bicubic, then a lossy file in memory."""

import io
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from sr.data.degrade.base import Interval, Keyed, interval
from sr.data.degrade.bicubic import BICUBIC
from sr.image import to_uint8


@dataclass(frozen=True)
class Encoded(Keyed, ABC):
    """A file of a random quality, by Pillow's encoder of a format.

    A crop is compressed from its own top left corner, margin included: its blocks are not those of the whole image.

    Attributes:
        quality: range of the encoder's quality, whole numbers from 1 to 100.
    """

    resizes: ClassVar[bool] = False
    quality: Interval = (30, 95)

    @property
    @abstractmethod
    def file_format(self) -> str:
        """As Pillow calls it."""

    def __post_init__(self) -> None:
        """Check the options."""
        name = type(self).__name__.lower()
        object.__setattr__(self, "quality", interval(name, "quality", self.quality, 1, 100, whole=True))

    @property
    def is_random(self) -> bool:
        """A single quality leaves nothing to draw."""
        return self.quality[0] < self.quality[1]

    def __call__(self, image: Tensor, scale: int, random: np.random.Generator) -> Tensor:
        """See `Degradation`."""
        quality = int(random.integers(int(self.quality[0]), int(self.quality[1]), endpoint=True))
        return recoded(BICUBIC(image, scale, random), self.file_format, quality)

    def margin(self, scale: int) -> int:
        """That of the resize."""
        return BICUBIC.margin(scale)


def recoded(image: Tensor, file_format: str, quality: int) -> Tensor:
    """What Pillow reads from ``(C, H, W)``, float64 in [0, 1], after writing it; rounds to 8 bits.

    Three channels are saved as RGB, with the encoder's default subsampling; any other number as one gray file each.
    """
    levels = to_uint8(image)
    if levels.shape[0] == 3:
        pictures = [Image.fromarray(np.ascontiguousarray(levels.permute(1, 2, 0).numpy()))]
    else:
        pictures = [Image.fromarray(plane) for plane in levels.numpy()]
    read = [_recoded(picture, file_format, quality) for picture in pictures]
    pixels = read[0].transpose(2, 0, 1) if levels.shape[0] == 3 else np.stack(read)
    return torch.from_numpy(np.ascontiguousarray(pixels)).double() / 255


def jpeg(values: np.ndarray, quality: int) -> np.ndarray:
    """`recoded` as JPEG, of float32 ``(C, H, W)``."""
    stored: np.ndarray = recoded(torch.from_numpy(values), "JPEG", quality).numpy().astype(np.float32)
    return stored


def _recoded(picture: Image.Image, file_format: str, quality: int) -> np.ndarray:
    file = io.BytesIO()
    picture.save(file, file_format, quality=quality)
    with Image.open(file) as stored:
        return np.array(stored.convert(picture.mode))
