"""Pairs in a memory-mapped file that is kept, and shared between processes."""

import json
import logging
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch

from sr.data.sources import Source
from sr.data.stores.packed import PackedPairs, Pair
from sr.errors import UserError
from sr.io.atomic import remove_leftovers, whole_file, write_text
from sr.io.locks import hold, is_held

log = logging.getLogger(__name__)

FORMAT = 4  # version of the file format; part of the file name
_BLOCK = 2**22  # bytes read at a time for a checksum

Entry: TypeAlias = tuple[str, list[int], list[int]]  # name, shapes of lr and hr


class DiskPairs:
    """Pairs in one file with an index beside it; one process writes it while others wait."""

    packed: PackedPairs | None

    def __init__(
        self,
        sources: Sequence[Source],
        decode: Callable[[], Iterator[tuple[Source, Pair]]],
        path: Path,
        *,
        bits: int = 8,
        skip_bad: bool,
    ) -> None:
        """Map the file at ``path``; write it first unless it exists and is intact.

        Args:
            sources: the pairs in the file.
            decode: decodes the sources; called only if the file has to be written.
            path: its name is a hash of everything that the pairs depend on.
            bits: of a value, 8 or 16.
            skip_bad: whether to accept a file that lacks some of the sources.

        Raises:
            UserError: if the folder cannot be written to, or no image could be read.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if is_held(path.with_suffix(".lock")):
                log.info("another process is decoding these images, waiting for it")
            with hold(path.with_suffix(".lock")):
                entries = _existing_entries(path)
                if entries is not None and (len(entries) == len(sources) or skip_bad):
                    _warn_about_missing(sources, entries)
                else:
                    entries = _write(path, decode())
        except OSError as error:
            raise UserError(f"{path.parent}: cannot write the image cache ({error}): set data.cache_dir") from error
        by_name = {source.name: source for source in sources}
        self.sources = [by_name[name] for name, *_ in entries]
        self.sizes = [(hr[1], hr[2]) for _, _, hr in entries]
        dtype = np.uint8 if bits == 8 else np.uint16
        data = np.memmap(path, dtype, mode="c")  # copy-on-write: torch expects writable memory
        self.packed = PackedPairs(torch.from_numpy(data), [(lr, hr) for _, lr, hr in entries])

    def __getitem__(self, index: int) -> Pair:
        """The pair at an index, as views of the mapped file."""
        assert self.packed
        return self.packed[index]

    def pairs(self) -> Iterator[tuple[Source, Pair]]:
        """All pairs with their sources, in order."""
        assert self.packed
        yield from zip(self.sources, self.packed, strict=True)

    def close(self) -> None:
        """Unmap the file."""
        self.packed = None


def _warn_about_missing(sources: Sequence[Source], entries: Sequence[Entry]) -> None:
    cached = {name for name, *_ in entries}
    for source in sources:
        if source.name not in cached:
            log.warning("skipped %s: it could not be read when the images were cached", source.hr)


def _existing_entries(path: Path) -> list[Entry] | None:
    """The entries of a cache file, or None if it or its index is missing or damaged."""
    index_path = path.with_suffix(".json")
    try:
        index = json.loads(index_path.read_text(encoding="utf-8"))
        entries: list[Entry] = index["pairs"]
        if path.stat().st_size == index["bytes"] and _checksum(path) == index["crc32"]:
            return entries
    except (OSError, ValueError, KeyError, TypeError):
        pass
    if index_path.is_file():
        log.warning("%s: the image cache is damaged, decoding the images again", path)
    return None


def _write(path: Path, decoded: Iterator[tuple[Source, Pair]]) -> list[Entry]:
    """Write the file and its index; the caller holds the lock."""
    index_path = path.with_suffix(".json")
    remove_leftovers(path.parent, f"{path.stem}.*")
    index_path.unlink(missing_ok=True)  # a kill between the two writes must not leave an outdated index
    entries: list[Entry] = []
    checksum = 0
    with whole_file(path) as file:
        for source, pair in decoded:
            entries.append((source.name, list(pair[0].shape), list(pair[1].shape)))
            for image in pair:
                content = image.numpy().tobytes()
                checksum = zlib.crc32(content, checksum)
                file.write(content)
        size = file.tell()
        if not entries:
            raise UserError("none of the images could be read: see the warnings above")
    write_text(index_path, json.dumps({"bytes": size, "crc32": checksum, "pairs": entries}))
    return entries


def _checksum(path: Path) -> int:
    checksum = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            checksum = zlib.crc32(block, checksum)
    return checksum
