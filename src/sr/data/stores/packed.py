"""Image pairs of any sizes in one flat tensor, such as a memory-mapped file or GPU memory."""

from collections.abc import Sequence
from typing import TypeAlias, overload

import numpy as np
import torch
from torch import Tensor

from sr.arrays import FLIP_LEFT_RIGHT, FLIP_TOP_BOTTOM, SWAP_SIDES

Pair: TypeAlias = tuple[Tensor, Tensor]
Shape: TypeAlias = Sequence[int]


class PackedPairs(Sequence[Pair]):
    """Pairs ``(lr, hr)`` of ``(C, h, w)``, one after the other in a flat tensor; pairs are views of it."""

    def __init__(self, flat: Tensor, shapes: Sequence[tuple[Shape, Shape]]) -> None:
        """Divide the uint8 or uint16 values of ``flat`` into pairs of the given shapes, in order."""
        self.flat = flat
        self._shapes = np.array(shapes, np.int64).reshape(-1, 2, 3)  # compact, since there may be millions of pairs
        sizes = self._shapes.prod(axis=2)
        self._starts = np.cumsum(sizes).reshape(-1, 2) - sizes if len(sizes) else sizes

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self._shapes)

    @overload
    def __getitem__(self, index: int) -> Pair: ...
    @overload
    def __getitem__(self, index: slice) -> list[Pair]: ...
    def __getitem__(self, index: int | slice) -> Pair | list[Pair]:
        """The pair at an index."""
        if isinstance(index, slice):
            return [self[number] for number in range(len(self))[index]]
        return self._image(index, 0), self._image(index, 1)

    def _image(self, index: int, part: int) -> Tensor:
        start, shape = int(self._starts[index, part]), self._shapes[index, part].tolist()
        return self.flat[start : start + int(np.prod(shape))].view(shape)

    def squares(
        self,
        part: int,
        images: np.ndarray,
        tops: np.ndarray,
        lefts: np.ndarray,
        size: tuple[int, int],
        codes: np.ndarray,
    ) -> Tensor:
        """Cut a rectangle out of each of N images and flip or rotate it, by a single indexing operation on the device.

        A flip or quarter turn only changes the offset of a rectangle and the strides between its pixels.

        Args:
            part: 0 for lr, 1 for hr.
            images: (N,) indices of the pairs.
            tops: (N,) top rows.
            lefts: (N,) left columns.
            size: height and width of all rectangles.
            codes: (N,) codes for `sr.image.dihedral`; only squares may have their sides swapped.

        Returns:
            ``(N, C, height, width)`` of the type of the values.
        """
        height, width = size
        rows, plane = self._shapes[images, part, 2], self._shapes[images, part, 1:].prod(axis=1)
        flip_rows, flip_columns, swap = (codes & bit for bit in (FLIP_TOP_BOTTOM, FLIP_LEFT_RIGHT, SWAP_SIDES))
        start = self._starts[images, part] + tops * rows + lefts
        start += np.where(flip_rows, (height - 1) * rows, 0) + np.where(flip_columns, width - 1, 0)
        y, x = np.where(flip_rows, -rows, rows), np.where(flip_columns, -1, 1)
        y, x = np.where(swap, x, y), np.where(swap, y, x)
        table = torch.from_numpy(np.stack([start, plane, y, x]))
        if self.flat.is_cuda:  # from other memory, the copy would wait for the device
            table = table.pin_memory().to(self.flat.device, non_blocking=True)
        first, planes, ys, xs = table.view(4, -1, 1, 1, 1)
        counts = int(self._shapes[images[0], part, 0]), height, width
        channel, row, column = (torch.arange(count, device=self.flat.device) for count in counts)
        indices = first + planes * channel.view(-1, 1, 1) + ys * row.view(-1, 1) + xs * column
        if self.flat.dtype == torch.uint16:  # which torch cannot index on every device
            return self.flat.view(torch.int16)[indices].view(torch.uint16)
        return self.flat[indices]
