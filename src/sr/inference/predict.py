"""Enlarge files, folders and streams: what ``sr predict`` does. Every output is written completely or not at all."""

import glob
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from sr.errors import UserError
from sr.inference.enlarger import Enlarger
from sr.io.atomic import whole_file
from sr.io.bars import progress_bar
from sr.io.images import SUFFIXES
from sr.io.pictures import FORMATS, WRITABLE, read_picture
from sr.io.pixel_formats import number_of_bands_said, read_bands
from sr.terms import BASELINES, SHARPENS
from sr.weights.find import Model

STREAM = "-"
VIDEOS = frozenset({*FORMATS, ".avi", ".wmv", ".mpg", ".mpeg", ".ts", ".flv", ".ogv", ".3gp"})


@dataclass(frozen=True)
class Job:
    """A picture or video to enlarge.

    Attributes:
        source: the input file; None is standard input.
        target: the output file; None is standard output.
    """

    source: Path | None
    target: Path | None

    @property
    def name(self) -> str:
        """The input's name in messages."""
        return str(self.source) if self.source else "standard input"


def predict(
    inputs: Sequence[str],
    out: str,
    enlarger: Enlarger,
    *,
    compare: bool = False,
    force: bool = False,
    max_pixels: int,
) -> int:
    """Enlarge pictures and videos; report those that fail on standard error and continue with the rest.

    Args:
        inputs: files, folders (their pictures), glob patterns, or ``-`` for standard input.
        out: a file for a single picture, a folder, or ``-`` for standard output.
        enlarger: the model.
        compare: also write the bicubic image, as ``NAME_bicubic``; at scale 1 that is the input, ``NAME_input``.
        force: overwrite existing files.
        max_pixels: refuse larger inputs.

    Returns:
        The number of inputs that failed.

    Raises:
        UserError: if there is no input, or the output cannot hold all of them.
    """
    jobs = list(plan(inputs, out))
    enlargers = {"": enlarger}  # by the suffix of what they write
    if compare:
        if out == STREAM:
            raise UserError("--compare writes a second file: name one, or a folder, with -o")
        baseline = BASELINES[0]
        suffix = f"_{baseline.name_at(enlarger.scale)}"
        enlargers[suffix] = Enlarger(Model(baseline.kernel, enlarger.scale), device=enlarger.device, wrap=enlarger.wrap)
    guard = _OverwriteGuard({job.source.resolve() for job in jobs if job.source}, force)
    failures = 0
    verb = "enlarging"
    if enlarger.scale == 1:
        verb = "sharpening"
        sys.stderr.write(f"{enlarger.model.label}: {SHARPENS}\n")
    with progress_bar() as progress:
        bar = progress.add_task(verb, total=len(jobs) * len(enlargers))
        for number, job in enumerate(jobs):
            progress.update(bar, description=f"{verb} {job.name}")
            outputs = [
                (job.target and job.target.with_stem(job.target.stem + suffix), maker)
                for suffix, maker in enlargers.items()
            ]
            try:
                guard.claim(job, [target for target, _ in outputs if target])
                notes, size = _enlarge(job, outputs, max_pixels, lambda share: progress.advance(bar, share))
                sys.stderr.writelines(f"{job.name}: {note}\n" for note in notes)
                for target in (target for target, _ in outputs if target):
                    sys.stdout.write(f"{target}: written{size}\n")
            except Exception as error:  # a file or the machine can fail in any way: continue with the other inputs
                failures += 1
                sys.stderr.write(f"{_failure(job, error)}\n")
                progress.update(bar, completed=(number + 1) * len(enlargers))
    return failures


def _failure(job: Job, error: Exception) -> str:
    reason = str(error).partition("\n")[0] or type(error).__name__
    return f"error: {reason}" if isinstance(error, UserError) else f"error: {job.name}: {reason}"


class _OverwriteGuard:
    """Prevents outputs from overwriting inputs, each other, or, unless forced, existing files."""

    def __init__(self, sources: set[Path], force: bool) -> None:
        self._sources, self._force = sources, force  # the sources are resolved paths
        self._owners: dict[Path, str] = {}  # the input that each output was written for

    def claim(self, job: Job, targets: Sequence[Path]) -> None:
        """Reserve the outputs of a job.

        Raises:
            UserError: if one of them must not be written.
        """
        for target in targets:
            if target in self._owners:
                raise UserError(f"{job.name}: would overwrite the output of {self._owners[target]}: use another folder")
            if target.resolve() in self._sources:
                raise UserError(f"{job.name}: would overwrite the input {target}: use another folder")
            if target.exists() and not self._force:
                raise UserError(f"{target}: exists: add --force to overwrite it")
        self._owners |= dict.fromkeys(targets, job.name)


