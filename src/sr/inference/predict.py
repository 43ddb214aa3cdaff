"""The command ``sr predict``: enlarge files, folders and streams, each whole or not at all."""

import glob
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from sr.errors import UserError
from sr.inference.enlarger import Enlarger
from sr.io.atomic import whole_file
from sr.io.pictures import FORMATS, READABLE, WRITABLE, read_picture
from sr.weights.find import Model

STREAM = "-"
VIDEOS = frozenset({*FORMATS, ".avi", ".wmv", ".mpg", ".mpeg", ".ts", ".flv", ".ogv", ".3gp"})


@dataclass(frozen=True)
class Job:
    """A picture to enlarge: from where, and to where; None is the standard stream."""

    source: Path | None
    target: Path | None

    @property
    def name(self) -> str:
        """What messages call it."""
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
    """Enlarge pictures; one that fails is named, and the others go on.

    Args:
        inputs: files, folders (their pictures), patterns, or ``-``.
        out: a file for one picture, a folder, or ``-``.
        enlarger: the model.
        compare: write the bicubic image too, as ``NAME_bicubic``.
        force: overwrite files.
        max_pixels: refuse larger inputs.

    Returns:
        How many failed.

    Raises:
        UserError: if nothing can be begun: no input, or an output that cannot hold them.
    """
    jobs = list(plan(inputs, out))
    ways = [("", enlarger)]
    if compare:
        if out == STREAM:
            raise UserError("--compare writes a second file: name one, or a folder, with -o")
        ways.append(("_bicubic", Enlarger(Model("bicubic", enlarger.scale), device=enlarger.device)))
    failed = 0
    taken: dict[Path, str] = {}
    sources = {job.source.resolve() for job in jobs if job.source}
    console = Console(stderr=True)

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("enlarging", total=len(jobs) * len(ways))
        for number, job in enumerate(jobs):
            targets = [job.target and job.target.with_stem(job.target.stem + suffix) for suffix, _ in ways]
            try:
                for target in filter(None, targets):
                    _check_place(target, job, taken, sources, force)
                taken |= {target: job.name for target in targets if target}
                makers = [enlarger for _, enlarger in ways]
                for note in _enlarge(job, targets, makers, max_pixels, lambda share: progress.advance(bar, share)):
                    say(f"{job.name}: {note}")
            except Exception as error:  # whatever a file or a machine comes up with: the others go on
                failed += 1
                known = isinstance(error, UserError)
                reason = str(error).partition("\n")[0] or type(error).__name__
                say(f"error: {reason if known else f'{job.name}: {reason}'}")
                progress.update(bar, completed=(number + 1) * len(ways))
    return failed


def _check_place(target: Path, job: Job, taken: dict[Path, str], sources: set[Path], force: bool) -> None:
    if target in taken:
        raise UserError(f"{job.name}: would be written over {taken[target]}: name another folder")
    if target.resolve() in sources:
        raise UserError(f"{job.name}: would be written over the input {target}: name another folder")
    if target.exists() and not force:
        raise UserError(f"{target}: exists: --force writes over it")


def plan(inputs: Sequence[str], out: str) -> Iterator[Job]:
    """What is to be read and written.

    Raises:
        UserError: if there is nothing to read, or no place for all of it.
    """
    sources: list[Path | None] = []
    for given in inputs:
        path = Path(given)
        if given == STREAM:
            sources.append(None)
        elif path.is_dir():
            inside = sorted(one for one in path.iterdir() if one.suffix.lower() in READABLE and one.is_file())
            if not inside:
                raise UserError(f"{path}: no pictures in it ({', '.join(sorted(READABLE))})")
            sources += inside
        elif not path.exists() and glob.has_magic(given):
            matching = sorted(Path(one) for one in glob.glob(given))  # noqa: PTH207 - a pattern may begin anywhere
            if not matching:
                raise UserError(f"{given}: matches no file")
            sources += matching
        else:
            sources.append(path)
    target = Path(out)
    if out == STREAM or (target.suffix and not target.is_dir()):
        if len(sources) > 1:
            raise UserError(f"-o {out}: {len(sources)} pictures need a folder")
        known = FORMATS if _is_video(sources[0]) else WRITABLE
        if (out == STREAM and _is_video(sources[0])) or (out != STREAM and target.suffix.lower() not in known):
            raise UserError(f"-o {out}: cannot write {sources[0] or 'a picture'} there, but to {', '.join(known)}")
        yield Job(sources[0], None if out == STREAM else target)
        return
    for source in sources:
        name = source.name if source else "stdin.png"
        place = target / name
        kept = place.suffix.lower() in (FORMATS if _is_video(source) else WRITABLE)
        yield Job(source, place if kept else place.with_suffix(".mkv" if _is_video(source) else ".png"))


def _is_video(source: Path | None) -> bool:
    return source is not None and source.suffix.lower() in VIDEOS


def _enlarge(
    job: Job,
    targets: Sequence[Path | None],
    enlargers: Sequence[Enlarger],
    max_pixels: int,
    advance: Callable[[float], None],
) -> list[str]:
    """Read a picture, enlarge and write it in each way; what is worth saying about it."""
    notes: list[str] = []
    if job.source and _is_video(job.source):
        from sr.inference.video import enlarge_video

        for target, enlarger in zip(targets, enlargers, strict=True):
            assert target is not None
            target.parent.mkdir(parents=True, exist_ok=True)
            notes = enlarge_video(job.source, target, enlarger, max_pixels=max_pixels, advance=advance)
        return notes
    picture = read_picture(job.source or sys.stdin.buffer.read(), job.name, max_pixels, " (--max-pixels)")
    notes += [picture.note] if picture.note else []
    for target, enlarger in zip(targets, enlargers, strict=True):
        if target is None:
            try:
                enlarger.write(picture, sys.stdout.buffer, ".png", advance)
                sys.stdout.buffer.flush()
            except BrokenPipeError as error:
                raise UserError("standard output: the program that reads it has ended") from error
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(target) as file:
            lost = enlarger.write(picture, file, target.suffix.lower(), advance)
        notes += [f"{lost} left out of {target.name}"] if lost else []
    return notes
