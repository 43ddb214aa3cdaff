"""Images to train and test on."""

import numpy as np
from PIL import Image


def photograph(height: int, width: int, seed: int = 0) -> Image.Image:
    """An image with edges and smooth areas: random rectangles over a gradient, uint8 RGB."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width]
    image = np.stack([rows * 255 / height, columns * 255 / width, (rows + columns) * 127 / max(height, width)], -1)
    for _ in range(12):
        top, left = random.integers(0, height), random.integers(0, width)
        image[top : top + height // 4, left : left + width // 4] = random.integers(0, 256, 3)
    return Image.fromarray(image.clip(0, 255).astype(np.uint8))
