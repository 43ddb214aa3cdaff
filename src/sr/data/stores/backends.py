"""Pairs on the device, in memory, or decoded on each access."""

from collections.abc import Iterable

import torch

from sr.data.sources import Source
from sr.data.stores.kinds import LoadPair
from sr.data.stores.packed import PackedPairs, Pair

Decoded = Iterable[tuple[Source, Pair]]


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

    def __init__(self, decoded: Decoded, device: torch.device) -> None:
        """Copy all pairs to ``device``, one image at a time."""
        self.sources: list[Source] = []
        self.sizes: list[tuple[int, int]] = []
        self._device = device
        images: list[torch.Tensor] = []
        shapes: list[tuple[torch.Size, torch.Size]] = []
        for source, (lr, hr) in decoded:
            self.sources.append(source)
            self.sizes.append(_size_of((lr, hr)))
            images += [lr.flatten().to(device), hr.flatten().to(device)]
            shapes.append((lr.shape, hr.shape))
        self.packed = PackedPairs(torch.cat(images), shapes) if shapes else None

    def __getitem__(self, index: int) -> Pair:
        """The pair at an index, as views of the tensor."""
        assert self.packed
        return self.packed[index]

    def close(self) -> None:
        """Release the tensor, and return its memory to the driver."""
        self.packed = None
        if self._device.type == "cuda":
            torch.cuda.empty_cache()


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
