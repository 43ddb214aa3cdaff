"""Check that crops fit into the training images, and that whole images can be batched."""

import logging
from collections.abc import Sequence

from sr.data.pairs import MIN_SIDE, is_too_small
from sr.data.sources import Source
from sr.data.stores.store import PairStore
from sr.errors import UserError, listed

log = logging.getLogger(__name__)


def large_enough(sources: Sequence[Source], scale: int) -> list[Source]:
    """Leave out images that `load_pair` would refuse for their size, with a warning, and copies of that size."""
    small = [source for source in sources if is_too_small(source, scale)]
    if originals := [str(source.hr) for source in small if not source.is_copy]:
        log.warning(
            "left out, with less than %d pixels a side (data.on_small_image=skip): %s", MIN_SIDE, listed(originals)
        )
    left_out = set(map(id, small))
    return [source for source in sources if id(source) not in left_out]


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
