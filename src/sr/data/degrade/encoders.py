"""Save an image as a lossy file in memory, and read it again."""

import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from sr.image import to_uint8


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


def _recoded(picture: Image.Image, file_format: str, quality: int) -> np.ndarray:
    file = io.BytesIO()
    picture.save(file, file_format, quality=quality)
    with Image.open(file) as stored:
        return np.asarray(stored.convert(picture.mode))
