"""Decoded image pairs at rest: uint8, decoded once, held on the device, in memory or in a memory-mapped file."""

import hashlib
import json
import logging
import os
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from rich.progress import track

from sr.data.packed import PackedPairs, Pair
from sr.data.pairs import load_pair
from sr.data.sources import Source
from sr.errors import UserError, check_choice
from sr.io.atomic import remove_leftovers, whole_file, write_text
from sr.io.images import ImageFileError, image_size
from sr.io.locks import hold, is_held
from sr.machine.processes import in_worker

log = logging.getLogger(__name__)

KINDS = ("auto", "device", "memory", "disk", "none")
_FORMAT = 4  # of the files on disk; part of their key
_BLOCK = 2**22  # bytes that a checksum reads at a time
_QUIET_BELOW = 200  # images that decode in about a second show no progress bar

# Shares that `auto` may fill: of the device's free memory, and of the machine's memory.
_DEVICE_SHARE = 0.4
_MEMORY_SHARE = 0.25

Entry: TypeAlias = tuple[str, list[int], list[int]]  # name, shapes of lr and hr


class PairStore:
    """Pairs ``(lr, hr)`` of uint8 ``(3, h, w)`` and ``(3, scale*h, scale*w)`` by index.

    Attributes:
        sources: what the indices stand for; unreadable files skipped on request are gone from it.
        fingerprint: hash of names and file contents; two runs on equal data have equal ones.
        sizes: (height, width) of each ``hr``.
        kind: where the pairs are: ``device``, ``memory``, ``disk`` or ``none``.
        packed: the pairs on the device, which cuts crops out of many at once; None for the other kinds.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        scale: int,
        shrink: int,
        kind: str = "auto",
        folder: Path | None = None,
        on_bad_file: str = "error",
        device: torch.device | None = None,
    ) -> None:
        """Decode every source once, whatever the kind, so that a bad file is found before any training.

        Args:
            sources: the pairs to hold.
            scale: factor between the sides of hr and lr.
            shrink: for scale 1, see `sr.data.sources.load_pair`.
            kind: where to hold them; ``auto`` takes the first of device, memory and disk that they fit,
                and disk where several processes run cells at once.
            folder: of the files of kind ``disk``.
            on_bad_file: ``error`` raises at the first unreadable file, ``skip`` leaves it out and says so.
            device: where training runs.

        Raises:
            UserError: for a bad option or a bad file, see `sr.data.sources.load_pair`.
        """
        for option, value, choices in (("cache", kind, KINDS), ("on_bad_file", on_bad_file, ("error", "skip"))):
            check_choice(f"data.{option}", value, choices)
        self._load = partial(load_pair, scale=scale, shrink=shrink)
        self._skip_bad = on_bad_file == "skip"
        device = device or torch.device("cpu")
        self.kind = _choose(sources, scale, device) if kind == "auto" else kind
        self.packed: PackedPairs | None = None
        digests = _digests(sources)
        if self.kind == "disk":
            key = _key(sources, digests, _FORMAT, scale, shrink)
            self._pairs: Sequence[Pair] | None = self._map(sources, (folder or Path.cwd()) / f"{key}.bin")
        else:
            kept: list[Source] = []
            pairs: list[Pair] = []
            flat: list[torch.Tensor] = []
            shapes: list[tuple[torch.Size, torch.Size]] = []
            self.sizes: list[tuple[int, int]] = []
            for source, (lr, hr) in self._decode(sources):
                kept.append(source)
                self.sizes.append((hr.shape[1], hr.shape[2]))
                if self.kind == "device":
                    flat += [lr.flatten().to(device), hr.flatten().to(device)]
                    shapes.append((lr.shape, hr.shape))
                elif self.kind == "memory":
                    pairs.append((lr, hr))
            self.sources = kept
            self._pairs = None if self.kind == "none" else pairs
            if shapes:
                self._pairs = self.packed = PackedPairs(torch.cat(flat), shapes)
        originals = [source for source in self.sources if not source.rotated]  # augmentation is not data
        self.fingerprint = _key(originals, digests)[:16]

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self.sources)

    def __getitem__(self, index: int) -> Pair:
        """Pair ``(lr, hr)`` at an index."""
        return self._load(self.sources[index]) if self._pairs is None else self._pairs[index]

    def _decode(self, sources: Sequence[Source]) -> Iterator[tuple[Source, Pair]]:
        """Decode in threads (Pillow and torch release the interpreter lock), in order, a few images ahead."""
        window = 4 * (os.cpu_count() or 1)
        with ThreadPoolExecutor() as pool:
            pending = [pool.submit(self._load, source) for source in sources[:window]]
            numbers = range(len(sources))
            try:
                for number in track(numbers, "decoding images", transient=True, disable=len(sources) < _QUIET_BELOW):
                    future = pending.pop(0)
                    if number + window < len(sources):
                        pending.append(pool.submit(self._load, sources[number + window]))
                    try:
                        yield sources[number], future.result()
                    except ImageFileError as error:
                        if not self._skip_bad:
                            raise UserError(f"{error}, or skip such files with data.on_bad_file=skip") from error
                        log.warning("skipped %s", error)
            finally:
                for future in pending:
                    future.cancel()

    def _map(self, sources: Sequence[Source], path: Path) -> PackedPairs:
        """Open the file of these sources, writing it first unless it is there and whole.

        Of several processes that need it one writes, and the others wait for it.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if is_held(path.with_suffix(".lock")):
                log.info("another process decodes these images, waiting for it")
            with hold(path.with_suffix(".lock")):
                entries, written = self._entries(sources, path)
        except OSError as error:
            raise UserError(
                f"{path.parent}: cannot write the image cache there ({error}): set data.cache_dir"
            ) from error
        if not written:
            kept = {name for name, *_ in entries}
            for source in sources:
                if source.name not in kept:
                    log.warning("skipped %s: unreadable when it was cached", source.hr)
        by_name = {source.name: source for source in sources}
        self.sources = [by_name[name] for name, *_ in entries]
        self.sizes = [(hr[1], hr[2]) for _, _, hr in entries]
        data = np.memmap(path, np.uint8, mode="c")  # c: pages are private, so torch may take them as writable
        return PackedPairs(torch.from_numpy(data), [(lr, hr) for _, lr, hr in entries])

    def _entries(self, sources: Sequence[Source], path: Path) -> tuple[list[Entry], bool]:
        """The entries of the file, and whether it had to be written; the caller holds its lock."""
        index_path = path.with_suffix(".json")
        entries = _read_index(path, index_path)
        if entries is not None and (len(entries) == len(sources) or self._skip_bad):
            return entries, False
        if entries is None and index_path.is_file():
            log.warning("%s: is torn, decoding the images again", path)
        remove_leftovers(path.parent, f"{path.stem}.*")
        index_path.unlink(missing_ok=True)  # it would be that of another file, were this killed between the two
        entries, checksum = [], 0
        with whole_file(path) as file:
            for source, pair in self._decode(sources):
                entries.append((source.name, list(pair[0].shape), list(pair[1].shape)))
                for image in pair:
                    content = image.numpy().tobytes()
                    checksum = zlib.crc32(content, checksum)
                    file.write(content)
            size = file.tell()
            if not entries:
                raise UserError("not one of the images could be read")
        write_text(index_path, json.dumps({"bytes": size, "crc32": checksum, "pairs": entries}))
        return entries, True


