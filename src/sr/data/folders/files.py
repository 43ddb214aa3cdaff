"""The files and subfolders of a folder, without hidden ones."""

import os
from pathlib import Path
from typing import NoReturn

from sr.errors import UserError
from sr.io.images import SUFFIXES

DEGRADED = "degraded.json"  # how `sr degrade` made the images beside it
_NO_DATA = frozenset({"thumbs.db", "desktop.ini", DEGRADED})  # the first two are written by file managers


def files_in(folder: Path, *, recursive: bool = False) -> list[Path]:
    """The files of a folder, sorted, without hidden files and folders and what programs write about its files.

    Args:
        folder: an existing folder.
        recursive: whether files in subfolders count; a folder that is linked into itself is read once.

    Raises:
        UserError: if it cannot be read.
    """
    files: list[Path] = []
    seen: set[Path] = set()
    for parent, folders, names in os.walk(folder, onerror=_refuse, followlinks=True):
        place = Path(parent).resolve()
        if not recursive or place in seen:
            folders.clear()
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if place not in seen:
            files += [Path(parent, name) for name in names if not _is_no_data(name)]
        seen.add(place)
    return sorted(files)


def subfolders(folder: Path) -> list[Path]:
    """The folders in a folder, sorted, without hidden ones; none if there is no such folder."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return sorted(folder / entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir())


def descend(folder: Path, path: str) -> Path | None:
    """A folder below another, whatever the case of its name; None if there is none."""
    for name in path.split("/"):
        names = {child.name: child for child in subfolders(folder)}
        same = names.get(name) or next((child for key, child in names.items() if key.lower() == name.lower()), None)
        if same is None:
            return None
        folder = same
    return folder


def is_image(path: Path) -> bool:
    """Whether a file has the suffix of an image."""
    return path.suffix.lower() in SUFFIXES


def has_images(folder: Path, *, recursive: bool = False) -> bool:
    """Whether a folder holds files with the suffix of an image."""
    return any(map(is_image, files_in(folder, recursive=recursive)))


def _is_no_data(name: str) -> bool:
    return name.startswith(".") or name.lower() in _NO_DATA


def _refuse(error: OSError) -> NoReturn:
    raise UserError(f"{error.filename}: cannot be read ({error.strerror})") from error
