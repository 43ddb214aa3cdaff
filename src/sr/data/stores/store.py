"""PairStore: image pairs by index, in any kind of store."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch

from sr.data.degrade.base import Degradation
from sr.data.degrade.bicubic import BICUBIC
from sr.data.pairs import DEGRADED_BY, load_pair
from sr.data.sources import Source
from sr.data.stores.backends import DevicePairs, MemoryPairs, UndecodedPairs
from sr.data.stores.decode import decode_all
from sr.data.stores.disk import FORMAT, DiskPairs
from sr.data.stores.fingerprint import content_hash, degradation_settings, digests_of, fingerprint_of, key_of
from sr.data.stores.kinds import Backend, CacheKind, choose_kind, decoded_values
from sr.data.stores.packed import PackedPairs, Pair
from sr.errors import UserError, check_choice
from sr.io.pixel_formats import RGB8, PixelFormat
from sr.machine.processes import in_worker


class PairStore:
    """Pairs ``(lr, hr)`` of uint8 or uint16 ``(C, h, w)`` and ``(C, scale*h, scale*w)`` by index.

    Attributes:
        sources: the source of each pair, without skipped files.
        fingerprint: hash of names and file contents, equal for equal data.
        sizes: (height, width) of each ``hr``.
        shrink: for scale 1, by how much they are degraded.
        kind: where the pairs are held; never ``auto``.
        degradation: how low-resolution images are derived.
        closed: whether the pairs were released.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        scale: int,
        shrink: int,
        kind: str = CacheKind.AUTO,
        folder: Path | None = None,
        on_bad_file: str = "error",
        device: torch.device | None = None,
        pixels: PixelFormat = RGB8,
        ranks: int = 1,
        degradation: Degradation = BICUBIC,
        degrade_seed: int = DEGRADED_BY,
    ) -> None:
        """Decode every source once, for all kinds, to find bad files before training.

        Several processes that train one run, and parallel workers of a sweep, each have a store of the same pairs: one
        of them decodes the pairs into a file, and the others read it, also for the kind ``device``.

        Args:
            sources: the pairs to hold.
            scale: factor between the sides of hr and lr.
            shrink: for scale 1, see `sr.data.pairs.load_pair`.
            kind: where to hold the pairs, see `CacheKind` and `choose_kind`.
            folder: of the files of kind ``disk``.
            on_bad_file: ``error`` raises at the first unreadable file, ``skip`` leaves it out with a warning.
            device: the training device.
            pixels: channels and bits of the pairs.
            ranks: number of processes that train the run.
            degradation: makes the low resolution that the sources lack.
            degrade_seed: of its random numbers, see `sr.data.pairs.load_pair`.

        Raises:
            UserError: for a bad option or a bad file, see `sr.data.pairs.load_pair`.
        """
        check_choice("data.cache", kind, list(CacheKind))
        check_choice("data.on_bad_file", on_bad_file, ("error", "skip"))
        device = device or torch.device("cpu")
        is_shared = ranks > 1 or in_worker()
        if kind == CacheKind.AUTO:  # what is degraded anew in every epoch is needed on the host
            near = torch.device("cpu") if degradation.is_random else device
            kind = choose_kind(sources, scale, near, pixels, is_shared=is_shared)
        self.kind = CacheKind(kind)
        skip_bad = on_bad_file == "skip"
        load = partial(load_pair, scale=scale, shrink=shrink, pixels=pixels, degradation=degradation, seed=degrade_seed)
        self.degradation, self.shrink = degradation, shrink
        settings: tuple[int | str, ...] = (*pixels.settings, *degradation_settings(degradation, degrade_seed))
        decode = partial(decode_all, sources, load, skip_bad=skip_bad)
        digests = digests_of(sources)

        def on_disk() -> DiskPairs:
            key = key_of(sources, digests, FORMAT, scale, shrink, *settings)
            path = (folder or Path.cwd()) / f"{key}.bin"
            return DiskPairs(sources, decode, path, bits=pixels.bits, skip_bad=skip_bad)

        self._backend: Backend
        match self.kind:
            case CacheKind.DEVICE:
                expected = decoded_values(sources, scale, pixels)
                dtype = torch.uint8 if pixels.bits == 8 else torch.uint16
                pairs = on_disk().pairs() if is_shared else decode()
                self._backend = DevicePairs(pairs, device, dtype, expected)
            case CacheKind.DISK:
                self._backend = on_disk()
            case CacheKind.MEMORY:
                self._backend = MemoryPairs(decode())
            case _:
                self._backend = UndecodedPairs(decode(), load)
        if not self._backend.sources and sources:
            raise UserError("none of the images could be read: see the warnings above")
        self.sources, self.sizes = self._backend.sources, self._backend.sizes
        self.fingerprint = fingerprint_of(self.sources, digests, *settings)
        self._digests = digests
        self.closed = False

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self.sources)

    def __getitem__(self, index: int) -> Pair:
        """Pair ``(lr, hr)`` at an index.

        Raises:
            RuntimeError: if the store was closed.
        """
        self._check_open()
        return self._backend[index]

    def content_hash(self, index: int, *, hr_only: bool = False) -> str:
        """See `sr.data.stores.fingerprint.content_hash`."""
        return content_hash(self.sources[index], self._digests, hr_only=hr_only)

    @property
    def packed(self) -> PackedPairs | None:
        """All pairs as one flat tensor, for device and disk; otherwise None."""
        self._check_open()
        return self._backend.packed

    def close(self) -> None:
        """Release the pairs; closing twice is allowed."""
        if not self.closed:
            self._backend.close()
            self.closed = True

    def _check_open(self) -> None:
        if self.closed:
            raise RuntimeError("this store of image pairs is closed: call setup of the data module again")
