"""What a training batch holds and in which order: crops and draws as pure functions of (seed, epoch, image)."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from sr.data.packed import PackedPairs
from sr.data.store import PairStore

Batch: TypeAlias = dict[str, Any]

# Codes of `sr.image.dihedral` by (flip, rotate90); from _SWAP on they swap the sides of the image.
_CODES = {
    (False, False): (0,),
    (True, False): (0, 1, 2, 3),
    (False, True): (0, 3, 5, 6),
    (True, True): (0, 1, 2, 3, 4, 5, 6, 7),
}
_SWAP = 4


@dataclass(frozen=True)
class Augment:
    """Which changes of a training image count as the same image.

    Attributes:
        flip: left-right and top-bottom.
        rotate90: quarter turns; an oblong whole image only turns by half.
        rotate45: adds a copy of each training image turned by 45 degrees. It is a little softer, so off by default.
    """

    flip: bool = True
    rotate90: bool = True
    rotate45: bool = False

    def code(self, number: int, *, square: bool) -> int:
        """Turn a random number into a code of `sr.image.dihedral`; an image that is not square keeps its shape."""
        codes = [code for code in _CODES[self.flip, self.rotate90] if square or code < _SWAP]
        return codes[number % len(codes)]


class Draw(NamedTuple):
    """One training example: which image, in which epoch, and how often it was drawn in it before."""

    image: int
    epoch: int
    repeat: int


class TrainingPairs(Dataset[Batch]):
    """Batches of aligned crops; each is a pure function of (seed, epoch, repeat, image name)."""

    def __init__(
        self, store: PairStore, indices: Sequence[int], *, scale: int, patch: int | None, augment: Augment, seed: int
    ) -> None:
        """Crop ``patch`` HR pixels a side (None: whole images) from the images of the store at ``indices``."""
        self.store, self.indices = store, indices
        self.scale, self.patch, self.augment, self.seed = scale, patch, augment, seed

    def __getitem__(self, draws: list[Draw]) -> Batch:
        """Return uint8 ``lr`` ``(N, 3, p/scale, p/scale)``, ``hr`` ``(N, 3, p, p)`` and ``name``."""
        places = [self._place(draw) for draw in draws]
        if self.store.packed:
            lr, hr = (self._cut_at_once(self.store.packed, places, part) for part in (0, 1))
        else:
            crops = [self._cut(place) for place in places]
            lr, hr = (torch.from_numpy(np.stack(part)) for part in zip(*crops, strict=True))
        return {"lr": lr, "hr": hr, "name": [self.store.sources[place.image].name for place in places]}

    def _place(self, draw: Draw) -> "_Place":
        index = self.indices[draw.image]
        number, top, left = _numbers(self.seed, draw.epoch, draw.repeat, self.store.sources[index].name)
        height, width = (side // self.scale for side in self.store.sizes[index])
        if self.patch is not None:
            side = self.patch // self.scale
            top, left = top % (height - side + 1), left % (width - side + 1)
            height = width = side
        else:
            top = left = 0
        return _Place(index, top, left, height, width, self.augment.code(number, square=height == width))

    def _cut(self, place: "_Place") -> list[np.ndarray]:
        """Crops of lr and hr, turned."""
        crops = []
        for scale, image in zip((1, self.scale), self.store[place.image], strict=True):
            top, left, height, width = (scale * pixels for pixels in place[1:5])
            crops.append(_dihedral(image[:, top : top + height, left : left + width].numpy(), place.code))
        return crops

    def _cut_at_once(self, packed: PackedPairs, places: "list[_Place]", part: int) -> Tensor:
        """Crops of lr (part 0) or hr (1), turned."""
        images, tops, lefts, heights, widths, codes = np.array(places).T
        scale = self.scale if part else 1
        size = scale * int(heights[0]), scale * int(widths[0])
        return packed.squares(part, images, scale * tops, scale * lefts, size, codes)


class _Place(NamedTuple):
    """A rectangle of an image, in pixels of lr, and the code of `sr.image.dihedral` that turns it."""

    image: int
    top: int
    left: int
    height: int
    width: int
    code: int


def _dihedral(image: np.ndarray, code: int) -> np.ndarray:
    """`sr.image.dihedral` in numpy, which flips without copying."""
    rows, columns = -1 if code & 2 else 1, -1 if code & 1 else 1
    image = image[:, ::rows, ::columns]
    return image.swapaxes(1, 2) if code & _SWAP else image


def _numbers(seed: int, epoch: int, repeat: int, name: str) -> tuple[int, int, int]:
    """Three random numbers below 2^64; their remainders by some thousand are even to one part in 10^15."""
    key = hashlib.blake2b(f"{seed}/{epoch}/{repeat}/{name}".encode(), digest_size=24).digest()
    return int.from_bytes(key[:8]), int.from_bytes(key[8:16]), int.from_bytes(key[16:])


class EpochDraws(Sampler[list[Draw]]):
    """Batches of draws in an order that depends on (seed, epoch) alone; each rank takes its part of each batch."""

    def __init__(
        self,
        images: int,
        *,
        batch_size: int,
        repeat: int,
        seed: int,
        rank: int = 0,
        ranks: int = 1,
        same_every_epoch: bool = False,
        done: Callable[[], int] = lambda: 0,
    ) -> None:
        """Draw every image ``repeat`` times an epoch, ``batch_size`` at a time on each of ``ranks`` devices.

        ``same_every_epoch`` draws the first epoch again and again.
        ``done`` tells how many batches of the epoch were trained before it was interrupted; they are left out.
        """
        self.images, self.batch_size, self.repeat, self.seed = images, batch_size, repeat, seed
        self.rank, self.ranks, self.done = rank, ranks, done
        self.same_every_epoch = same_every_epoch
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this at the start of each epoch."""
        self.epoch = 0 if self.same_every_epoch else epoch

    def __len__(self) -> int:
        """Batches in an epoch, the same on every rank."""
        return -(-self.images * self.repeat // (self.batch_size * self.ranks))

    def __iter__(self) -> Iterator[list[Draw]]:
        """Yield the batches of the epoch that are not done yet."""
        random = np.random.Generator(np.random.Philox(key=_numbers(self.seed, self.epoch, 0, "order")[:2]))
        order = random.permutation(self.images * self.repeat)
        total = self.batch_size * self.ranks
        for start in range(self.done() * total, len(order), total):
            chunk = order[start : start + total]
            if len(chunk) < total and self.ranks > 1:  # every rank needs an equal share
                chunk = np.resize(chunk, -(-len(chunk) // self.ranks) * self.ranks)
            mine = chunk[self.rank :: self.ranks]
            yield [Draw(int(one) % self.images, self.epoch, int(one) // self.images) for one in mine]


class WholePairs(Dataset[Batch]):
    """One whole image a batch, unchanged: validation, test, and the training images scored beside them."""

    def __init__(self, store: PairStore, indices: Sequence[int]) -> None:
        """Hold the images of the store at ``indices``."""
        self.store, self.indices = store, indices

    def __len__(self) -> int:
        """Number of images."""
        return len(self.indices)

    def __getitem__(self, index: int) -> Batch:
        """Return uint8 ``lr`` ``(1, 3, h, w)``, ``hr`` ``(1, 3, scale*h, scale*w)`` and ``name``."""
        lr, hr = self.store[self.indices[index]]
        return {"lr": lr[None], "hr": hr[None], "name": [self.store.sources[self.indices[index]].name]}
