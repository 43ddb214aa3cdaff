"""Pairs on the device, in memory, or decoded on each access."""

from collections.abc import Iterable

import torch
from torch import Tensor

from sr.data.sources import Source
from sr.data.stores.kinds import LoadPair
from sr.data.stores.packed import PackedPairs, Pair

Decoded = Iterable[tuple[Source, Pair]]

_BLOCK = 2**26  # bytes that are copied to a device at a time


class MemoryPairs:
    """Pairs as tensors in main memory."""

    packed: PackedPairs | None = None

    def __init__(self, decoded: Decoded) -> None:
        """Keep all pairs."""
        self.sources: list[Source] = []
        self.sizes: list[tuple[int, int]] = []
        self._pairs: list[Pair] = []
        for source, pair in decoded:
            self.sources.append(source)
            self.sizes.append(_size_of(pair))
            self._pairs.append(pair)

    def __getitem__(self, index: int) -> Pair:
        """The pair at an index."""
        return self._pairs[index]

    def close(self) -> None:
        """Release the pairs."""
        self._pairs = []


class DevicePairs:
    """Pairs in one flat tensor on the training device, from which the crops of a batch are cut in one operation."""

    packed: PackedPairs | None

    def __init__(self, decoded: Decoded, device: torch.device, dtype: torch.dtype, expected: int) -> None:
        """Copy all pairs to ``device``.

        Args:
            decoded: the pairs.
            device: that will hold them.
            dtype: of their values.
            expected: number of all values, or a little more: as much memory is allocated, once.
        """
        self.sources: list[Source] = []
        self.sizes: list[tuple[int, int]] = []
        self._device = device
        values = _DeviceValues(device, dtype, expected)
        shapes: list[tuple[torch.Size, torch.Size]] = []
        for source, (lr, hr) in decoded:
            self.sources.append(source)
            self.sizes.append(_size_of((lr, hr)))
            values.append(lr)
            values.append(hr)
            shapes.append((lr.shape, hr.shape))
        self.packed = PackedPairs(values.finished(), shapes) if shapes else None

    def __getitem__(self, index: int) -> Pair:
        """The pair at an index, as views of the tensor."""
        assert self.packed
        return self.packed[index]

    def close(self) -> None:
        """Release the tensor, and return its memory to the driver."""
        self.packed = None
        if self._device.type == "cuda":
            torch.cuda.empty_cache()


class _DeviceValues:
    """A flat tensor on a device that is filled in order, in large blocks from pinned memory."""

    def __init__(self, device: torch.device, dtype: torch.dtype, expected: int) -> None:
        block = min(_BLOCK // dtype.itemsize, max(expected, 1))
        self._flat = torch.empty(max(expected, block), dtype=dtype, device=device)
        self._block = torch.empty(block, dtype=dtype, pin_memory=device.type == "cuda")
        self._filled = self._waiting = 0  # values on the device, and values in the block

    def append(self, image: Tensor) -> None:
        values = image.flatten()
        while len(values):
            count = min(len(values), len(self._block) - self._waiting)
            self._block[self._waiting : self._waiting + count] = values[:count]
            self._waiting += count
            values = values[count:]
            if self._waiting == len(self._block):
                self._copy_block()

    def finished(self) -> Tensor:
        """All values."""
        self._copy_block()
        return self._flat[: self._filled]

    def _copy_block(self) -> None:
        end = self._filled + self._waiting
        if end > len(self._flat):  # the header of a file did not tell its size
            larger = self._flat.new_empty(end + end // 4)
            larger[: self._filled] = self._flat[: self._filled]
            self._flat = larger
        self._flat[self._filled : end] = self._block[: self._waiting]
        self._filled, self._waiting = end, 0


class UndecodedPairs:
    """Pairs that are decoded on each access, and once at the start to find bad files."""

    packed: PackedPairs | None = None

    def __init__(self, decoded: Decoded, load: LoadPair) -> None:
        """Keep only the sources and sizes."""
        self.sources: list[Source] = []
        self.sizes: list[tuple[int, int]] = []
        self._load = load
        for source, pair in decoded:
            self.sources.append(source)
            self.sizes.append(_size_of(pair))

    def __getitem__(self, index: int) -> Pair:
        """Decode the pair at an index."""
        return self._load(self.sources[index])

    def close(self) -> None:
        """Do nothing: no pairs are held."""


def _size_of(pair: Pair) -> tuple[int, int]:
    return pair[1].shape[1], pair[1].shape[2]
