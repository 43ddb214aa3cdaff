"""Crops of training images, degraded anew whenever they are drawn."""

import numpy as np
from torch import Tensor

from sr.data.degrade.base import generator
from sr.data.pairs import derive_lr
from sr.data.stores.store import PairStore

_BICUBIC = 2  # low-resolution pixels that enlarging reaches to each side


class DegradedCrops:
    """Pairs of crops whose low resolution is a pure function of (seed, epoch, repeat, image name).

    Degrading a whole image for one crop of it would cost as many times more as the image is larger. What is degraded is
    the crop with the margin that the degradation states, as far as the image reaches; the margin is then cut off.
    """

    def __init__(self, store: PairStore, scale: int) -> None:
        """Cut crops out of the images of a store."""
        self.store, self.scale = store, scale

    def are_made_for(self, index: int) -> bool:
        """Whether the low resolution of an image is derived; that of a file stays as it is."""
        source = self.store.sources[index]
        return source.lr is None or source.factor is not None

    def cut(self, index: int, box: tuple[int, int, int, int], draw: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
        """Cut a crop and degrade it.

        Args:
            index: of the image in the store.
            box: top, left, height and width in pixels of the low resolution.
            draw: seed, epoch, and how many times the image was drawn before in this epoch.

        Returns:
            lr ``(C, height, width)`` and hr ``(C, scale * height, scale * width)`` of the store's type, on the CPU.
        """
        scale, source = self.scale, self.store.sources[index]
        hr = self.store[index][1]
        by = scale if scale > 1 else source.factor or self.store.shrink
        key = (*draw, source.name)
        margin = self._margin(by, generator(*key)) + (_BICUBIC * by if scale == 1 else 0)
        top, left, height, width = (scale * pixels for pixels in box)
        rows, columns = (
            _blocks(start - margin, start + side + margin, by) for start, side in ((top, height), (left, width))
        )
        above, before = top - rows.start, left - columns.start
        cut = hr[:, rows, columns].cpu()
        enlarge = source.factor is not None
        lr = derive_lr(cut, scale, by, self.store.degradation, generator(*key), enlarge=enlarge)
        lr_top, lr_left = above // scale, before // scale
        small = lr[:, lr_top : lr_top + box[2], lr_left : lr_left + box[3]]
        return small, cut[:, above : above + height, before : before + width]

    def _margin(self, by: int, random: np.random.Generator) -> int:
        """The margin of a crop that is degraded with these random numbers."""
        degradation = self.store.degradation
        drawn = getattr(degradation, "drawn_margin", None)
        margin: int = drawn(by, random) if drawn else degradation.margin(by)
        return margin


def _blocks(start: int, stop: int, by: int) -> slice:
    """A stretch of an image, in whole blocks of ``by`` pixels, of which low-resolution pixels are made."""
    return slice(max(0, start) // by * by, -(-stop // by) * by)
