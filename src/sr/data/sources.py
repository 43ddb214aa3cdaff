"""Where image pairs come from: folders, or the photographs inside scikit-image."""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from sr.errors import UserError
from sr.io.images import SUFFIXES

_ISR_SET = "adityachandrasekhar/image-super-resolution on Kaggle"
_ISR_LAYOUTS = ("", "Raw Data", "dataset/Raw Data")  # plain folder, or the archive as it unpacks
_CLUTTER = frozenset({"thumbs.db", "desktop.ini"})  # what file managers leave behind; hidden files are skipped too
# Everyday photographs among those in scikit-image's wheel, all public domain or CC0 by their docstrings (coins: no
# known restrictions). Microscope and telescope pictures are left out.
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
        group: the photograph it comes from; one group never falls on two sides of a split.
        hr: file of the high-resolution image.
        lr: file of the low-resolution image, or None to derive it.
        box: (left, top, right, bottom) cut out of ``hr`` in pixels, or None for the whole.
        rotated: True for the copy turned by 45 degrees.
        factor: for networks that take the enlarged image: ``lr`` is shrunk by this and enlarged again, by MATLAB's
            bicubic and both times rounded to 8 bits, to the size of ``hr``.
    """

    name: str
    group: str
    hr: Path
    lr: Path | None = None
    box: tuple[int, int, int, int] | None = None
    rotated: bool = False
    factor: int | None = None


def isr_folders(root: str | Path | Sequence[str | Path] | None) -> list[Source]:
    """List the pairs of one or several folders with ``high_res/`` and, optionally, ``low_res/``.

    Args:
        root: a folder, or several. The ISR archive is taken as it unpacks (``dataset/Raw Data/high_res``).

    Returns:
        Sources sorted by name: the file name without its ending, behind the folder's name if there are several.

    Raises:
        UserError: without a root, without ``high_res/``, for an empty folder, for a name without its partner, and
            for two files of one name.
    """
    if root is None or root == []:
        raise UserError(
            f"data=isr needs data.root=FOLDER: a folder with high_res/ and optionally low_res/ (same file names), "
            f"or the unpacked ISR set ({_ISR_SET}); data=demo needs no download"
        )
    return [source for one, prefix in _roots(root) for source in _isr_folder(one, prefix)]


def image_folder(root: str | Path | Sequence[str | Path] | None) -> list[Source]:
    """List the images of one or several plain folders, as high-resolution ones without partners.

    A folder may also have the form of `isr_folders`: then ``high_res/`` and ``low_res/`` are taken.

    Args:
        root: a folder, or several.

    Returns:
        Sources sorted by name, as of `isr_folders`.

    Raises:
        UserError: as `isr_folders`.
    """
    if root is None or root == []:
        raise UserError("data=folder needs data.root=FOLDER: a folder of high-resolution images, or several: [A,B]")
    return [source for one, prefix in _roots(root) for source in _plain_or_isr_folder(one, prefix)]


def _plain_or_isr_folder(root: Path, prefix: str) -> list[Source]:
    if not root.is_dir():
        raise UserError(f"{root}: no such folder (data.root)")
    if find_base(root):
        return _isr_folder(root, prefix)
    files = _images_by_stem(root)
    if not files:
        raise UserError(f"{root}: no images in it ({', '.join(sorted(SUFFIXES))})")
    return [Source(prefix + stem, prefix + stem, path) for stem, path in sorted(files.items())]


def _roots(root: str | Path | Sequence[str | Path]) -> list[tuple[Path, str]]:
    """Folders, and what goes before the names of their images where there are several."""
    listed = root if isinstance(root, Sequence) and not isinstance(root, str) else [root]
    roots = [Path(str(one)).expanduser() for one in listed]  # str: a folder named 2024 comes as a number
    if len({one.resolve() for one in roots}) < len(roots):
        raise UserError(f"data.root names one folder twice: {', '.join(map(str, roots))}")
    labels = [one.resolve().name for one in roots]
    if len(set(labels)) < len(labels):
        labels = [f"{number}_{label}" for number, label in enumerate(labels)]
    prefixes = [""] if len(roots) == 1 else [f"{label}/" for label in labels]
    return list(zip(roots, prefixes, strict=True))


def _isr_folder(root: Path, prefix: str) -> list[Source]:
    if not root.is_dir():
        raise UserError(f"{root}: no such folder (data.root)")
    base = find_base(root)
    if base is None:
        if root.name == "high_res":
            raise UserError(f"{root}: name the folder above it: data.root={root.parent}")
        raise UserError(f"{root}: no folder high_res/ in it: put the sharp images into {root / 'high_res'}")
    high = _images_by_stem(base / "high_res")
    if not high:
        raise UserError(f"{base / 'high_res'}: is empty: put image files into it ({', '.join(sorted(SUFFIXES))})")
    low: dict[str, Path] = {}
    if (base / "low_res").is_dir():
        low = _images_by_stem(base / "low_res")
        for here, there, side in ((high, low, "low_res"), (low, high, "high_res")):
            if missing := sorted(set(here) - set(there)):
                more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
                raise UserError(
                    f"{here[missing[0]]}: has no partner of that name in {side}/{more}: "
                    f"add it, or remove low_res/ to derive all low-resolution images"
                )
    return [Source(prefix + stem, prefix + stem, path, low.get(stem)) for stem, path in sorted(high.items())]


def find_base(root: Path) -> Path | None:
    """The folder that holds ``high_res/``: ``root``, or one inside an unpacked archive; None for a plain folder."""
    return next((root / layout for layout in _ISR_LAYOUTS if (root / layout / "high_res").is_dir()), None)


def files_in(folder: Path) -> list[Path]:
    """The files of a folder, sorted, without hidden ones and what file managers leave behind."""
    return [
        path
        for path in sorted(folder.iterdir())
        if not path.name.startswith(".") and path.name.lower() not in _CLUTTER and not path.is_dir()
    ]


def _images_by_stem(folder: Path) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for path in files_in(folder):
        if path.stem in files:
            raise UserError(f"{path}: {files[path.stem].name} has the same name: rename one of them")
        files[path.stem] = path
    return files


def demo_photographs(root: None = None) -> list[Source]:
    """List 256x256 tiles of the photographs inside scikit-image, grouped by photograph; ``root`` is not used.

    Raises:
        UserError: if the installed scikit-image lacks one of them.
    """
    spec = importlib.util.find_spec("skimage")  # found, not imported: the import takes a second
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
