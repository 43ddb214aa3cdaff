"""List image pairs: those in folders, or the photographs in scikit-image."""

import importlib.util
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from sr.errors import UserError
from sr.io.images import SUFFIXES
from sr.io.paths import user_path

log = logging.getLogger(__name__)

_ISR_SET = "adityachandrasekhar/image-super-resolution on Kaggle"
_ISR_LAYOUTS = ("", "Raw Data", "dataset/Raw Data")  # a plain folder, or the unpacked archive
_CLUTTER = frozenset({"thumbs.db", "desktop.ini"})  # written by file managers; hidden files are ignored as well
# The everyday photographs in scikit-image's wheel, without microscope and telescope images. According to their
# docstrings, all are public domain or CC0 (coins: no known restrictions).
_DEMO_PHOTOGRAPHS = (
    *("astronaut.png", "brick.png", "camera.png", "chelsea.png", "coffee.png", "coins.png"),
    *("grass.png", "gravel.png", "rocket.jpg"),
)
_DEMO_TILE = 256


@dataclass(frozen=True)
class Source:
    """One image pair before it is decoded.

    Attributes:
        name: unique in its data set.
        group: the photograph it comes from; a split never divides a group.
        hr: high-resolution file.
        lr: low-resolution file, or None to derive the image.
        box: crop (left, top, right, bottom) of ``hr`` in pixels, or None for the whole image.
        rotated: whether this is a copy rotated by 45 degrees.
        factor: for networks with enlarged input: ``lr`` is ``hr`` downscaled by this factor and upscaled again, by
            MATLAB's bicubic and rounded to 8 bits each time.
    """

    name: str
    group: str
    hr: Path
    lr: Path | None = None
    box: tuple[int, int, int, int] | None = None
    rotated: bool = False
    factor: int | None = None


def isr_folders(root: str | Path | Sequence[str | Path] | None, on_bad_file: str = "error") -> list[Source]:
    """List the pairs of one or several folders with ``high_res/`` and, optionally, ``low_res/``.

    Args:
        root: a folder, or several. The ISR archive works as unpacked (``dataset/Raw Data/high_res``).
        on_bad_file: ``skip`` leaves out files that are not images or have no partner, with a warning for each.

    Returns:
        Sources sorted by name: the file name without its suffix, prefixed with the folder's name if there are several.

    Raises:
        UserError: without a root or ``high_res/``, for an empty folder, for a file without a partner unless such files
            are skipped, or for two files of the same name.
    """
    if root is None or root == []:
        raise UserError(
            f"data=isr needs data.root=FOLDER: a folder with high_res/ and optionally low_res/ (same file names), "
            f"or the unpacked ISR set ({_ISR_SET}); data=demo needs no download"
        )
    skip_bad = on_bad_file == "skip"
    return [source for folder, prefix in _roots(root) for source in _isr_folder(folder, prefix, skip_bad)]


def image_folder(root: str | Path | Sequence[str | Path] | None, on_bad_file: str = "error") -> list[Source]:
    """List the images of one or several folders as high-resolution images without partners.

    If a folder has the layout of `isr_folders`, its ``high_res/`` and ``low_res/`` are used.

    Args:
        root: a folder, or several.
        on_bad_file: as for `isr_folders`.

    Returns:
        As `isr_folders`.

    Raises:
        UserError: as `isr_folders`.
    """
    if root is None or root == []:
        raise UserError("data=folder needs data.root=FOLDER: a folder of high-resolution images, or several: [A,B]")
    skip_bad = on_bad_file == "skip"
    return [source for folder, prefix in _roots(root) for source in _plain_or_isr_folder(folder, prefix, skip_bad)]


def _plain_or_isr_folder(root: Path, prefix: str, skip_bad: bool) -> list[Source]:
    if not root.is_dir():
        raise UserError(f"{root}: no such folder (data.root)")
    if find_base(root):
        return _isr_folder(root, prefix, skip_bad)
    files = _images_by_stem(root, skip_bad)
    if not files:
        raise UserError(f"{root}: no images in it ({', '.join(sorted(SUFFIXES))})")
    return [Source(prefix + stem, prefix + stem, path) for stem, path in sorted(files.items())]


