"""Enlarge animated GIF, WebP and PNG frame by frame."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from sr.errors import UserError
from sr.inference.pictures import PictureEnlarger
from sr.inference.records import Record
from sr.io.animations import KINDS, MOST_SIDE, read_animation, write_animation
from sr.io.atomic import whole_file


def enlarge_animation(
    source: Path,
    outputs: Sequence[tuple[Path | None, PictureEnlarger]],
    *,
    max_pixels: int,
    quality: int | None,
    advance: Callable[[float], None],
    record: Record,
) -> tuple[list[str], str]:
    """Enlarge all frames into animations.

    Args:
        source: an animation, see `sr.io.animations.is_animation`.
        outputs: the files, with what enlarges each; written completely or not at all.
        max_pixels: refuse more, in all frames together, before and after they are enlarged: both are held in memory.
        quality: of WebP.
        advance: called with the share of the frames done since the last call.
        record: called with each output before it gets its name.

    Returns:
        Notes for the user, and the size of an output in words.

    Raises:
        ImageFileError: if it is damaged or too large.
        UserError: if what it becomes is too large, or larger than the format of an output can be.
    """
    animation = read_animation(source, max_pixels, " (--max-pixels)")
    height, width = (int(side) for side in animation.frames[0].shape[:2])
    for target, enlarger in outputs:
        _check_size(target, len(animation.frames), height * enlarger.scale, width * enlarger.scale, max_pixels)
    notes = list(animation.notes)
    for target, enlarger in outputs:
        assert target is not None  # `plan` sends no animation to standard output
        frames = []
        for frame in animation.frames:
            frames.append(np.concatenate(list(enlarger.strips(frame))))
            advance(1 / len(animation.frames))
        target.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(target) as file:
            lost = write_animation(file, target.suffix.lower(), replace(animation, frames=frames), quality)
            record(target, file)
        notes += [f"{lost} left out of {target.name}"] if lost else []
    height, width = (int(side) for side in frames[0].shape[:2])
    return notes, f", {width}x{height} pixels, {len(frames)} frames"


def _check_size(target: Path | None, count: int, height: int, width: int, max_pixels: int) -> None:
    if target and max(height, width) > (most := MOST_SIDE[KINDS[target.suffix.lower()]]):
        raise UserError(f"{target}: would have {width}x{height} pixels, and sides end at {most} there: use .png")
    if count * height * width > max_pixels:
        raise UserError(
            f"{target}: its {count} frames of {width}x{height} would have together more than the {max_pixels} pixels "
            "allowed (--max-pixels); .mkv is written frame by frame"
        )
