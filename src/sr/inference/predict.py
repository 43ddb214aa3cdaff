"""Enlarge files, folders and streams: what ``sr predict`` does. Every output is written completely or not at all."""

import glob
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from rich.progress import Progress, TaskID

from sr.errors import UserError
from sr.inference.animate import enlarge_animation
from sr.inference.inputs import STREAM, Job, Naming, Plan, plan
from sr.inference.overwriting import OverwriteGuard
from sr.inference.pictures import PictureEnlarger
from sr.inference.records import NAME as RECORDS
from sr.inference.records import OTHER_INPUT, Record, Records, key
from sr.inference.unused import options_without_effect, stream_suffix
from sr.inference.watch import check_can_be_watched, follow
from sr.io.atomic import remove_leftovers, whole_file
from sr.io.bars import progress_bar
from sr.io.images import MAX_PIXELS
from sr.io.pictures import check_quality, read_picture
from sr.io.pixel_formats import number_of_bands_said, read_bands
from sr.terms import BASELINES, SHARPENS

if TYPE_CHECKING:
    from sr.inference.video.encoding import VideoOptions


@dataclass(frozen=True)
class Settings:
    """How ``sr predict`` reads and writes.

    Attributes:
        compare: also write the bicubic image, as ``NAME_bicubic``; at scale 1 that is the input, ``NAME_input``.
        force: overwrite existing files.
        resume: skip inputs whose outputs an earlier run with the same model and options has written, and continue
            videos that it has begun.
        recursive: read subfolders, too, and keep their tree.
        watch: follow folders until Ctrl-C.
        max_pixels: refuse larger inputs.
        quality: of JPEG, WebP and AVIF, 1 to 100; None for the default of each.
        naming: of the outputs in a folder.
        video: how to encode videos, if not as their container has it.
    """

    compare: bool = False
    force: bool = False
    resume: bool = False
    recursive: bool = False
    watch: bool = False
    max_pixels: int = MAX_PIXELS
    quality: int | None = None
    naming: Naming = field(default_factory=Naming)
    video: "VideoOptions | None" = None


def predict(inputs: Sequence[str], out: str, enlarger: PictureEnlarger, settings: Settings | None = None) -> int:
    """Enlarge pictures and videos; report those that fail on standard error and continue with the rest.

    Args:
        inputs: files, folders (their pictures), glob patterns, or ``-`` for standard input.
        out: a file for a single picture, a folder, or ``-`` for standard output.
        enlarger: the model.
        settings: how to read and write.

    Returns:
        The number of inputs that failed.

    Raises:
        UserError: if there is no input, or the output cannot hold all of them.
        KeyboardInterrupt: on Ctrl-C, once the summary is printed.
    """
    settings = settings or Settings()
    if settings.quality is not None:
        check_quality(settings.quality)
    if settings.watch:
        check_can_be_watched(inputs, out)
    batch = _Batch(out, enlarger, settings)
    try:
        if settings.watch:
            follow(lambda: batch.look(inputs), batch.enlarge)
        else:
            planned = batch.plan(inputs)
            sys.stderr.writelines(
                f"{note}\n" for note in [*planned.notes, *options_without_effect(inputs, planned.jobs, settings)]
            )
            batch.enlarge(planned.jobs)
    finally:
        batch.say_what_was_done()
    return batch.failures


@dataclass(frozen=True)
class _Progress:
    """Where an input says how far it is."""

    progress: Progress
    bar: TaskID
    description: str

    def advance(self, share: float) -> None:
        self.progress.advance(self.bar, share)

    def tell(self, text: str) -> None:
        self.progress.update(self.bar, description=f"{self.description}: {text}")


