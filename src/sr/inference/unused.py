"""Which options of ``sr predict`` have no effect, so that none is ignored in silence."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sr.inference.inputs import STREAM, Job
from sr.io.animations import KINDS, is_animation
from sr.io.pictures import HAVE_QUALITY, WRITABLE

if TYPE_CHECKING:
    from sr.inference.predict import Settings


def options_without_effect(inputs: Sequence[str], jobs: Sequence[Job], settings: "Settings") -> list[str]:
    """A line for each option that has no effect on some of the outputs, or on all.

    Args:
        inputs: as the user names them.
        jobs: what they are.
        settings: the options.
    """
    notes = []
    video = vars(settings.video) if settings.video else {}
    names = ", ".join(f"--{name.replace('_', '-')}" for name, value in video.items() if value is not None)
    if names and not all(job.is_video for job in jobs):
        notes.append(f"{names}: no effect on pictures")
    if settings.recursive and not any(text != STREAM and Path(text).is_dir() for text in inputs):
        notes.append("--recursive has no effect: no input is a folder")
    if settings.resume and any(job.target is None for job in jobs):
        notes.append("--resume has no effect on standard output")
    if settings.naming.all_frames and not any(_has_all_frames(job) for job in jobs):
        are_some = any(job.source and is_animation(job.source) for job in jobs)
        why = "the output holds one frame" if are_some else "no input is an animation"
        notes.append(f"--frames all has no effect: {why}")
    if settings.quality is not None:
        kinds = {"videos" if job.is_video else _kind(job, settings) for job in jobs}
        lossless = sorted(kinds - HAVE_QUALITY)
        notes += [f"--quality has no effect on {', '.join(lossless)}"] if lossless else []
    return notes


def _has_all_frames(job: Job) -> bool:
    """Whether the output holds all frames of an animation."""
    return job.is_animation or bool(job.is_video and job.source and is_animation(job.source))


def stream_suffix(settings: "Settings") -> str:
    """The format of a picture on standard output."""
    return settings.naming.format or ".png"


def _kind(job: Job, settings: "Settings") -> str:
    suffix = job.target.suffix.lower() if job.target else stream_suffix(settings)
    return KINDS[suffix] if job.is_animation else WRITABLE[suffix]
