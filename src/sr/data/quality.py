"""A quick check for images that impair training; `sr check-data` is thorough."""

from collections import defaultdict
from collections.abc import Sequence

from sr.data.alignment import fault
from sr.data.stores.kinds import CacheKind
from sr.data.stores.store import PairStore
from sr.image import is_constant
from sr.machine.pools import one_thread

_PAIRS_CHECKED = 64  # few enough not to delay the start of a run noticeably


def quality_warnings(store: PairStore, originals: Sequence[int]) -> list[str]:
    """Describe images of a single colour, and low-resolution files that do not match their partner.

    Args:
        store: holds the images; with ``data.cache=none``, images of a single colour are not searched for.
        originals: indices of the images to check; of those with a low-resolution file, at most 64 are compared.

    Returns:
        One line per kind of problem, with the number of images and the name of the first.
    """
    names_by_problem: dict[str, list[str]] = defaultdict(list)
    if store.kind != CacheKind.NONE:
        for index in originals:
            if is_constant(store[index][1]):
                names_by_problem[f"of {len(originals)} images: of a single colour"].append(store.sources[index].name)
    pairs = [index for index in originals if store.sources[index].lr]
    sample = pairs[:: max(1, -(-len(pairs) // _PAIRS_CHECKED))]
    with one_thread():
        for index in sample:
            if mismatch := fault(*store[index]):
                names_by_problem[f"of {len(sample)} pairs checked: {mismatch.kind}"].append(store.sources[index].name)
    return [f"{len(names)} {problem}, such as {names[0]}" for problem, names in names_by_problem.items()]
