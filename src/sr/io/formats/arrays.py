"""An image of Pillow whose pixels come as an array, with as many bits as they have."""

from typing import Any

import numpy as np
from PIL import Image, ImageFile

from sr.io.bounded import Pixels


class ArrayImage(ImageFile.ImageFile):
    """Base of images that are decoded here: of 8 bits, the mode of their header until they are decoded.

    Attributes:
        is_animated: whether there are more frames or pages.
        is_deep: whether `pixels` has 16 bits.
        stored_orientation: the EXIF orientation that still has to be applied; None where the file does not say.
        note: what is lost in reading it, in a few words.
    """

    is_animated = False
    is_deep = False
    stored_orientation: int | None = None
    note = ""

    def pixels(self) -> Pixels:
        """``(H, W, C)``: gray or RGB, with alpha if there is any; uint8 or uint16; not turned upright."""
        raise NotImplementedError

    def load(self) -> Any:
        """Decode to 8 bits, or 16 for gray without alpha."""
        if self._im is None:
            pixels = self.pixels()
            if pixels.itemsize == 2 and pixels.shape[2] > 1:
                pixels = (pixels >> 8).astype(np.uint8)
            image = Image.fromarray(np.ascontiguousarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels))
            self.im, self._mode = image.im, image.mode
        return Image.Image.load(self)

    def _check_shape(self, pixels: Pixels) -> None:
        """Check that the size is that of the header, by which the image was admitted.

        Raises:
            ValueError: if it is not.
        """
        if pixels.ndim != 3 or pixels.shape[:2] != self.size[::-1] or not 1 <= pixels.shape[2] <= 4:
            raise ValueError("its headers contradict each other")


def divided_by_alpha(colours: Pixels, alpha: Pixels) -> Pixels:
    """Colours that were multiplied by alpha, without it."""
    most = int(np.iinfo(colours.dtype).max)
    wide = colours.astype(np.uint32) * most + alpha // 2  # at most 65535 ** 2 + 32767, which 32 bits hold
    divided: Pixels = np.minimum(wide // np.maximum(alpha, 1), most).astype(colours.dtype)
    return divided


def filled(values: Pixels, bits: int) -> Pixels:
    """Values of 1 to 16 bits, stretched to the range of uint8, or of uint16 for more than 8 bits."""
    most, full = 2**bits - 1, 255 if bits <= 8 else 65535
    if most == full:
        return values
    stretched = (values.astype(np.uint32) * full + most // 2) // most
    result: Pixels = stretched.astype(np.uint8 if full == 255 else np.uint16)
    return result
