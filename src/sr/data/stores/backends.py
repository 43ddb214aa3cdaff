"""Pairs on the device, in memory, or decoded again on each access."""

from collections.abc import Iterable

import torch

from sr.data.sources import Source
from sr.data.stores.kinds import LoadPair
from sr.data.stores.packed import PackedPairs, Pair

Decoded = Iterable[tuple[Source, Pair]]


class MemoryPairs:
    """Pairs as tensors in the machine's memory."""

    packed: PackedPairs | None = None

    def __init__(self, decoded: Decoded) -> None:
        """Hold all pairs."""
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
    """Pairs in one flat tensor on the training device, where crops of a whole batch are cut at once."""

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
        """The pair at an index: views on the device."""
        assert self.packed
        return self.packed[index]

    def close(self) -> None:
        """Release the tensor, and let the driver see that its memory is free."""
        self.packed = None
        if self._device.type == "cuda":
            torch.cuda.empty_cache()


class UndecodedPairs:
    """Files that are decoded on each access; all are decoded once at the start, so that bad ones are found."""

    packed: PackedPairs | None = None

    def __init__(self, decoded: Decoded, load: LoadPair) -> None:
        """Keep the sources and sizes alone."""
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
        """Nothing is held."""


def _size_of(pair: Pair) -> tuple[int, int]:
    return pair[1].shape[1], pair[1].shape[2]
