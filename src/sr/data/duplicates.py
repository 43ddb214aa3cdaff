"""Find images that show the same photograph: exact, rescaled, recompressed, flipped or turned copies."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import imagehash
import numpy as np
import numpy.typing as npt
from PIL import Image
from torch import Tensor

from sr.image import preview
from sr.io.images import to_pil
from sr.machine.pools import thread_pool

Hashes: TypeAlias = npt.NDArray[np.uint64]

# How many of the 64 bits of a perceptual hash (Zauner 2010: signs of the low DCT frequencies) may differ. Copies at
# JPEG quality 50 or half the size differ in at most 4 bits, different photographs (200 compared) in at least 12.
_MAX_DISTANCE = 6
_SIDE = 32  # of the hashed thumbnail
_BLOCK = 256  # images compared with all others at a time

_ORIENTATIONS = (None, *Image.Transpose)  # the eight flips and quarter turns


def near_identical(images: Iterable[Tensor]) -> list[list[int]]:
    """Group images that show the same photograph.

    Args:
        images: ``(C, H, W)`` of uint8 or uint16, of any sizes.

    Returns:
        Groups of two or more indices, in ascending order; images without copies are left out.
    """
    with thread_pool() as pool:
        return group(list(pool.map(hashes, images)))


def hashes(image: Tensor) -> Hashes:
    """Perceptual hashes ``(8,)`` of an image ``(C, H, W)`` in its eight orientations, 64 bits each."""
    thumbnail = to_pil(preview(image)).convert("L").resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    oriented = [thumbnail if method is None else thumbnail.transpose(method) for method in _ORIENTATIONS]
    bits = np.array([imagehash.phash(picture).hash.flatten() for picture in oriented])
    return np.packbits(bits, axis=-1).view(np.uint64)[:, 0]


def group(hashed: Sequence[Hashes]) -> list[list[int]]:
    """Group images by their `hashes`, as `near_identical` does."""
    leader = list(range(len(hashed)))

    def find(index: int) -> int:
        while leader[index] != index:
            leader[index] = leader[leader[index]]
            index = leader[index]
        return index

    for first, second in _near_pairs(np.array(hashed, np.uint64).reshape(-1, len(_ORIENTATIONS))):
        leader[find(max(first, second))] = find(min(first, second))
    groups: dict[int, list[int]] = defaultdict(list)
    for index in range(len(leader)):
        groups[find(index)].append(index)
    return [members for members in groups.values() if len(members) > 1]


def _near_pairs(hashed: Hashes) -> Iterable[tuple[int, int]]:
    """Pairs of indices whose hashes ``(N, 8)`` differ in at most _MAX_DISTANCE bits in some orientation."""
    for start in range(0, len(hashed), _BLOCK):
        block, others = hashed[start : start + _BLOCK], hashed[start:, 0]
        distances = np.min([np.bitwise_count(column[:, None] ^ others) for column in block.T], axis=0)
        for first, second in np.argwhere(distances <= _MAX_DISTANCE).tolist():
            if first < second:
                yield start + first, start + second


def join_groups(groups: Sequence[str], near: Sequence[Sequence[int]]) -> list[str]:
    """Merge groups that contain near-identical images.

    Args:
        groups: group of each image.
        near: groups of indices from `near_identical`.

    Returns:
        Merged group of each image.

    >>> join_groups(["a", "b", "b", "c"], [[0, 2]])
    ['a', 'a', 'a', 'c']
    """
    joined = {group: group for group in groups}
    for indices in near:
        connected = {joined[groups[index]] for index in indices}
        joined = {group: min(connected) if name in connected else name for group, name in joined.items()}
    return [joined[group] for group in groups]


def describe(groups: Sequence[Sequence[int]], names: Sequence[str]) -> str:
    """Summarize near-identical images in one line that names the first group.

    >>> describe([[0, 2]], ["a", "b", "c"])
    '1 group of near-identical images is kept on one side of the split: a, c'
    """
    first = ", ".join(names[index] for index in groups[0])
    more = f" (and {len(groups) - 1} more)" if len(groups) > 1 else ""
    noun, verb = ("group", "is") if len(groups) == 1 else ("groups", "are")
    return f"{len(groups)} {noun} of near-identical images {verb} kept on one side of the split: {first}{more}"
