"""An open store with what was found out about its images, and the pool that shares it between runs of a process."""

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
    """A store, and the results of looking at all of its images once."""

    def __init__(self, store: PairStore) -> None:
        """Take over the store, which `close` closes."""
        self.store = store

    @property
    def originals(self) -> list[int]:
        """Indices without copies: those rotated by 45 degrees, or degraded by another factor."""
        sources = self.store.sources
        first = min((source.factor for source in sources if source.factor), default=None)
        return [index for index, source in enumerate(sources) if not source.rotated and source.factor == first]

    @cached_property
    def near_identical(self) -> list[list[int]]:
        """Groups of two and more originals that show the same photograph; copies share the group of their original."""
        originals = self.originals
        groups = near_identical(self.store[index][1] for index in originals)
        return [[originals[place] for place in group] for group in groups]

    @cached_property
    def warnings(self) -> list[str]:
        """What makes training worse without ending it, see `sr.data.quality.quality_warnings`."""
        return quality_warnings(self.store, self.originals)

    def close(self) -> None:
        """Release the images."""
        self.store.close()


class ImageSetPool:
    """Owns the image sets of a process, so that the folds of a run and the cells of a sweep decode images once.

    A set stays open after its last user has released it, for the next run that asks for the same. A request for another
    set closes all that nobody uses before anything is decoded: at no time does memory hold a set that no run needs, and
    what ``data.cache=auto`` chooses does not depend on the runs before.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._entries: list[_Entry] = []

    def acquire(self, user: object, sources: Sequence[Source], **settings: Any) -> ImageSet:
        """Return the open set of these sources and settings, or decode it.

        Args:
            user: keeps the set open until it is passed to `release`, or is garbage.
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
        """Make ``user`` a user of a set again; False if it was closed in the meantime."""
        for entry in self._entries:
            if entry.images is images:
                entry.users.add(user)
                return True
        return False

    def release(self, user: object) -> None:
        """Let go of what ``user`` acquired; the set stays open until another one is needed."""
        for entry in self._entries:
            entry.users.discard(user)

    def close(self) -> None:
        """Close every set, whoever uses it."""
        for entry in self._entries:
            entry.images.close()
        self._entries = []

    def _close_unused(self) -> None:
        if any(entry.users for entry in self._entries):
            gc.collect()  # a run that failed released nothing, and refers to itself in circles
        for entry in self._entries:
            if not entry.users:
                entry.images.close()
        self._entries = [entry for entry in self._entries if entry.users]


class _Entry:
    """A set, what it was asked for with, and who uses it."""

    def __init__(self, request: tuple[tuple[Source, ...], dict[str, Any]], images: ImageSet) -> None:
        self.request, self.images = request, images
        self.users: weakref.WeakSet[object] = weakref.WeakSet()


# The pool of all data modules of this process: each acquires in `setup` and releases in `teardown`.
shared_pool = ImageSetPool()