def _read_index(path: Path, index_path: Path) -> list[Entry] | None:
    """The entries of a cache file, or None if it or its index is missing or torn."""
    try:
        index = json.loads(index_path.read_text(encoding="utf-8"))
        entries: list[Entry] = index["pairs"]
        whole = path.stat().st_size == index["bytes"] and _checksum(path) == index["crc32"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return entries if whole else None


def _checksum(path: Path) -> int:
    checksum = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            checksum = zlib.crc32(block, checksum)
    return checksum


def _choose(sources: Sequence[Source], scale: int, device: torch.device) -> str:
    pixels = 0
    for source in sources:
        height, width = (
            (source.box[3] - source.box[1], source.box[2] - source.box[0]) if source.box else image_size(source.hr)
        )
        pixels += height * width
    size = 3 * pixels * (1 + 1 / scale**2)
    if device.type == "cuda" and size < _DEVICE_SHARE * torch.cuda.mem_get_info(device)[0]:
        return "device"
    if in_worker():
        return "disk"  # one copy for all processes
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 8 << 30
    return "memory" if size < _MEMORY_SHARE * memory else "disk"


def _digests(sources: Sequence[Source]) -> dict[Path, str]:
    """Content hash of every file; an unreadable one hashes to nothing and fails when it is decoded."""
    paths = {path for source in sources for path in (source.hr, source.lr) if path}

    def digest(path: Path) -> str:
        try:
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return ""

    with ThreadPoolExecutor() as pool:
        return dict(zip(paths, pool.map(digest, paths), strict=True))


def _key(sources: Sequence[Source], digests: dict[Path, str], *settings: int) -> str:
    rows = [
        (
            source.name,
            source.group,
            digests[source.hr],
            source.lr and digests[source.lr],
            source.box,
            source.rotated,
            source.factor,
        )
        for source in sources
    ]
    return hashlib.sha256(json.dumps([settings, rows]).encode()).hexdigest()
