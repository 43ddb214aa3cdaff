"""Which files ``sr predict`` reads, what it leaves out, and where it writes what it makes of each."""

import glob
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from sr.errors import UserError
from sr.io.animations import KINDS as ANIMATIONS
from sr.io.animations import is_animation
from sr.io.images import SUFFIXES
from sr.io.pictures import FORMATS, WRITABLE

STREAM = "-"
VIDEOS = frozenset({*FORMATS, ".avi", ".wmv", ".mpg", ".mpeg", ".ts", ".flv", ".ogv", ".3gp"})

_CLUTTER = frozenset({"thumbs.db", "desktop.ini"})  # written by file managers
_MOST_NAMED = 4  # suffixes of other formats that are listed


@dataclass(frozen=True)
class Job:
    """A picture or video to enlarge.

    Attributes:
        source: the input file; None is standard input.
        target: the output file; None is standard output.
        is_animation: whether all frames of the input are enlarged into an animation.
    """

    source: Path | None
    target: Path | None
    is_animation: bool = False

    @property
    def name(self) -> str:
        """The input's name in messages."""
        return str(self.source) if self.source else "standard input"

    @property
    def is_video(self) -> bool:
        """Whether its input has the suffix of a video, or its output."""
        is_clip = self.target is not None and self.target.suffix.lower() in FORMATS
        return is_clip or (self.source is not None and self.source.suffix.lower() in VIDEOS)


@dataclass(frozen=True)
class Naming:
    """How outputs in a folder are called.

    Attributes:
        suffix: added to the name of the input.
        format: suffix of the format of pictures, a key of ``WRITABLE``; empty for that of the input, or PNG.
        all_frames: whether animations stay animations.
    """

    suffix: str = ""
    format: str = ""
    all_frames: bool = False

    def __post_init__(self) -> None:
        """Check both.

        Raises:
            UserError: for a suffix that no name can have, or an unknown format.
        """
        if {"/", "\\", "\0"} & set(self.suffix):
            raise UserError(f"--suffix {self.suffix}: is added to a name, and cannot hold a slash")
        if self.format and self.format not in WRITABLE:
            names = ", ".join(suffix[1:] for suffix in WRITABLE)
            raise UserError(f"--format {self.format[1:]}: is none of {names}")


@dataclass
class LeftOut:
    """What is not read of a folder, or of the matches of a pattern, counted by reason."""

    subfolders: int = 0
    videos: int = 0
    hidden: int = 0
    outputs: int = 0
    formats: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        """In words; empty if nothing was left out.

        >>> str(LeftOut(subfolders=2, formats=Counter({".txt": 3})))
        '2 subfolders (--recursive reads them), 3 files of other formats (.txt)'
        """
        suffixes = sorted(self.formats)
        named = ", ".join(suffixes[:_MOST_NAMED]) + (", ..." if len(suffixes) > _MOST_NAMED else "")
        parts = (
            (self.subfolders, "subfolder", " (--recursive reads them)"),
            (self.videos, "video", f" (name {'it' if self.videos == 1 else 'them'})"),
            (self.formats.total(), "file", f" of other formats ({named})"),
            (self.hidden, "hidden file", ""),
            (self.outputs, "output", " of sr predict"),
        )
        return ", ".join(f"{count} {noun}{'s' * (count > 1)}{more}" for count, noun, more in parts if count)


@dataclass(frozen=True)
class Plan:
    """What to do, and what to say of it before.

    Attributes:
        jobs: the files, in order.
        notes: what is left out or has no effect, in a line each.
    """

    jobs: Sequence[Job]
    notes: Sequence[str]


def plan(
    inputs: Sequence[str],
    out: str,
    naming: Naming | None = None,
    *,
    recursive: bool = False,
    is_output: Callable[[Path], bool] = lambda path: False,
    counts_outputs: bool = True,
) -> Plan:
    """List what to read and where to write it.

    Args:
        inputs: files, folders (their pictures), glob patterns, or ``-`` for standard input.
        out: a file for a single picture, a folder, or ``-`` for standard output.
        naming: of the outputs in a folder.
        recursive: read subfolders, too, and keep their tree in the output folder.
        is_output: whether a file was written by an earlier run, and is not to be enlarged again.
        counts_outputs: whether it is said how many of them there are.

    Raises:
        UserError: if there is no input, or the output cannot hold all of them.
    """
    naming = naming or Naming()
    target = Path(out)
    notes: list[str] = []
    sources: list[tuple[Path | None, Path]] = []
    for text in inputs:
        left_out = LeftOut()
        sources += _sources(text, _Filter(left_out, target, recursive, is_output, counts_outputs))
        if said := str(left_out):
            notes.append(f"{text}: left out {said}")
    if out == STREAM or (target.suffix and not target.is_dir()):
        if naming.suffix:
            notes.append("--suffix has no effect: -o names the output")
        jobs = [_single([source for source, _ in sources], out, naming)]
    else:
        jobs = [_job(target / relative, source, naming) for source, relative in sources]
    if naming.format and any(job.is_video for job in jobs):
        notes.append(f"--format {naming.format[1:]} has no effect on videos")
    return Plan(jobs, notes)


