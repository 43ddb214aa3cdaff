"""Find problems in folders of images before training or scoring on them."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path

from rich.console import Console
from rich.progress import track
from torch import Tensor

from sr.data import alignment
from sr.data.alignment import fault
from sr.data.duplicates import Hashes, group, hashes
from sr.data.findings import ERROR, NOTE, SEVERITIES, WARNING, Finding, Report
from sr.data.folders.named import FolderOptions, find_pairing, pairs_in
from sr.data.folders.pairing import Pairing
from sr.data.pairs import MIN_SIDE
from sr.errors import UserError, check_at_least
from sr.image import crop_to_multiple, is_constant
from sr.io import images
from sr.io.images import ImageFileError, read_with_traits
from sr.io.pixel_formats import BandsError, number_of_bands_said
from sr.machine.pools import thread_pool

_CHUNK = 256  # images submitted to the threads at a time
_QUIET_BELOW = 200  # no progress bar for fewer images, which take about a second

_DERIVE = "or remove all low-resolution images, which are then derived"
_PAIRS = {
    alignment.OTHER: (ERROR, f"pair the files that belong together, {_DERIVE}"),
    alignment.TURNED: (ERROR, f"flip or rotate it to match, {_DERIVE}"),
    alignment.MOVED: (ERROR, f"crop both to the same area, {_DERIVE}"),
    alignment.SHIFTED: (WARNING, f"downscale it again with aligned pixel centres, {_DERIVE}"),
    alignment.ALIASED: (WARNING, f"downscale it again with antialiasing, {_DERIVE}"),
    alignment.COLOURS: (WARNING, f"convert both in the same way, {_DERIVE}"),
}
_TRAITS = {
    images.TRANSPARENT: (WARNING, "is partly transparent, and alpha is dropped", "flatten it onto a background"),
    images.PALETTE: (NOTE, "has a palette of at most 256 colours", "use the original if there is one"),
    images.COLOUR_SPACE: (WARNING, "is not RGB, and is converted without its colour profile", "save it as sRGB"),
    images.SIXTEEN_BITS: (NOTE, "has more than 8 bits, of which 8 are kept", "nothing if 8 bits are enough"),
    images.LEFT_OUT: (NOTE, "has more bits, or a profile, that is not read", "save it as TIFF or PNG if that matters"),
    images.TURNED: (NOTE, "is rotated by its EXIF orientation", "save it upright if other programs read it too"),
    images.FRAMES: (NOTE, "has several frames, of which only the first is used", "save the others as separate files"),
}


@dataclass(frozen=True)
class _Files:
    """An image of a folder, and its low-resolution partner if there is one."""

    folder: Path
    hr: Path
    lr: Path | None = None


@dataclass
class _CheckedImage:
    """The result of checking one image.

    Attributes:
        sizes: those of the image and of its partner, as text; None unless both could be read.
        scale: factor between the two, if there is one.
        digest: hash of the pixels; empty for an image of a single colour.
        hashes: see `sr.data.duplicates.hashes`.
    """

    files: _Files
    findings: list[Finding] = field(default_factory=list)
    sizes: tuple[str, str] | None = None
    scale: int | None = None
    digest: str = ""
    hashes: Hashes | None = None


def check(folders: Sequence[Path], options: FolderOptions | None = None) -> Report:
    """Check every image and pair of some folders, and search for copies within and across folders.

    Args:
        folders: each contains images, or has a layout of `sr.data.folders.layouts`.
        options: how to read them; the scale defaults to that of the layout, or of most pairs in a folder.

    Raises:
        UserError: for a folder that does not exist or holds no images.
    """
    options = options or FolderOptions()
    if options.scale is not None:
        check_at_least("--scale", options.scale, 1)
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise UserError(f"a folder is named twice: {', '.join(map(str, folders))}")
    findings: list[Finding] = []
    pairings = dict(part for folder in folders for part in _parts_of(folder, options))
    files = [image for folder in pairings for image in _list_files(folder, pairings[folder], options, findings)]
    checked = list(_check_all(files, options.scale))
    scales: dict[str, int | None] = {}
    for folder, pairing in pairings.items():
        in_folder = [image for image in checked if image.files.folder == folder]
        folder_scale = options.scale or pairing.scale or _most_common_scale(in_folder)
        scales[str(folder)] = folder_scale
        findings += [
            _wrong_size(image, folder_scale) for image in in_folder if image.scale != folder_scale and image.sizes
        ]
        findings += [finding for image in in_folder for finding in image.findings]
    findings += _copies([image for image in checked if image.hashes is not None])
    findings.sort(key=lambda finding: (SEVERITIES.index(finding.severity), finding.kind, finding.file))
    return Report(len(files), scales, findings)


def _parts_of(folder: Path, options: FolderOptions) -> Iterator[tuple[Path, Pairing]]:
    """The sets of images in a folder: one, or those that a data set has for training and for validation."""
    pairing = find_pairing(folder, options)
    if pairing.validation:
        yield pairing.high, pairing
        yield pairing.validation.high, pairing.validation
    else:
        yield folder, pairing


def _list_files(folder: Path, pairing: Pairing, options: FolderOptions, findings: list[Finding]) -> list[_Files]:
    """List the images of a folder with their partners; add findings for files without one and for what is left out."""
    listing = pairs_in(pairing, options)
    for line in pairing.notes if pairing.is_plain else pairing.lines:
        place, _, text = line.partition(": ")
        findings.append(Finding(NOTE, "layout", place, text, "nothing, if that is meant"))
    for path, first in listing.same_name:
        message = f"has the same name as {first.name}"
        findings.append(Finding(ERROR, "same name", str(path), message, "rename one of them"))
    for path, partners in listing.unpaired:
        message = f"has no partner of that name in {partners.name}/"
        findings.append(Finding(ERROR, "unpaired", str(path), message, f"add it, {_DERIVE}"))
    return [_Files(folder, pair.hr, pair.lr) for pair in listing.pairs]


def _check_all(files: Sequence[_Files], scale: int | None) -> Iterator[_CheckedImage]:
    """Check images in threads, since Pillow and torch release the interpreter lock."""
    starts = range(0, len(files), _CHUNK)
    with thread_pool(os.cpu_count()) as pool:
        chunks = (pool.map(partial(_check_image, scale=scale), files[start : start + _CHUNK]) for start in starts)
        checked = chain.from_iterable(chunks)
        quiet = len(files) < _QUIET_BELOW
        console = Console(stderr=True)  # standard output is for the findings
        yield from track(checked, "checking images", len(files), console=console, transient=True, disable=quiet)


def _check_image(files: _Files, scale: int | None) -> _CheckedImage:
    checked = _CheckedImage(files)
    hr = _read(files.hr, checked.findings)
    lr = _read(files.lr, checked.findings) if files.lr else None
    if hr is None:
        return checked
    if min(hr.shape[1:]) < MIN_SIDE:
        message = f"has {_size(hr)} pixels, at least {MIN_SIDE} a side are needed"
        checked.findings.append(Finding(ERROR, "too small", str(files.hr), message, "remove it"))
    if not is_constant(hr):  # all of these would count as copies
        checked.digest, checked.hashes = hashlib.sha256(hr.numpy().tobytes()).hexdigest(), hashes(hr)
    if lr is not None:
        checked.sizes = _size(hr), _size(lr)
        checked.scale = _scale(hr, lr, scale)
        if checked.scale and scale in (None, checked.scale):
            mismatch = fault(lr, crop_to_multiple(hr, checked.scale))
            if mismatch:
                severity, fix = _PAIRS[mismatch.kind]
                message = mismatch.text.format(files.hr.name)
                checked.findings.append(Finding(severity, mismatch.kind, str(files.lr), message, fix))
    return checked


def _read(path: Path, findings: list[Finding]) -> Tensor | None:
    try:
        with number_of_bands_said(path, 3):
            image, traits = read_with_traits(path)
    except ImageFileError as error:
        message, _, fix = str(error).removeprefix(f"{path}: ").rpartition(": ")
        if isinstance(error, BandsError):
            findings.append(Finding(NOTE, "bands", str(path), f"{message}, and is not checked", fix))
        else:
            findings.append(Finding(ERROR, "unreadable", str(path), message, fix))
        return None
    for trait in traits:
        severity, message, fix = _TRAITS[trait]
        findings.append(Finding(severity, trait, str(path), message, fix))
    if is_constant(image):
        findings.append(Finding(WARNING, "constant", str(path), "has a single colour", "remove it"))
    return image


def _scale(hr: Tensor, lr: Tensor, wanted: int | None) -> int | None:
    """The factor between the sides of a pair, after cropping hr to a multiple of it; None if there is none.

    Several may fit a small pair: then it is the one that is wanted.
    """
    for scale in (wanted or 1, max(1, hr.shape[1] // lr.shape[1])):
        if all(large // scale == small for large, small in zip(hr.shape[1:], lr.shape[1:], strict=True)):
            return scale
    return None


def _size(image: Tensor) -> str:
    return f"{image.shape[2]}x{image.shape[1]}"


def _most_common_scale(checked: Sequence[_CheckedImage]) -> int | None:
    counts = Counter(image.scale for image in checked if image.scale)
    return counts.most_common(1)[0][0] if counts else None


def _wrong_size(image: _CheckedImage, scale: int | None) -> Finding:
    assert image.sizes
    at_scale = f"scale={scale}" if scale else "any scale"
    message = f"{image.sizes[1]} pixels do not fit {image.files.hr.name} of {image.sizes[0]} at {at_scale}"
    return Finding(ERROR, "sizes", str(image.files.lr), message, "fix the pair, or set the factor with --scale")


def _copies(images: Sequence[_CheckedImage]) -> Iterator[Finding]:
    """Yield a finding for each image but the first of a group of copies, with the worst match among those before it."""
    for group_indices in group([image.hashes for image in images if image.hashes is not None]):
        for place, index in enumerate(group_indices[1:], 1):
            image, earlier = images[index], [images[other] for other in group_indices[:place]]
            folder = image.files.folder
            other = max(earlier, key=lambda other: (other.files.folder != folder, other.digest == image.digest))
            exact = other.digest == image.digest
            message = f"{'has the pixels of' if exact else 'shows the photograph of'} {other.files.hr}"
            if other.files.folder != folder:
                severity, kind, fix = ERROR, "copy across folders", "remove one: do not score on training images"
            elif exact:
                severity, kind, fix = WARNING, "copy", "remove one"
            else:
                severity, kind, fix = NOTE, "near copy", "nothing: runs keep both on the same side of the split"
            yield Finding(severity, kind, str(image.files.hr), message, fix)
