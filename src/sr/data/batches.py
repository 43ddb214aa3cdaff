"""Contents and order of training batches: crops and draws are pure functions of (seed, epoch, image)."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from sr.arrays import DIHEDRAL_CODES, ROTATIONS, SWAP_SIDES, dihedral_view
from sr.data.degraded_crops import DegradedCrops
from sr.data.stores.packed import PackedPairs
from sr.data.stores.store import PairStore
from sr.errors import UserError
from sr.io.images import is_gray
from sr.terms import Batch

# Codes of `sr.image.dihedral` by (flip, rotate90). The order determines what a seed draws.
_CODES: dict[tuple[bool, bool], Sequence[int]] = {
    (False, False): (0,),
    (True, False): [code for code in DIHEDRAL_CODES if not code & SWAP_SIDES],
    (False, True): ROTATIONS,
    (True, True): DIHEDRAL_CODES,
}


@dataclass(frozen=True)
class Augment:
    """Augmentation of training images.

    Attributes:
        flip: flips left-right and top-bottom.
        rotate90: quarter turns; only half turns for whole images that are not square.
        rotate45: adds a copy of each training image rotated by 45 degrees. Off by default, since the rotation slightly
            blurs the copies.
        sizes: adds copies of each training image whose sides are these shares of its own, by MATLAB's bicubic: Dong et
            al. 2016 (arXiv:1608.00367) use 0.9, 0.8, 0.7 and 0.6. Small copies are sharper than photographs are, and
            free of the traces of JPEG.
    """

    flip: bool = True
    rotate90: bool = True
    rotate45: bool = False
    sizes: Sequence[float] = ()

    def __post_init__(self) -> None:
        """Check the sizes.

        Raises:
            UserError: unless they lie between 0 and 1, and are named once.
        """
        for size in self.sizes:
            if not 0 < size < 1:
                raise UserError(f"data.augment.sizes: every one must lie between 0 and 1, got {size}")
        if len(set(self.sizes)) < len(self.sizes):
            raise UserError(f"data.augment.sizes: names a size twice: {[*self.sizes]}")
        object.__setattr__(self, "sizes", tuple(self.sizes))

    def code(self, number: int, *, square: bool) -> int:
        """Map a random number to a code of `sr.image.dihedral`; images that are not square keep their shape."""
        codes = [code for code in _CODES[self.flip, self.rotate90] if square or not code & SWAP_SIDES]
        return codes[number % len(codes)]


class Draw(NamedTuple):
    """One training example: an image, the epoch, and how many times the image was drawn before in this epoch."""

    image: int
    epoch: int
    repeat: int


class TrainingPairs(Dataset[Batch]):
    """Batches of aligned crops; each is a pure function of (seed, epoch, repeat, image name).

    If the degradation of the store is random, the low resolution of a crop is made anew whenever it is drawn, from the
    crop and a margin; see `DegradedCrops`.
    """

    def __init__(
        self, store: PairStore, indices: Sequence[int], *, scale: int, patch: int | None, augment: Augment, seed: int
    ) -> None:
        """Crop squares of ``patch`` HR pixels (None: whole images) from the images of the store at ``indices``."""
        self.store, self.indices = store, indices
        self.scale, self.patch, self.augment, self.seed = scale, patch, augment, seed
        self.degraded = DegradedCrops(store, scale) if store.degradation.is_random else None

    def __getitem__(self, draws: list[Draw]) -> Batch:
        """Return ``lr`` ``(N, C, p/scale, p/scale)``, ``hr`` ``(N, C, p, p)`` and ``name``."""
        crops = [self._crop_of(draw) for draw in draws]
        if (packed := self.store.packed) and not self.degraded:
            lr, hr = (self._cut_batch(packed, crops, part) for part in (0, 1))
        else:
            pairs = [self._cut(crop, draw) for crop, draw in zip(crops, draws, strict=True)]
            lr, hr = (torch.from_numpy(np.stack(part)) for part in zip(*pairs, strict=True))
        return {"lr": lr, "hr": hr, "name": [self.store.sources[crop.image].name for crop in crops]}

    def _crop_of(self, draw: Draw) -> "_Crop":
        index = self.indices[draw.image]
        number, top, left = _numbers(self.seed, draw.epoch, draw.repeat, self.store.sources[index].name)
        height, width = (side // self.scale for side in self.store.sizes[index])
        if self.patch is not None:
            side = self.patch // self.scale
            top, left = top % (height - side + 1), left % (width - side + 1)
            height = width = side
        else:
            top = left = 0
        return _Crop(index, top, left, height, width, self.augment.code(number, square=height == width))

    def _cut(self, crop: "_Crop", draw: Draw) -> list[np.ndarray]:
        """Cut a crop out of lr and hr."""
        if self.degraded and self.degraded.are_made_for(crop.image):
            box = (crop.top, crop.left, crop.height, crop.width)
            images = self.degraded.cut(crop.image, box, (self.seed, draw.epoch, draw.repeat))
            return [dihedral_view(image.numpy(), crop.code) for image in images]
        pair = []
        for scale, image in zip((1, self.scale), self.store[crop.image], strict=True):
            top, left, height, width = (scale * pixels for pixels in (crop.top, crop.left, crop.height, crop.width))
            pair.append(dihedral_view(image[:, top : top + height, left : left + width].cpu().numpy(), crop.code))
        return pair

    def _cut_batch(self, packed: PackedPairs, crops: "list[_Crop]", part: int) -> Tensor:
        """Cut the crops of a batch out of lr (part 0) or hr (1)."""
        images, tops, lefts, heights, widths, codes = np.array(crops).T
        scale = self.scale if part else 1
        size = scale * int(heights[0]), scale * int(widths[0])
        return packed.squares(part, images, scale * tops, scale * lefts, size, codes)


class _Crop(NamedTuple):
    """A rectangle of an image, in pixels of lr, and the code for `sr.image.dihedral`."""

    image: int
    top: int
    left: int
    height: int
    width: int
    code: int


def _numbers(seed: int, epoch: int, repeat: int, name: str) -> tuple[int, int, int]:
    """Three random numbers below 2^64; modulo a few thousand they are uniform to one part in 10^15."""
    key = hashlib.blake2b(f"{seed}/{epoch}/{repeat}/{name}".encode(), digest_size=24).digest()
    return int.from_bytes(key[:8]), int.from_bytes(key[8:16]), int.from_bytes(key[16:])


class EpochDraws(Sampler[list[Draw]]):
    """Batches of draws in an order that depends only on (seed, epoch); each batch is shared between the ranks."""

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

        Args:
            images: number of images.
            batch_size: draws per batch and rank.
            repeat: draws of each image in an epoch.
            seed: determines the order.
            rank: the rank that this sampler is for.
            ranks: number of ranks.
            same_every_epoch: repeat the draws of the first epoch.
            done: returns the number of batches to skip: those trained before an interruption of the epoch.
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
        """Yield the remaining batches of the epoch."""
        random = np.random.Generator(np.random.Philox(key=_numbers(self.seed, self.epoch, 0, "order")[:2]))
        order = random.permutation(self.images * self.repeat)
        total = self.batch_size * self.ranks
        for start in range(self.done() * total, len(order), total):
            chunk = order[start : start + total]
            if len(chunk) < total and self.ranks > 1:  # every rank needs an equal share
                chunk = np.resize(chunk, -(-len(chunk) // self.ranks) * self.ranks)
            share = chunk[self.rank :: self.ranks]
            yield [Draw(int(number) % self.images, self.epoch, int(number) // self.images) for number in share]


class WholePairs(Dataset[Batch]):
    """Batches of one whole image without augmentation, for validation and testing."""

    def __init__(self, store: PairStore, indices: Sequence[int], scale: int, groups: Sequence[str]) -> None:
        """Select the images of the store at ``indices``.

        Args:
            store: all images.
            indices: the selected ones.
            scale: factor between lr and hr.
            groups: the photograph that each image of the store belongs to.
        """
        self.store, self.indices, self.scale, self.groups = store, indices, scale, groups
        self._stored_gray = [is_gray(store.sources[position].hr) for position in indices]

    def __len__(self) -> int:
        """Number of images."""
        return len(self.indices)

    def __getitem__(self, index: int) -> Batch:
        """Return ``lr`` ``(1, C, h, w)``, ``hr`` ``(1, C, scale*h, scale*w)``, ``name``, and the rest of `Batch`.

        The border is the factor by which the image was degraded, as in the literature; with ``data.scales`` that is not
        the scale, which is 1.
        """
        position = self.indices[index]
        source = self.store.sources[position]
        lr, hr = self.store[position]
        return {
            "lr": lr[None],
            "hr": hr[None],
            "name": [source.name],
            "group": [self.groups[position]],
            "border": source.factor or self.scale,
            "stored_gray": self._stored_gray[index],
        }