def _job(place: Path, source: Path | None, naming: Naming) -> Job:
    """What to do with an input whose output would keep its name, in a folder."""
    suffix = place.suffix
    is_animation = _stays_animated(source, naming.format or suffix, naming)
    if is_animation:
        suffix = naming.format or suffix
    elif source is not None and source.suffix.lower() in VIDEOS:
        suffix = suffix if suffix.lower() in FORMATS else ".mkv"
    elif naming.format:
        suffix = naming.format
    elif suffix.lower() not in WRITABLE:
        suffix = ".png"
    return Job(source, place.with_name(place.stem + naming.suffix + suffix), is_animation)


def _stays_animated(source: Path | None, suffix: str, naming: Naming) -> bool:
    """Whether all frames of an input are written into a file with this suffix."""
    return bool(naming.all_frames and source and suffix.lower() in ANIMATIONS and is_animation(source))


@dataclass(frozen=True)
class _Filter:
    """Decides which files of a folder are read, and counts the others."""

    left_out: LeftOut
    out: Path
    recursive: bool
    is_output: Callable[[Path], bool]
    counts_outputs: bool = True

    def takes(self, path: Path, *, videos: bool = False) -> bool:
        """Whether a file is read."""
        suffix = path.suffix.lower()
        if path.name.startswith(".") or path.name.lower() in _CLUTTER:
            self.left_out.hidden += 1
        elif suffix in VIDEOS and not videos:
            self.left_out.videos += 1
        elif suffix not in SUFFIXES | VIDEOS or not path.is_file():
            self.left_out.formats[suffix or "without suffix"] += 1
        elif self.is_output(path):
            self.left_out.outputs += self.counts_outputs
        else:
            return True
        return False

    def enters(self, folder: Path) -> bool:
        """Whether a subfolder is read."""
        if folder.name.startswith("."):
            self.left_out.hidden += 1
        elif folder.resolve() == self.out.resolve():
            return False
        elif not self.recursive:
            self.left_out.subfolders += 1
        return self.recursive and not folder.name.startswith(".")


def _sources(text: str, accepted: _Filter) -> list[tuple[Path | None, Path]]:
    """The files that an input names, and what they are called in the output folder."""
    path = Path(text)
    if text == STREAM:
        return [(None, Path("stdin.png"))]
    if path.is_dir():
        pictures = sorted(_pictures_in(path, accepted))
        if not pictures:
            why = f": left out {said}" if (said := str(accepted.left_out)) else ""
            raise UserError(f"{path}: contains no pictures ({', '.join(sorted(SUFFIXES))}){why}")
        return [(picture, picture.relative_to(path)) for picture in pictures]
    if not path.exists() and glob.has_magic(text):
        matches = sorted(Path(match) for match in glob.glob(text, recursive=True))  # noqa: PTH207 - a pattern may begin anywhere
        if not matches:
            raise UserError(f"{text}: matches no file")
        files = [match for match in matches if not match.is_dir() and accepted.takes(match, videos=True)]
        if not files:
            raise UserError(f"{text}: matches no picture or video")
        return [(match, Path(match.name)) for match in files]
    return [(path, Path(path.name))]


def _pictures_in(folder: Path, accepted: _Filter) -> Iterator[Path]:
    """The pictures in a folder; one that is linked into itself is read once."""
    seen: set[Path] = set()
    for parent, folders, names in os.walk(folder, onerror=_refuse, followlinks=True):
        place = Path(parent).resolve()
        if place in seen:
            folders.clear()
            continue
        seen.add(place)
        folders[:] = sorted(name for name in folders if accepted.enters(Path(parent, name)))
        yield from (path for name in names if accepted.takes(path := Path(parent, name)))


def _refuse(error: OSError) -> NoReturn:
    raise UserError(f"{error.filename}: cannot be read ({error.strerror})") from error


def _single(sources: Sequence[Path | None], out: str, naming: Naming) -> Job:
    """The only job, if the output is a file or standard output."""
    if len(sources) > 1:
        raise UserError(f"-o {out}: {len(sources)} pictures need a folder")
    source, suffix = sources[0], Path(out).suffix.lower()
    job = Job(source, None if out == STREAM else Path(out), out != STREAM and _stays_animated(source, suffix, naming))
    suffixes = FORMATS if source and source.suffix.lower() in VIDEOS else WRITABLE
    if naming.all_frames and source and is_animation(source):
        suffixes = FORMATS | ANIMATIONS | WRITABLE
    if job.is_video if out == STREAM else suffix not in suffixes:
        raise UserError(f"-o {out}: cannot write {job.source or 'a picture'} there, only to {', '.join(suffixes)}")
    if naming.format and out != STREAM and suffix in WRITABLE and WRITABLE[suffix] != WRITABLE[naming.format]:
        raise UserError(f"-o {out}: is not --format {naming.format[1:]}: leave one of them out")
    return job
