"""Hashes of image files and data sets."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sr.data.degrade.base import Degradation, full_key
from sr.data.degrade.bicubic import BICUBIC
from sr.data.sources import Source
from sr.io.hashes import file_hash


def digests_of(sources: Sequence[Source]) -> dict[Path, str]:
    """Content hash of every file; empty for an unreadable file, which is reported when it is decoded."""
    paths = {path for source in sources for path in (source.hr, source.lr) if path}

    def digest(path: Path) -> str:
        try:
            return file_hash(path)
        except OSError:
            return ""

    with ThreadPoolExecutor() as pool:
        return dict(zip(paths, pool.map(digest, paths), strict=True))


def key_of(sources: Sequence[Source], digests: Mapping[Path, str], *settings: int | str) -> str:
    """Hash of everything that decoded pairs depend on: names, file contents and settings.

    Args:
        sources: the pairs, in order.
        digests: content hash of each of their files.
        settings: other values that the pairs depend on.
    """
    rows = [
        (
            source.name,
            source.group,
            digests[source.hr],
            source.lr and digests[source.lr],
            source.box,
            source.rotated,
            source.factor,
            *([source.size] if source.size != 1 else []),  # others keep the key of earlier versions
        )
        for source in sources
    ]
    return hashlib.sha256(json.dumps([settings, rows]).encode()).hexdigest()


def content_hash(source: Source, digests: Mapping[Path, str], *, hr_only: bool = False) -> str:
    """Hash of the name and the file contents of one pair; or of its high resolution alone, by whatever name."""
    hashed = Source("", "", source.hr, box=source.box) if hr_only else source
    return key_of([hashed], digests)[:16]


def fingerprint_of(sources: Sequence[Source], digests: Mapping[Path, str], *settings: int | str) -> str:
    """Hash of the names and file contents of a data set, without rotated and shrunk copies, which are augmentation.

    ``settings`` are those of `sr.io.pixel_formats.PixelFormat` and of `degradation_settings`: the same files decoded or
    degraded otherwise are other data.
    """
    return key_of([source for source in sources if not source.is_copy], digests, *settings)[:16]


def degradation_settings(degradation: Degradation, seed: int) -> tuple[str, ...]:
    """What distinguishes degraded images from those of MATLAB's bicubic; empty for the latter, as in earlier versions.

    The seed counts where something is drawn.
    """
    if degradation == BICUBIC:
        return ()
    key = full_key(degradation)
    return (key, f"seed={seed}") if degradation.is_random else (key,)