def plan(inputs: Sequence[str], out: str) -> Iterator[Job]:
    """List what to read and where to write it, see `predict`.

    Raises:
        UserError: if there is no input, or the output cannot hold all of them.
    """
    sources = [source for text in inputs for source in _sources(text)]
    target = Path(out)
    if out == STREAM or (target.suffix and not target.is_dir()):
        yield _single(sources, out)
        return
    for source in sources:
        place = target / (source.name if source else "stdin.png")
        writable = place.suffix.lower() in (FORMATS if _is_video(source) else WRITABLE)
        yield Job(source, place if writable else place.with_suffix(".mkv" if _is_video(source) else ".png"))


def _sources(text: str) -> list[Path | None]:
    """The files that an input names: itself, the pictures in a folder, the matches of a pattern, or standard input."""
    path = Path(text)
    if text == STREAM:
        return [None]
    if path.is_dir():
        entries = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
        pictures = [entry for entry in entries if entry.suffix.lower() in SUFFIXES and entry.is_file()]
        if not pictures:
            raise UserError(f"{path}: contains no pictures ({', '.join(sorted(SUFFIXES))})")
        return [*pictures]
    if not path.exists() and glob.has_magic(text):
        matches = sorted(Path(match) for match in glob.glob(text, recursive=True))  # noqa: PTH207 - a pattern may begin anywhere
        if not matches:
            raise UserError(f"{text}: matches no file")
        return [*matches]
    return [path]


def _single(sources: Sequence[Path | None], out: str) -> Job:
    """The only job, if the output is a file or standard output."""
    if len(sources) > 1:
        raise UserError(f"-o {out}: {len(sources)} pictures need a folder")
    source = sources[0]
    suffixes = FORMATS if _is_video(source) else WRITABLE
    possible = not _is_video(source) if out == STREAM else Path(out).suffix.lower() in suffixes
    if not possible:
        raise UserError(f"-o {out}: cannot write {source or 'a picture'} there, only to {', '.join(suffixes)}")
    return Job(source, None if out == STREAM else Path(out))


def _is_video(source: Path | None) -> bool:
    return source is not None and source.suffix.lower() in VIDEOS


def _enlarge(
    job: Job,
    outputs: Sequence[tuple[Path | None, Enlarger]],
    max_pixels: int,
    advance: Callable[[float], None],
) -> tuple[list[str], str]:
    """Read the input once and write each output; returns notes for the user, and the size of an output in words."""
    if job.source and _is_video(job.source):
        return _enlarge_video(job.source, outputs, max_pixels, advance), ""
    channels = outputs[0][1].channels
    if channels not in (1, 3):
        if job.source is None:
            raise UserError(f"standard input: a model for images of {channels} channels reads files")
        picture = read_bands(job.source, channels, max_pixels, " (--max-pixels)")
    else:
        content = job.source or sys.stdin.buffer.read()
        with number_of_bands_said(job.source, channels) if job.source else nullcontext():
            picture = read_picture(content, job.name, max_pixels, " (--max-pixels)")
    notes = [picture.note] if picture.note else []
    for target, enlarger in outputs:
        if target is None:
            try:
                enlarger.write(picture, sys.stdout.buffer, ".png", advance)
                sys.stdout.buffer.flush()
            except BrokenPipeError as error:
                raise UserError("standard output: the program that reads it has exited") from error
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(target) as file:
            lost = enlarger.write(picture, file, target.suffix.lower(), advance)
        notes += [f"{lost} left out of {target.name}"] if lost else []
    height, width = (int(side) * outputs[0][1].scale for side in picture.pixels.shape[:2])
    return notes, f", {width}x{height} pixels"


def _enlarge_video(
    source: Path,
    outputs: Sequence[tuple[Path | None, Enlarger]],
    max_pixels: int,
    advance: Callable[[float], None],
) -> list[str]:
    from sr.inference.video import enlarge_video  # FFmpeg is loaded only for videos

    notes: list[str] = []
    for target, enlarger in outputs:
        assert target is not None  # `plan` sends no video to standard output
        target.parent.mkdir(parents=True, exist_ok=True)
        notes = enlarge_video(source, target, enlarger, max_pixels=max_pixels, advance=advance)
    return notes
