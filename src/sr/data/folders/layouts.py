"""Where data sets keep their images: the layouts that are recognised by the names of folders."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from sr.data.folders.files import descend, files_in, has_images, is_image, subfolders
from sr.data.folders.marks import marked
from sr.data.folders.pairing import Pairing
from sr.errors import UserError, some_of


class Layout(NamedTuple):
    """A folder of high-resolution images, and the folders beside it that may hold the low resolution.

    Attributes:
        high: pattern of the name of the folder.
        by_scale: folders of one scale, as paths from its parent; ``{base}`` is that of the pattern.
        low: a folder beside it whose scale is not stated; empty if there is no such layout.
    """

    high: str
    by_scale: tuple[str, ...] = ()
    low: str = ""

    def folders_by_scale(self, high: Path) -> dict[int, Path]:
        """The folders of low resolution that a folder has, by their scales; of several the first in the table."""
        base = self._base(high)
        return {
            scale: folder
            for template in reversed(self.by_scale)
            for scale in _SCALES
            if (folder := descend(high.parent, template.format(base=base, scale=scale)))
        }

    def wanted(self, high: Path, scale: int | None) -> str:
        """The folder of low resolution that is looked for first."""
        return (*self.by_scale, self.low)[0].format(base=self._base(high), scale=scale or "2")

    def _base(self, high: Path) -> str:
        match = re.fullmatch(self.high, high.name, re.IGNORECASE)
        assert match
        return match.groupdict().get("base", "")


# adityachandrasekhar/image-super-resolution on Kaggle; also at the two places in the unpacked archive.
_ISR = Layout("high_res", low="low_res")
_ISR_ARCHIVES = ("", "Raw Data", "dataset/Raw Data")

# The benchmark sets as BasicSR's MATLAB scripts make them (docs/DatasetPreparation.md in
# github.com/XPixelGroup/BasicSR): Set5/GTmod12/baby.png, cropped to multiples of 12, and Set5/LRbicx2/baby.png.
_GT_MOD = Layout(r"GTmod\d+", ("LRbicx{scale}",))

_LAYOUTS = (
    _ISR,
    _GT_MOD,
    # The benchmark sets of EDSR (benchmark.tar, github.com/sanghyun-son/EDSR-PyTorch): Set5/HR/baby.png and
    # Set5/LR_bicubic/X2/babyx2.png; and HR/ beside LR/, as many people have them.
    Layout("HR", ("LR_bicubic/X{scale}", "LR/X{scale}"), "LR"),
    # Sub-images cut by BasicSR's extract_subimages.py: DIV2K_train_HR_sub/0001_s001.png and
    # DIV2K_train_LR_bicubic/X2_sub/0001_s001.png.
    Layout(r"(?P<base>.+)_HR_sub", ("{base}_LR_bicubic/X{scale}_sub",)),
    # DIV2K (Agustsson and Timofte 2017, data.vision.ee.ethz.ch/cvl/DIV2K) as unpacked: DIV2K_train_HR/0001.png and
    # DIV2K_train_LR_bicubic/X2/0001x2.png, for scale 8 DIV2K_train_LR_x8/0001x8.png; on Kaggle each archive is unpacked
    # into a folder of its own. Flickr2K (github.com/limbee/NTIRE2017) has the same names.
    Layout(
        r"(?P<base>.+)_HR",
        (
            "{base}_LR_bicubic/X{scale}",
            "{base}_LR_bicubic_X{scale}/{base}_LR_bicubic/X{scale}",
            "{base}_LR_bicubic_X{scale}",
            "{base}_LR_x{scale}",
        ),
    ),
)

# The folders of Huang et al. 2015, see `sr.data.folders.marks`: Set5/image_SRF_2, Set5/image_SRF_3, ...
_SRF = re.compile(r"image_SRF_(\d+)")

# Names of folders with low resolution, of any scale.
_LOW = re.compile(r"low_res|LR|LR_bicubic|LRbicx\d+|.+_LR_(bicubic|x\d).*|X\d+(_sub)?", re.IGNORECASE)

_SCALES = range(1, 17)


def locate(root: Path, scale: int | None = None, *, recursive: bool = False) -> Pairing:
    """Recognise the layout of a folder, by what is in it or stands beside it.

    Args:
        root: an existing folder.
        scale: factor of the sides; None for the only one that the data set has.
        recursive: whether images in subfolders of a plain folder count.

    Raises:
        UserError: if several layouts or scales fit, or if the folder holds low-resolution images.
    """
    for archive in _ISR_ARCHIVES:
        if candidates := _candidates(root / archive):
            return _in_container(root / archive, candidates, scale)
    place = root.resolve()
    _refuse_low_resolution(root, place)
    if pairs := marked(root, scale, recursive=recursive):
        return pairs
    layout = _layout_of(place.name)
    if layout and layout is not _ISR:
        pairing = _with_low(place, layout, scale, is_asked=False)
        return replace(pairing, high=root, is_plain=not pairing.low and not pairing.low_note)
    notes = () if recursive else _unread_subfolders(root)
    low_note = ""
    if layout and descend(place.parent, layout.low):
        low_note = f"{root}: low resolution is derived: name its parent folder to use low_res/"
    return Pairing(root, is_plain=True, notes=notes, low_note=low_note)


def folder_of_scale(folder: Path, scale: int | None) -> Path:
    """The folder ``X2`` in a folder of low resolution without images of its own; otherwise the folder itself."""
    inner = descend(folder, f"X{scale}")
    return inner if inner and not has_images(folder) else folder


def set_name(folder: Path) -> str:
    """What a data set is called: its folder, or the one above it if that only says which images it holds.

    >>> set_name(Path("/data/Set5/GTmod12")), set_name(Path("/data/DIV2K_valid_HR"))
    ('Set5', 'DIV2K_valid_HR')
    """
    place = folder.resolve()
    layout = _layout_of(place.name)
    is_part = _SRF.fullmatch(place.name) or (layout and "base" not in layout.high)
    return place.parent.name if is_part else place.name


def low_resolution_below(root: Path) -> Path | None:
    """The first image below a folder that is in a subfolder with the name of one of low resolution."""
    for path in files_in(root, recursive=True):
        if is_image(path) and any(_LOW.fullmatch(part) for part in path.relative_to(root).parts[:-1]):
            return path
    return None


def _layout_of(name: str) -> Layout | None:
    """The layout whose high resolution is in a folder of that name."""
    return next((layout for layout in _LAYOUTS if re.fullmatch(layout.high, name, re.IGNORECASE)), None)


def _candidates(base: Path) -> list[Path]:
    """The folders in a folder that hold the high resolution of some layout."""
    return [path for path in subfolders(base) if _layout_of(path.name) or _SRF.fullmatch(path.name)]


def _in_container(base: Path, candidates: Sequence[Path], scale: int | None) -> Pairing:
    """The layout of a folder with one or more folders of high resolution."""
    main, validation = _chosen(base, candidates, scale)
    layout = _layout_of(main.name)
    if layout:
        pairing = _with_low(main, layout, scale, is_asked=layout is not _ISR)
    else:
        pairing = marked(main, scale) or Pairing(main)
    if beside := sum(map(is_image, files_in(base))):
        many = f"{beside} images" if beside > 1 else "1 image"
        pairing = replace(pairing, notes=(*pairing.notes, f"{base}: {many} beside {main.name}/ left out"))
    if validation and (layout := _layout_of(validation.name)):
        pairing = replace(pairing, validation=_with_low(validation, layout, scale, is_asked=True))
    return pairing


def _chosen(base: Path, candidates: Sequence[Path], scale: int | None) -> tuple[Path, Path | None]:
    """The folder of high resolution that counts, and that of the validation images if the data set has one.

    Raises:
        UserError: if it is not clear which of several is meant.
    """
    by_scale = {int(match[1]): path for path in candidates if (match := _SRF.fullmatch(path.name))}
    if len(by_scale) == len(candidates):
        return by_scale[_scale_among(base, by_scale, scale) or min(by_scale)], None
    by_divisor = {int(path.name[len("GTmod") :]): path for path in candidates if _layout_of(path.name) is _GT_MOD}
    if len(by_divisor) == len(candidates):
        fitting = [divisor for divisor in by_divisor if divisor % (scale or 1) == 0]
        return by_divisor[min(fitting or by_divisor)], None
    train = [path for path in candidates if re.search("_train_HR(_sub)?$", path.name, re.IGNORECASE)]
    valid = [path for path in candidates if re.search("_valid_HR$", path.name, re.IGNORECASE)]
    if len(train) == len(valid) == 1 and len(candidates) == 2:
        return train[0], valid[0]
    if len(candidates) > 1:
        names = " and ".join(f"{path.name}/" for path in candidates)
        raise UserError(f"{base}: has {names}: name one of them, such as {candidates[0]}")
    return candidates[0], None


def _with_low(high: Path, layout: Layout, scale: int | None, *, is_asked: bool) -> Pairing:
    """Find the low resolution of a folder.

    Args:
        high: folder of high resolution.
        layout: that its name belongs to.
        scale: factor of the sides, see `locate`.
        is_asked: whether to say that there is no low resolution of any scale.
    """
    by_scale = layout.folders_by_scale(high)
    used = _scale_among(high.parent, by_scale, scale)
    low = by_scale[used] if used else (layout.low and descend(high.parent, layout.low)) or None
    if low and by_scale and not used and not has_images(low):
        low = None  # it holds folders of other scales alone
    note = ""
    if low and layout is not _ISR:
        note = f"{high}: low resolution from {low.relative_to(high.parent)}"
    elif low is None and (by_scale or is_asked):
        have = f", only scale {_listed(by_scale)}" if by_scale else ""
        note = f"{high}: low resolution is derived: there is no {layout.wanted(high, scale)}{have}"
    inner = high / high.name  # as Kaggle packs DIV2K
    return Pairing(inner if inner.is_dir() and not files_in(high) else high, low, scale=used, low_note=note)


def _scale_among(folder: Path, scales: Iterable[int], scale: int | None) -> int | None:
    """The scale to use of those that a data set has; None if it lacks the wanted one.

    Raises:
        UserError: if it has several and none is wanted.
    """
    have = sorted(scales)
    if scale is None and len(have) > 1:
        raise UserError(f"{folder}: has low resolution of scales {_listed(have)}: choose one with --scale")
    return scale if scale in have else have[0] if have and scale is None else None


def _refuse_low_resolution(root: Path, place: Path) -> None:
    """Refuse a folder of low resolution whose high resolution is near it.

    Raises:
        UserError: naming the folder of high resolution.
    """
    if _LOW.fullmatch(place.name):
        for parent in list(place.parents)[:3]:
            for high, low in _folders_of_low_resolution(parent):
                if low == place:
                    raise UserError(f"{root}: holds the low resolution of {high}: name that folder")


def _folders_of_low_resolution(parent: Path) -> Iterator[tuple[Path, Path]]:
    """Every folder of high resolution in a folder, with each of its folders of low resolution."""
    for high in _candidates(parent):
        if layout := _layout_of(high.name):
            lows = [*layout.folders_by_scale(high).values(), descend(parent, layout.low) if layout.low else None]
            yield from ((high, low) for low in lows if low)


def _unread_subfolders(root: Path) -> tuple[str, ...]:
    """A line about images in subfolders of a folder that holds images itself."""
    names = [path.name for path in subfolders(root) if has_images(path)] if has_images(root) else []
    if not names:
        return ()
    left_out = some_of(names)
    return (f"{root}: images in subfolders left out ({left_out}): data.recursive=true or --recursive reads them",)


def _listed(scales: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(scales)))