def _roots(root: str | Path | Sequence[str | Path]) -> list[tuple[Path, str]]:
    """Folders, each with the prefix for the names of its images; the prefix of a single folder is empty."""
    folders = root if isinstance(root, Sequence) and not isinstance(root, str) else [root]
    roots = [user_path(folder) for folder in folders]
    if len({folder.resolve() for folder in roots}) < len(roots):
        raise UserError(f"data.root contains a folder twice: {', '.join(map(str, roots))}")
    labels = [folder.resolve().name for folder in roots]
    if len(set(labels)) < len(labels):
        labels = [f"{number}_{label}" for number, label in enumerate(labels)]
    prefixes = [""] if len(roots) == 1 else [f"{label}/" for label in labels]
    return list(zip(roots, prefixes, strict=True))


def _isr_folder(root: Path, prefix: str, skip_bad: bool) -> list[Source]:
    if not root.is_dir():
        raise UserError(f"{root}: no such folder (data.root)")
    base = find_base(root)
    if base is None:
        if root.name == "high_res":
            raise UserError(f"{root}: choose its parent folder: data.root={root.parent}")
        raise UserError(f"{root}: no folder high_res/ in it: put the high-resolution images into {root / 'high_res'}")
    high = _images_by_stem(base / "high_res", skip_bad)
    low = _images_by_stem(base / "low_res", skip_bad) if (base / "low_res").is_dir() else None
    if low is not None:
        _check_partners(high, low, "low_res", skip_bad)
        _check_partners(low, high, "high_res", skip_bad)
    paired = {stem: path for stem, path in sorted(high.items()) if low is None or stem in low}
    if not paired:
        raise UserError(f"{base / 'high_res'}: no images in it: put image files there ({', '.join(sorted(SUFFIXES))})")
    return [Source(prefix + stem, prefix + stem, path, (low or {}).get(stem)) for stem, path in paired.items()]


def _check_partners(files: dict[str, Path], partners: dict[str, Path], folder: str, skip_bad: bool) -> None:
    """Refuse files without a partner in the given folder, or warn about each."""
    missing = sorted(set(files) - set(partners))
    if missing and not skip_bad:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise UserError(
            f"{files[missing[0]]}: has no partner of that name in {folder}/{more}: add it, remove low_res/ to derive "
            f"all low-resolution images, or skip such files with data.on_bad_file=skip"
        )
    for stem in missing:
        log.warning("skipped %s: has no partner of that name in %s/", files[stem], folder)


def find_base(root: Path) -> Path | None:
    """The folder that contains ``high_res/``: ``root``, or one inside an unpacked archive; None if there is none."""
    return next((root / layout for layout in _ISR_LAYOUTS if (root / layout / "high_res").is_dir()), None)


def files_in(folder: Path) -> list[Path]:
    """The files of a folder, sorted, without hidden files and those of file managers."""
    return [
        path
        for path in sorted(folder.iterdir())
        if not path.name.startswith(".") and path.name.lower() not in _CLUTTER and not path.is_dir()
    ]


def _images_by_stem(folder: Path, skip_bad: bool) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for path in files_in(folder):
        if skip_bad and path.suffix.lower() not in SUFFIXES:
            log.warning("skipped %s: not an image file", path)
            continue
        if path.stem in files:
            raise UserError(f"{path}: {files[path.stem].name} has the same name: rename one of them")
        files[path.stem] = path
    return files


def demo_photographs(root: None = None, on_bad_file: str = "error") -> list[Source]:
    """List 256x256 tiles of the photographs in scikit-image, grouped by photograph; the arguments are ignored.

    Raises:
        UserError: if the installed scikit-image lacks one of them.
    """
    spec = importlib.util.find_spec("skimage")  # not imported: that would take a second
    folders = spec.submodule_search_locations if spec else None
    if not folders:
        raise UserError("data=demo needs scikit-image: pip install scikit-image")
    sources = []
    for file in _DEMO_PHOTOGRAPHS:
        path = Path(folders[0], "data", file)
        if not path.is_file():
            raise UserError(f"{path}: not in the installed scikit-image: reinstall it, or use data=isr data.root=DIR")
        with Image.open(path) as image:
            width, height = image.size
        for top in range(0, height - _DEMO_TILE + 1, _DEMO_TILE):
            for left in range(0, width - _DEMO_TILE + 1, _DEMO_TILE):
                box = (left, top, left + _DEMO_TILE, top + _DEMO_TILE)
                sources.append(Source(f"{path.stem}_{top}_{left}", path.stem, path, box=box))
    return sources
