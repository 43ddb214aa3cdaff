"""Find pictures that show the same photograph: exact, rescaled, recompressed, flipped or turned copies."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import imagehash
import numpy as np
from PIL import Image
from torch import Tensor

from sr.files import to_pil

# Of the 64 bits of a perceptual hash (Zauner 2010: signs of the low DCT frequencies): copies at JPEG quality 50 or half
# the size differ in at most 4 bits, the closest two of 200 different photographs in 12.
_NEAR = 6
_SIDE = 32  # the hash looks at a thumbnail of this side
_BANDS = _NEAR + 1  # two hashes within _NEAR bits agree on at least one of this many bands

_MOVES = (None, *Image.Transpose)  # the eight flips and quarter turns


def near_identical(images: Iterable[Tensor]) -> list[list[int]]:
    """Group images that show the same photograph.

    Args:
        images: uint8 ``(3, H, W)``, of any sizes.

    Returns:
        Groups of two and more indices, ascending; images without a near-identical partner are in none.
    """
    with ThreadPoolExecutor() as pool:
        hashes = np.array(list(pool.map(_hashes, images)))
    leader = list(range(len(hashes)))

    def find(index: int) -> int:
        while leader[index] != index:
            leader[index] = leader[leader[index]]
            index = leader[index]
        return index

    for first, second in _near_pairs(hashes):
        leader[find(max(first, second))] = find(min(first, second))
    groups: dict[int, list[int]] = defaultdict(list)
    for index in range(len(leader)):
        groups[find(index)].append(index)
    return [group for group in groups.values() if len(group) > 1]


def _hashes(image: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Hashes (8, 64) of the picture in its eight positions."""
    thumbnail = to_pil(image).convert("L").resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    moved = [thumbnail if move is None else thumbnail.transpose(move) for move in _MOVES]
    return np.array([imagehash.phash(picture).hash.flatten() for picture in moved])


def _near_pairs(hashes: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> Iterable[tuple[int, int]]:
    """Pairs whose hashes, one of them in any position, differ in at most _NEAR bits."""
    if not len(hashes):
        return
    bits = hashes.shape[-1]
    edges = [band * bits // _BANDS for band in range(_BANDS + 1)]
    for start, end in pairwise(edges):
        buckets: dict[bytes, list[int]] = defaultdict(list)
        for index in range(len(hashes)):
            buckets[hashes[index, 0, start:end].tobytes()].append(index)
        for index, positions in enumerate(hashes):
            others = sorted({other for hash_ in positions for other in buckets.get(hash_[start:end].tobytes(), ())})
            candidates = [other for other in others if other > index]
            if not candidates:
                continue
            distance = (hashes[candidates, 0][:, None] != positions[None]).sum(-1).min(-1)
            yield from ((index, other) for other, near in zip(candidates, distance <= _NEAR, strict=True) if near)


def describe(groups: Sequence[Sequence[int]], names: Sequence[str]) -> str:
    """One line on what was found, the first group named.

    >>> describe([[0, 2]], ["a", "b", "c"])
    '1 group of near-identical images is kept on one side of the split: a, c'
    """
    first = ", ".join(names[index] for index in groups[0])
    more = f" (and {len(groups) - 1} more)" if len(groups) > 1 else ""
    noun, verb = ("group", "is") if len(groups) == 1 else ("groups", "are")
    return f"{len(groups)} {noun} of near-identical images {verb} kept on one side of the split: {first}{more}"
