"""What is wrong with folders of images, found before anything is trained or scored on them."""

import hashlib
import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path

from rich.console import Console
from rich.progress import track
from torch import Tensor

from sr.data import alignment
from sr.data.alignment import fault, one_thread
from sr.data.duplicates import Hashes, group, hashes
from sr.data.pairs import MIN_SIDE
from sr.data.sources import files_in, find_base
from sr.errors import UserError, check_at_least
from sr.image import crop_to_multiple, is_constant
from sr.io import images
from sr.io.atomic import write_text
from sr.io.images import SUFFIXES, ImageFileError, read_with_traits
from sr.io.tables import aligned

ERROR, WARNING, NOTE = SEVERITIES = ("error", "warning", "note")  # a run ends or is spoilt; scores suffer; good to know

_AHEAD = 256  # images decoded before the first of them is looked at
_QUIET_BELOW = 200  # images that take about a second show no progress bar
_SHOWN = 10  # findings of a kind that are printed

_DERIVE = "or remove low_res/ to derive all low-resolution images"
_PAIRS = {
    alignment.OTHER: (ERROR, f"pair the files that belong together, {_DERIVE}"),
    alignment.TURNED: (ERROR, f"turn it back, {_DERIVE}"),
    alignment.MOVED: (ERROR, f"cut both to the same part, {_DERIVE}"),
    alignment.SHIFTED: (WARNING, f"shrink it anew with pixel centres aligned, {_DERIVE}"),
    alignment.ALIASED: (WARNING, f"shrink it anew with an antialiased filter, {_DERIVE}"),
    alignment.COLOURS: (WARNING, f"convert both alike, {_DERIVE}"),
}
_TRAITS = {
    images.TRANSPARENT: (WARNING, "is transparent in places, where hidden colours show", "put it on a background"),
    images.PALETTE: (NOTE, "has a palette of at most 256 colours", "use the original if there is one"),
    images.COLOUR_SPACE: (WARNING, "is not RGB and converted without its colour profile", "save it as sRGB"),
    images.SIXTEEN_BITS: (NOTE, "has 16 bits, of which 8 are kept", "nothing, if 8 are enough"),
    images.TURNED: (NOTE, "is turned as its EXIF orientation says", "save it upright if other programs read it too"),
    images.FRAMES: (NOTE, "has several frames, of which the first is taken", "save the others as files of their own"),
}


@dataclass(frozen=True)
class Finding:
    """What is wrong, where, and how to fix it.

    Attributes:
        severity: one of ``SEVERITIES``.
        kind: a word or two, the same for all findings alike.
        file: path of the file.
        message: what is wrong with it.
        fix: what to do.
    """

    severity: str
    kind: str
    file: str
    message: str
    fix: str


@dataclass
class Report:
    """What was looked at and found.

    Attributes:
        images: number of high-resolution images.
        scales: the factor between the pairs of each folder; None where it has no pairs that fit.
        findings: the worst first.
    """

    images: int
    scales: dict[str, int | None]
    findings: list[Finding]

    def count(self, severity: str) -> int:
        """Number of findings of a severity."""
        return sum(finding.severity == severity for finding in self.findings)

    @property
    def exit_code(self) -> int:
        """2 with errors, as bad input has it everywhere, 1 with warnings, else 0."""
        return 2 if self.count(ERROR) else 1 if self.count(WARNING) else 0


@dataclass(frozen=True)
class _Item:
    folder: Path
    hr: Path
    lr: Path | None = None


@dataclass
class _Seen:
    """What is kept of an image once it was looked at.

    Attributes:
        sizes: width and height of the image and of its partner; None where there is none or it cannot be read.
        scale: the factor between them, if they fit one.
        digest: hash of the pixels; empty for an image that shows nothing.
        hashes: see `sr.data.duplicates.hashes`.
    """

    item: _Item
    findings: list[Finding] = field(default_factory=list)
    sizes: tuple[str, str] | None = None
    scale: int | None = None
    digest: str = ""
    hashes: Hashes | None = None


