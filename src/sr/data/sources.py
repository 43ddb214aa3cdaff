"""List image pairs: those in folders, or the photographs in scikit-image."""

import importlib.util
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from sr.data.folders.named import FolderOptions, find_pairing, pairs_in
from sr.data.folders.pairing import Listing, Pairing
from sr.errors import UserError
from sr.io.paths import user_path
from sr.terms import Part

log = logging.getLogger(__name__)

_ISR_SET = "adityachandrasekhar/image-super-resolution on Kaggle"
_SUB_IMAGE = re.compile(r"(.+)_s\d{3,}")  # as BasicSR's extract_subimages.py names what it cuts from a photograph
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
        size: of a copy that is shrunk by MATLAB's bicubic: its sides as a share of those of the image.
        factor: for networks with enlarged input: ``lr`` is ``hr`` downscaled by this factor and upscaled again, by
            MATLAB's bicubic and rounded to 8 bits each time.
        part: of the split that the image belongs to; None if the split decides.
    """

    name: str
    group: str
    hr: Path
    lr: Path | None = None
    box: tuple[int, int, int, int] | None = None
    rotated: bool = False
    factor: int | None = None
    part: Part | None = None
    size: float = 1.0

    @property
    def is_copy(self) -> bool:
        """Whether it is augmentation: a copy of another source, for training alone."""
        return self.rotated or self.size != 1


def isr_folders(
    root: str | Path | Sequence[str | Path] | None,
    on_bad_file: str = "error",
    *,
    scale: int | None = None,
    high_res: str | None = None,
    low_res: str | None = None,
    low_res_name: str | None = None,
    recursive: bool = False,
) -> list[Source]:
    """List the pairs of one or several folders with ``high_res/`` and, optionally, ``low_res/``, or of another layout.

    Args:
        root: a folder, or several, of a layout in `sr.data.folders.layouts`. The ISR archive works as unpacked
            (``dataset/Raw Data/high_res``).
        on_bad_file: ``skip`` leaves out files that are not images or have no partner, with a warning for each.
        scale: factor of the sides, for data sets with low resolution of several; None for the only one.
        high_res: in place of ``root``, a folder of high-resolution images that is taken as it is.
        low_res: folder of the low-resolution images, in place of the one of the layout.
        low_res_name: what they are called, from ``{stem}`` and ``{scale}``.
        recursive: whether images in subfolders count.

    Returns:
        Sources sorted by name: the path below the folder without suffix, prefixed with the folder's name if there are
        several. Validation images that the data set itself names have that part, and the prefix ``val/``.

    Raises:
        UserError: without a folder, for one without images or of another layout, for a file without a partner unless
            such files are skipped, for two files of the same name, or if it is not clear what is what.
    """
    if root in (None, []) and high_res is None:
        raise UserError(
            f"data=isr needs data.root=FOLDER: a folder with high_res/ and optionally low_res/ (same file names), "
            f"or the unpacked ISR set ({_ISR_SET}); data=demo needs no download"
        )
    options = FolderOptions(scale, _path(low_res), low_res_name, recursive, is_high=high_res is not None)
    located = _located(_roots(root, high_res, low_res), options)
    for pairing, _ in located:
        if pairing.is_plain and not options.is_high:
            raise UserError(_not_isr(pairing.high))
    return _sources(located, options, on_bad_file)


def image_folder(
    root: str | Path | Sequence[str | Path] | None,
    on_bad_file: str = "error",
    *,
    scale: int | None = None,
    high_res: str | None = None,
    low_res: str | Path | None = None,
    low_res_name: str | None = None,
    recursive: bool = False,
) -> list[Source]:
    """List the images of one or several folders of any layout, or of any name, as `isr_folders` does.

    Images without low resolution are high-resolution images whose partners are derived.

    Args:
        root: a folder, or several.
        on_bad_file: as for `isr_folders`.
        scale: as for `isr_folders`.
        high_res: as for `isr_folders`.
        low_res: as for `isr_folders`.
        low_res_name: as for `isr_folders`.
        recursive: as for `isr_folders`.

    Returns:
        As `isr_folders`.

    Raises:
        UserError: as `isr_folders`.
    """
    if root in (None, []) and high_res is None:
        raise UserError("data=folder needs data.root=FOLDER: a folder of high-resolution images, or several: [A,B]")
    options = FolderOptions(scale, _path(low_res), low_res_name, recursive, is_high=high_res is not None)
    return _sources(_located(_roots(root, high_res, low_res), options), options, on_bad_file)


def one_set(folder: Path, options: FolderOptions) -> list[Source]:
    """The images of a folder of any layout that is one set, as a benchmark is.

    Raises:
        UserError: as `isr_folders`, and if the folder has images for training and others for validation.
    """
    pairing = find_pairing(folder, options)
    if validation := pairing.validation:
        raise UserError(f"{folder}: has images for training and for validation: name one, such as {validation.high}")
    return _sources([(pairing, "")], options, "error")


def _located(roots: Sequence[tuple[Path, str]], options: FolderOptions) -> list[tuple[Pairing, str]]:
    return [(find_pairing(folder, options), prefix) for folder, prefix in roots]


def _sources(located: Sequence[tuple[Pairing, str]], options: FolderOptions, on_bad_file: str) -> list[Source]:
    """The sources of folders, each with the prefix of its images; the validation images that they name come last."""
    skip_bad = on_bad_file == "skip"
    sources: list[Source] = []
    validation: list[Source] = []
    for pairing, prefix in located:
        sources += _of_pairing(pairing, options, prefix, skip_bad)
        if pairing.validation:
            validation += _of_pairing(pairing.validation, options, prefix, skip_bad)
    return sources + as_part(validation, Part.VAL, sources)


def as_part(sources: Sequence[Source], part: Part, others: Sequence[Source]) -> list[Source]:
    """Images of one part of the split, prefixed with its name, which none of the others has."""
    taken = {source.name.partition("/")[0] for source in others}
    label = part if part not in taken else f"{part}_root"
    return [
        replace(source, name=f"{label}/{source.name}", group=f"{label}/{source.group}", part=part) for source in sources
    ]


def _of_pairing(pairing: Pairing, options: FolderOptions, prefix: str, skip_bad: bool) -> list[Source]:
    for line in pairing.lines:
        log.warning("%s", line)
    listing = pairs_in(pairing, options, only_images=skip_bad)
    for stray in listing.strays:
        log.warning("skipped %s: not an image file", stray)
    if listing.same_name:
        path, first = listing.same_name[0]
        raise UserError(f"{path}: {first.name} has the same name: rename one of them")
    _check_partners(listing, skip_bad)
    unpaired = {path for path, _ in listing.unpaired}
    pairs = [pair for pair in listing.pairs if pair.hr not in unpaired]
    if not pairs:
        raise UserError(f"{pairing.high}: no image in it has low resolution in {pairing.low}")
    groups = photographs([pair.name for pair in pairs])
    if len(set(groups)) < len(pairs):
        log.warning("%s: %d sub-images of %d photographs", pairing.high, len(pairs), len(set(groups)))
    return [
        Source(prefix + pair.name, prefix + group, pair.hr, pair.lr) for pair, group in zip(pairs, groups, strict=True)
    ]


def photographs(names: Sequence[str]) -> list[str]:
    """The photograph of each image: its name, or what stands before the numbers of sub-images if all have one.

    >>> photographs(["0001_s001", "0001_s002", "0002_s001"]), photographs(["0001_s001", "cat"])
    (['0001', '0001', '0002'], ['0001_s001', 'cat'])
    """
    matches = [_SUB_IMAGE.fullmatch(name) for name in names]
    found = [match[1] for match in matches if match]
    return found if len(found) == len(names) else list(names)


def _path(folder: str | Path | None) -> Path | None:
    return None if folder is None else user_path(folder)


def _roots(
    root: str | Path | Sequence[str | Path] | None, high_res: str | Path | None, low_res: str | Path | None
) -> list[tuple[Path, str]]:
    """Folders, each with the prefix for the names of its images; the prefix of a single folder is empty."""
    if high_res is not None and root not in (None, []):
        raise UserError(f"data.high_res={high_res} stands in place of data.root: leave out one of them")
    named = high_res if high_res is not None else root
    folders = named if isinstance(named, Sequence) and not isinstance(named, str) else [named]
    roots = [user_path(folder) for folder in folders]
    if len({folder.resolve() for folder in roots}) < len(roots):
        raise UserError(f"data.root contains a folder twice: {', '.join(map(str, roots))}")
    if low_res is not None and len(roots) > 1:
        raise UserError(f"data.low_res={low_res} belongs to one folder, and data.root names {len(roots)}")
    labels = [folder.resolve().name for folder in roots]
    if len(set(labels)) < len(labels):
        labels = [f"{number}_{label}" for number, label in enumerate(labels)]
    prefixes = [""] if len(roots) == 1 else [f"{label}/" for label in labels]
    return list(zip(roots, prefixes, strict=True))


def _not_isr(root: Path) -> str:
    """Why a folder of no known layout is refused where pairs are expected."""
    if root.name == "high_res":
        return f"{root}: choose its parent folder: data.root={root.parent}"
    return f"{root}: no folder high_res/ in it: put the high-resolution images into {root / 'high_res'}"


def _check_partners(listing: Listing, skip_bad: bool) -> None:
    """Refuse files without a partner, or warn about each."""
    if listing.unpaired and not skip_bad:
        path, folder = listing.unpaired[0]
        more = f" (and {len(listing.unpaired) - 1} more)" if len(listing.unpaired) > 1 else ""
        raise UserError(
            f"{path}: has no partner of that name in {folder.name}/{more}: add it, remove all low resolution to derive "
            f"it, or skip such files with data.on_bad_file=skip"
        )
    for path, folder in listing.unpaired:
        log.warning("skipped %s: has no partner of that name in %s/", path, folder.name)


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
