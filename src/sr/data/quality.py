"""A quick look for images that make training worse without ending it; `sr check-data` looks at everything."""

from collections import defaultdict
from collections.abc import Sequence

from sr.data.alignment import fault, one_thread
from sr.data.stores.kinds import CacheKind
from sr.data.stores.store import PairStore
from sr.image import is_constant

_PAIRS_CHECKED = 64  # so that a run does not start noticeably later


def quality_warnings(store: PairStore, originals: Sequence[int]) -> list[str]:
    """Describe images of one colour, and low-resolution files that do not fit their partner.

    Args:
        store: holds the images; images of one colour are not looked for where each access decodes.
        originals: indices of the images to look at; of those with a low-resolution file, at most 64.

    Returns:
        One line per kind of problem, with the number of images and the name of the first.
    """
    names: dict[str, list[str]] = defaultdict(list)
    if store.kind != CacheKind.NONE:
        for index in originals:
            if is_constant(store[index][1]):
                names[f"of {len(originals)} images: of one colour"].append(store.sources[index].name)
    pairs = [index for index in originals if store.sources[index].lr]
    sample = pairs[:: max(1, -(-len(pairs) // _PAIRS_CHECKED))]
    with one_thread():
        for index in sample:
            if mismatch := fault(*store[index]):
                names[f"of {len(sample)} pairs looked at: {mismatch.kind}"].append(store.sources[index].name)
    return [f"{len(affected)} {what}, such as {affected[0]}" for what, affected in names.items()]