class _Batch:
    """The inputs of one call, and how they ended."""

    def __init__(self, out: str, enlarger: PictureEnlarger, settings: Settings) -> None:
        self.out, self.settings, self.scale = out, settings, enlarger.scale
        self.enlargers: dict[str, PictureEnlarger] = {"": enlarger}  # by the suffix of what they write
        if settings.compare:
            if out == STREAM:
                raise UserError("--compare writes a second file: name one, or a folder, with -o")
            baseline = BASELINES[0]
            suffix = f"_{baseline.name_at(enlarger.scale)}"
            self.enlargers[suffix] = enlarger.bicubic()
        self.verb = "sharpening" if enlarger.scale == 1 else "enlarging"
        if enlarger.scale == 1:
            sys.stderr.write(f"{enlarger.model.label}: {SHARPENS}\n")
        self.is_folder = out != STREAM and (Path(out).is_dir() or not Path(out).suffix)
        self.folder = Path(out) if self.is_folder else Path(out).parent
        is_kept = settings.resume or settings.watch or self.is_folder or (self.folder / RECORDS).is_file()
        self.records = Records(self.folder, kept=is_kept and out != STREAM)
        self.keys = self._keys()
        self.guard = OverwriteGuard(force=settings.force)
        self.said: set[str] = set()  # the notes, while folders are followed
        self.seconds = -time.monotonic()
        self.total = self.failures = self.skipped = self.written = 0

    def plan(self, inputs: Sequence[str]) -> Plan:
        """What to do."""
        settings = self.settings
        is_output = self.records.__contains__ if self.is_folder else lambda path: False
        return plan(
            inputs,
            self.out,
            settings.naming,
            recursive=settings.recursive,
            is_output=is_output,
            counts_outputs=not settings.watch,  # their number changes with each
        )

    def look(self, inputs: Sequence[str]) -> Sequence[Job]:
        """What there is to do in folders that are followed, which may be empty."""
        plans = []
        for text in inputs:
            with suppress(UserError):  # there is nothing in it yet
                plans.append(self.plan([text]))
        jobs = [job for planned in plans for job in planned.jobs]
        notes = [note for planned in plans for note in planned.notes]
        notes += options_without_effect(inputs, jobs, self.settings) if jobs else []
        sys.stderr.writelines(f"{note}\n" for note in notes if note not in self.said)
        self.said.update(notes)
        return jobs

    def _keys(self) -> dict[str, str]:
        """How outputs are made, by their suffix; empty if that is not recorded."""
        if not self.records.kept:
            return {}
        options: dict[str, object] = {"quality": self.settings.quality, "all_frames": self.settings.naming.all_frames}
        options |= {"video": self.settings.video} if self.settings.video else {}
        return {suffix: key(enlarger, **options) for suffix, enlarger in self.enlargers.items()}

    def enlarge(self, jobs: Sequence[Job]) -> None:
        """Enlarge some inputs."""
        self.total += len(jobs)
        self.guard.protect(job.source for job in jobs if job.source)
        with progress_bar(hidden=not jobs) as progress:
            bar = progress.add_task(self.verb, total=len(jobs) * len(self.enlargers))
            for number, job in enumerate(jobs):
                description = f"{self.verb} {job.name}"
                progress.update(bar, description=description)
                about = _Progress(progress, bar, description)
                try:
                    self._enlarge_one(job, about)
                except Exception as error:  # a file or the machine can fail in any way: continue with the other inputs
                    self.failures += 1
                    sys.stderr.write(f"{_failure(job, error)}\n")
                progress.update(bar, completed=(number + 1) * len(self.enlargers))

    def _enlarge_one(self, job: Job, progress: _Progress) -> None:
        outputs = {suffix: job.target and job.target.with_stem(job.target.stem + suffix) for suffix in self.enlargers}
        targets = {suffix: target for suffix, target in outputs.items() if target}
        made_by = {target: self.keys[suffix] for suffix, target in targets.items()} if self.keys else {}
        reasons: dict[Path, str] = {}
        if self.settings.resume or self.settings.watch:
            reasons = {
                target: self.records.why_not_done(target, job.source, made_by[target])
                for target in targets.values()
                if target.exists()
            }
            if len(reasons) == len(targets) and not any(reasons.values()):
                self.skipped += 1
                return
        done = {target for target, reason in reasons.items() if not reason}
        stale = {target for target, reason in reasons.items() if reason == OTHER_INPUT and self.settings.watch}
        self.guard.claim(job, [target for target in targets.values() if target not in done], reasons, stale)
        makers = [(target, self.enlargers[suffix]) for suffix, target in outputs.items() if target not in done]
        for target in targets.values() if self.settings.resume else ():
            remove_leftovers(target.parent, glob.escape(target.name))

        def record(target: Path, file: IO[bytes]) -> None:
            if made_by:
                self.records.add(target, file, job.source, made_by[target])

        notes, size = self._write(job, makers, progress, record)
        self.written += 1
        sys.stderr.writelines(f"{job.name}: {note}\n" for note in notes)
        for target in targets.values():
            sys.stdout.write(f"{target}: {'was done before' if target in done else f'written{size}'}\n")

    def _write(
        self, job: Job, outputs: Sequence[tuple[Path | None, PictureEnlarger]], progress: _Progress, record: Record
    ) -> tuple[list[str], str]:
        """Read the input once and write each output; returns notes for the user, and the size of an output in words."""
        max_pixels, quality = self.settings.max_pixels, self.settings.quality
        if job.source and job.is_video:
            return self._write_video(job.source, outputs, progress, record), ""
        if job.source and job.is_animation:
            settings: dict[str, Any] = {"max_pixels": max_pixels, "quality": quality}
            return enlarge_animation(job.source, outputs, advance=progress.advance, record=record, **settings)
        channels = outputs[0][1].channels
        if channels not in (1, 3):
            if job.source is None:
                raise UserError(f"standard input: a model for images of {channels} channels reads files")
            picture = read_bands(job.source, channels, max_pixels, " (--max-pixels)")
        else:
            content = job.source or sys.stdin.buffer.read()
            with number_of_bands_said(job.source, channels) if job.source else nullcontext():
                picture = read_picture(content, job.name, max_pixels, " (--max-pixels)")
        notes, suffix = [picture.note] if picture.note else [], stream_suffix(self.settings)
        for target, enlarger in outputs:
            if target is None:
                try:
                    lost = enlarger.write(picture, sys.stdout.buffer, suffix, progress.advance, quality=quality)
                    sys.stdout.buffer.flush()
                except BrokenPipeError as error:
                    raise UserError("standard output: the program that reads it has exited") from error
                notes += [f"{lost} left out"] if lost else []
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(target) as file:
                lost = enlarger.write(picture, file, target.suffix.lower(), progress.advance, quality=quality)
                record(target, file)
            notes += [f"{lost} left out of {target.name}"] if lost else []
        height, width = (int(side) * self.scale for side in picture.pixels.shape[:2])
        return notes, f", {width}x{height} pixels"

    def _write_video(
        self, source: Path, outputs: Sequence[tuple[Path | None, PictureEnlarger]], progress: _Progress, record: Record
    ) -> list[str]:
        from sr.inference.video.convert import enlarge_video  # FFmpeg is loaded only for videos

        notes: list[str] = []
        for target, enlarger in outputs:
            assert target is not None  # `plan` sends no video to standard output
            target.parent.mkdir(parents=True, exist_ok=True)
            notes += enlarge_video(
                source,
                target,
                enlarger,
                max_pixels=self.settings.max_pixels,
                options=self.settings.video,
                resume=self.settings.resume,
                force=self.settings.force,
                advance=progress.advance,
                tell=progress.tell,
                record=record,
            )
        return list(dict.fromkeys(notes))

    def say_what_was_done(self) -> None:
        """Print a line that sums up, unless there was a single input."""
        if self.total < 2 and not self.settings.watch:
            return
        seconds = self.seconds + time.monotonic()
        others = [f"{self.failures} failed"] if self.failures else []
        others += [f"{self.skipped} were done before"] if self.skipped else []
        verb = "sharpened" if self.scale == 1 else "enlarged"
        parts = [f"{verb} {self.written} of {self.total} files in {seconds:.1f} s", *others]
        sys.stderr.write(f"{', '.join(parts)}: {self.folder if self.out != STREAM else 'standard output'}\n")


def _failure(job: Job, error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f"error: {job.name}: needs the package {error.name}, which is not installed: pip install {error.name}"
    reason = str(error).partition("\n")[0] or type(error).__name__
    return f"error: {reason}" if isinstance(error, UserError) else f"error: {job.name}: {reason}"
