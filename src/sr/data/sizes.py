"""Check that crops fit into the training images, and that whole images can be batched."""

import logging
from collections.abc import Sequence
from pathlib import Path

from sr.data.pairs import MIN_SIDE, is_too_small
from sr.data.sources import Source
from sr.data.stores.store import PairStore
from sr.errors import UserError, listed
from sr.terms import Protocol

log = logging.getLogger(__name__)


def large_enough(sources: Sequence[Source], scale: int) -> list[Source]:
    """Leave out images that `load_pair` would refuse for their size, with a warning, and copies of that size.

    Raises:
        UserError: if these are all images of a part, which others would take the place of.
    """
    small = [source for source in sources if is_too_small(source, scale)]
    if originals := [*dict.fromkeys(str(source.hr) for source in small if not source.is_copy)]:
        log.warning(
            "left out, with less than %d pixels a side (data.on_small_image=skip): %s", MIN_SIDE, listed(originals)
        )
    left_out = set(map(id, small))
    kept = [source for source in sources if id(source) not in left_out]
    if emptied := {source.part for source in small} - {source.part for source in kept}:
        (first, *_) = (source for source in small if source.part in emptied)
        raise UserError(f"{first.hr.parent}: every image has less than {MIN_SIDE} pixels a side: use larger ones")
    return kept


def too_small_to_score(path: Path, size: tuple[int, int], border: int) -> str:
    """Why SSIM cannot score an image of this height and width without its border; empty if it can."""
    height, width = size
    if min(size) - 2 * border >= MIN_SIDE:
        return ""
    cut = f", of which {border} at each border are not scored," if border else ""
    return f"{path}: has {width}x{height} pixels{cut} and SSIM needs {MIN_SIDE}x{MIN_SIDE}: leave it out"


def check_scored(store: PairStore, indices: Sequence[int], *, scale: int, protocol: str) -> None:
    """Refuse images that a run could not score, before it trains.

    Raises:
        UserError: with the first of them.
    """
    for index in indices:
        source = store.sources[index]
        border = (source.factor or scale) if protocol == Protocol.Y else 0
        if why := too_small_to_score(source.hr, store.sizes[index], border):
            raise UserError(why)


def smaller_than_patch(store: PairStore, indices: Sequence[int], patch: int) -> frozenset[int]:
    """Find the training images that are smaller than ``patch`` HR pixels, and log their number.

    Raises:
        UserError: if all of them are too small.
    """
    small = frozenset(index for index in indices if min(store.sizes[index]) < patch)
    if len(small) == len(indices):
        raise UserError(f"data.patch={patch} is larger than every training image: lower it")
    if small:
        log.info(
            "%d of %d training images are smaller than data.patch=%d and are left out", len(small), len(indices), patch
        )
    return small


def check_crops_fit(store: PairStore, indices: Sequence[int], *, patch: int, scale: int) -> None:
    """Refuse training images smaller than ``patch`` HR pixels.

    Raises:
        UserError: with the first of them, and the largest patch that fits it.
    """
    for index in indices:
        height, width = store.sizes[index]
        if min(height, width) < patch:
            raise UserError(
                f"data.patch={patch} is larger than {store.sources[index].name} ({width}x{height}): "
                f"set data.patch={min(height, width) // scale * scale} or less"
            )


def check_whole_images_fit(store: PairStore, indices: Sequence[int], batch_size: int) -> None:
    """Refuse batches of whole images that differ in size.

    Raises:
        UserError: with the number of sizes.
    """
    sizes = {store.sizes[index] for index in indices}
    if batch_size > 1 and len(sizes) > 1:
        raise UserError(
            f"whole images of {len(sizes)} sizes cannot form batches: set data.patch=N (crops), or data.batch_size=1"
        )