def check(folders: Sequence[Path], scale: int | None = None) -> Report:
    """Look at every image and pair of some folders, and for copies inside and across them.

    Args:
        folders: plain, or with ``high_res/`` and optionally ``low_res/``.
        scale: factor between the sides of a pair; by default what most pairs of a folder have.

    Raises:
        UserError: for a folder that does not exist or holds no images.
    """
    if scale is not None:
        check_at_least("--scale", scale, 1)
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise UserError(f"one folder is named twice: {', '.join(map(str, folders))}")
    findings: list[Finding] = []
    items = [item for folder in folders for item in _list(folder, findings)]
    seen = list(_look_at_all(items, scale))
    scales: dict[str, int | None] = {}
    for folder in folders:
        inside = [one for one in seen if one.item.folder == folder]
        common = scale or _common(inside)
        scales[str(folder)] = common
        findings += [_misfit(one, common) for one in inside if one.sizes and one.scale != common]
        findings += [finding for one in inside for finding in one.findings]
    findings += _copies([one for one in seen if one.hashes is not None])
    findings.sort(key=lambda one: (SEVERITIES.index(one.severity), one.kind, one.file))
    return Report(len(items), scales, findings)


def _list(folder: Path, findings: list[Finding]) -> list[_Item]:
    """The images of a folder with their partners; files without one become findings."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    base = find_base(folder)
    place = base / "high_res" if base else folder
    high = _by_stem(place, findings)
    if not high:
        raise UserError(f"{place}: no images in it ({', '.join(sorted(SUFFIXES))})")
    if base is None or not (base / "low_res").is_dir():
        return [_Item(folder, path) for path in high.values()]
    low = _by_stem(base / "low_res", findings)
    for here, there, side in ((high, low, "low_res"), (low, high, "high_res")):
        for stem in sorted(set(here) - set(there)):
            message = f"has no partner of that name in {side}/"
            findings.append(Finding(ERROR, "unpaired", str(here[stem]), message, f"add it, {_DERIVE}"))
    return [_Item(folder, path, low.get(stem)) for stem, path in high.items()]


def _by_stem(folder: Path, findings: list[Finding]) -> dict[str, Path]:
    paths: dict[str, Path] = {}
    for path in files_in(folder):
        first = paths.setdefault(path.stem, path)
        if first != path:
            findings.append(Finding(ERROR, "same name", str(path), f"is named as {first.name}", "rename one of them"))
    return paths


def _look_at_all(items: Sequence[_Item], scale: int | None) -> Iterator[_Seen]:
    """Decode in threads (Pillow and torch release the interpreter lock), in order, so many at a time."""
    starts = range(0, len(items), _AHEAD)
    with one_thread(), ThreadPoolExecutor(os.cpu_count()) as pool:
        looked = (pool.map(partial(_look, scale=scale), items[start : start + _AHEAD]) for start in starts)
        seen = chain.from_iterable(looked)
        quiet = len(items) < _QUIET_BELOW
        bar = Console(stderr=True)  # the findings alone go to standard output
        yield from track(seen, "checking images", len(items), console=bar, transient=True, disable=quiet)


def _look(item: _Item, scale: int | None) -> _Seen:
    seen = _Seen(item)
    hr = _read(item.hr, seen.findings)
    lr = _read(item.lr, seen.findings) if item.lr else None
    if hr is None:
        return seen
    if min(hr.shape[1:]) < MIN_SIDE:
        message = f"has {_size(hr)} pixels, at least {MIN_SIDE} a side are needed"
        seen.findings.append(Finding(ERROR, "too small", str(item.hr), message, "remove it"))
    if not is_constant(hr):  # else it is like every other such image
        seen.digest, seen.hashes = hashlib.sha256(hr.numpy().tobytes()).hexdigest(), hashes(hr)
    if lr is not None:
        seen.sizes = _size(hr), _size(lr)
        seen.scale = _scale(hr, lr)
        if seen.scale and seen.scale == (scale or seen.scale):
            wrong = fault(lr, crop_to_multiple(hr, seen.scale))
            if wrong:
                severity, fix = _PAIRS[wrong.kind]
                seen.findings.append(Finding(severity, wrong.kind, str(item.lr), wrong.text.format(item.hr.name), fix))
    return seen


def _read(path: Path, findings: list[Finding]) -> Tensor | None:
    try:
        image, traits = read_with_traits(path)
    except ImageFileError as error:
        message, _, fix = str(error).removeprefix(f"{path}: ").rpartition(": ")
        findings.append(Finding(ERROR, "unreadable", str(path), message, fix))
        return None
    for trait in traits:
        severity, message, fix = _TRAITS[trait]
        findings.append(Finding(severity, trait, str(path), message, fix))
    if is_constant(image):
        findings.append(Finding(WARNING, "constant", str(path), "is of one colour", "remove it"))
    return image


def _scale(hr: Tensor, lr: Tensor) -> int | None:
    """The factor between the sides of a pair, the larger image cut to a multiple of it; None if there is none."""
    scale = max(1, hr.shape[1] // lr.shape[1])
    fits = all(large // scale == small for large, small in zip(hr.shape[1:], lr.shape[1:], strict=True))
    return scale if fits else None


def _size(image: Tensor) -> str:
    return f"{image.shape[2]}x{image.shape[1]}"


def _common(seen: Sequence[_Seen]) -> int | None:
    counts = Counter(image.scale for image in seen if image.scale)
    return counts.most_common(1)[0][0] if counts else None


def _misfit(seen: _Seen, scale: int | None) -> Finding:
    assert seen.sizes
    at = f"scale={scale}" if scale else "any scale"
    message = f"{seen.sizes[1]} pixels do not fit {seen.item.hr.name} of {seen.sizes[0]} at {at}"
    return Finding(ERROR, "sizes", str(seen.item.lr), message, "fix the pair, or name the factor with --scale")


def _copies(seen: Sequence[_Seen]) -> Iterator[Finding]:
    """Of every group of copies all but the first, each with the worst of those before it."""
    for members in group([one.hashes for one in seen if one.hashes is not None]):
        for place, member in enumerate(members[1:], 1):
            this = seen[member]
            others = [seen[other] for other in members[:place]]
            other = max(others, key=lambda one: (one.item.folder != this.item.folder, one.digest == this.digest))
            exact = other.digest == this.digest
            message = f"{'has the pixels of' if exact else 'shows the photograph of'} {other.item.hr}"
            if other.item.folder != this.item.folder:
                fix = "remove one: what was trained on cannot be scored on"
                yield Finding(ERROR, "copy across folders", str(this.item.hr), message, fix)
            elif exact:
                yield Finding(WARNING, "copy", str(this.item.hr), message, "remove one")
            else:
                fix = "nothing: runs keep both on one side of a split"
                yield Finding(NOTE, "near copy", str(this.item.hr), message, fix)


def render(report: Report) -> str:
    """The findings as a text table, at most ten of a kind, and a line that sums up."""
    lines, more = [], ""
    kinds: dict[tuple[str, str], list[Finding]] = defaultdict(list)
    for one in report.findings:
        kinds[one.severity, one.kind].append(one)
    for (severity, kind), found in kinds.items():
        lines += [(severity, kind, f"{one.file}: {one.message}: {one.fix}") for one in found[:_SHOWN]]
        if len(found) > _SHOWN:
            lines.append((severity, kind, f"and {len(found) - _SHOWN} more"))
            more = "; --json FILE lists all"
    counts = ", ".join(_plural(report.count(severity), severity) for severity in SEVERITIES)
    scales = sorted({scale for scale in report.scales.values() if scale})
    at = f" at scale {', '.join(map(str, scales))}" if scales else ""
    return "".join(f"{line}\n" for line in [*aligned(lines), f"{_plural(report.images, 'image')}{at}: {counts}{more}"])


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def write_json(report: Report, path: Path) -> None:
    """Write all findings.

    Raises:
        UserError: if the file cannot be written.
    """
    content = {
        "images": report.images,
        "scales": report.scales,
        "counts": {severity: report.count(severity) for severity in SEVERITIES},
        "findings": [asdict(one) for one in report.findings],
    }
    try:
        write_text(path, json.dumps(content, indent=2) + "\n")
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error
