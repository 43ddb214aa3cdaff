"""An open store with the results of checking its images, and the pool that shares it between runs of a process."""

import gc
import weakref
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from sr.data.duplicates import near_identical
from sr.data.quality import quality_warnings
from sr.data.sources import Source
from sr.data.stores.store import PairStore


class ImageSet:
    """A store, and cached results of checking its images."""

    def __init__(self, store: PairStore) -> None:
        """Take ownership of the store."""
        self.store = store

    @property
    def originals(self) -> list[int]:
        """Indices of all images except copies that are rotated, shrunk or degraded by a further factor."""
        sources = self.store.sources
        first = min((source.factor for source in sources if source.factor), default=None)
        return [index for index, source in enumerate(sources) if not source.is_copy and source.factor == first]

    @cached_property
    def near_identical(self) -> list[list[int]]:
        """Groups of two or more originals that show the same photograph; copies have the group of their original."""
        originals = self.originals
        groups = near_identical(self.store[index][1] for index in originals)
        return [[originals[position] for position in group] for group in groups]

    @cached_property
    def warnings(self) -> list[str]:
        """See `sr.data.quality.quality_warnings`."""
        return quality_warnings(self.store, self.originals)

    def close(self) -> None:
        """Release the images."""
        self.store.close()


class ImageSetPool:
    """The image sets of a process, which the folds of a run and the cells of a sweep share, to decode images only once.

    A set stays open after its last user has released it, for the next run with the same data. A request for different
    data first closes all unused sets: their memory is free before anything is decoded, so that the choice of
    ``data.cache=auto`` does not depend on earlier runs.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._entries: list[_Entry] = []

    def acquire(self, user: object, sources: Sequence[Source], **settings: Any) -> ImageSet:
        """Return the set with these sources and settings; decode it unless it is open.

        Args:
            user: keeps the set open until it is passed to `release`, or garbage collected.
            sources: see `PairStore`.
            settings: see `PairStore`.
        """
        request = (tuple(sources), settings)
        self.release(user)
        entry = next((entry for entry in self._entries if entry.request == request), None)
        if entry is None:
            self._close_unused()
            entry = _Entry(request, ImageSet(PairStore(sources, **settings)))
            self._entries.append(entry)
        entry.users.add(user)
        return entry.images

    def retain(self, user: object, images: ImageSet) -> bool:
        """Make ``user`` a user of a set again; False if the set was closed in the meantime."""
        for entry in self._entries:
            if entry.images is images:
                entry.users.add(user)
                return True
        return False

    def release(self, user: object) -> None:
        """Stop using a set; it stays open until a different one is requested."""
        for entry in self._entries:
            entry.users.discard(user)

    def close(self) -> None:
        """Close all sets, including those in use."""
        for entry in self._entries:
            entry.images.close()
        self._entries = []

    def _close_unused(self) -> None:
        if any(entry.users for entry in self._entries):
            gc.collect()  # a failed run has not released its set, and may be in a reference cycle
        for entry in self._entries:
            if not entry.users:
                entry.images.close()
        self._entries = [entry for entry in self._entries if entry.users]


class _Entry:
    """A set, the request that it answers, and its users."""

    def __init__(self, request: tuple[tuple[Source, ...], dict[str, Any]], images: ImageSet) -> None:
        self.request, self.images = request, images
        self.users: weakref.WeakSet[object] = weakref.WeakSet()


# Shared by all data modules of this process.
shared_pool = ImageSetPool()
