"""Read and write animated GIF, WebP and PNG: every frame whole, as it is seen, with its time.

Frames of such files may cover parts of the picture and be disposed of in several ways. Here each is what a viewer
shows, so that neither has to be kept for the animation to look the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sr.errors import UserError
from sr.io.bounded import Pixels
from sr.io.decoders import has_several_frames
from sr.io.images import MAX_PIXELS, ImageFileError, header_of, opened, regular_file
from sr.io.metadata import Metadata, metadata_of

KINDS = {".gif": "GIF", ".webp": "WEBP", ".png": "PNG", ".apng": "PNG"}
MOST_SIDE = {"GIF": 2**16 - 1, "WEBP": 2**14 - 1, "PNG": 2**31 - 1}  # pixels, by kind

_OPAQUE = 255
_COLOURS = 255  # of a GIF frame, beside the transparent one
_QUALITY = 95  # of WebP
_GIF_TICK = 10  # milliseconds
_LONGEST_IN_PNG = 2**16 - 1  # milliseconds
_LEAST_TO_LOOP = 1  # plays


@dataclass(frozen=True)
class Animation:
    """The frames of an animation.

    Attributes:
        frames: ``(H, W, 3)``, or ``(H, W, 4)`` with alpha, of uint8.
        durations: of each, in milliseconds.
        plays: how often it is shown; 0 for ever.
        profile: ICC colour profile.
        metadata: what else the file says.
        notes: what was lost in reading it.
    """

    frames: Sequence[Pixels]
    durations: Sequence[float]
    plays: int = 0
    profile: bytes | None = None
    metadata: Metadata = field(default_factory=Metadata)
    notes: Sequence[str] = ()


def is_animation(path: Path) -> bool:
    """Whether a file is an animation that can be read; False if it cannot be read at all."""
    if path.suffix.lower() not in KINDS:
        return False
    try:
        with opened(path, str(path)) as image:
            return image.format in KINDS.values() and has_several_frames(image)
    except ImageFileError:  # decoding it says why
        return False


def read_animation(path: Path, max_pixels: int = MAX_PIXELS, advice: str = "") -> Animation:
    """Decode all frames.

    Args:
        path: an animation, see `is_animation`.
        max_pixels: of all frames together; more are refused.
        advice: text added to the error for an animation that is too large.

    Raises:
        ImageFileError: if it is damaged or too large.
    """
    with regular_file(path, str(path)) as file:
        content = file.read()
    frames: list[np.ndarray[Any, Any]] = []
    durations = []
    with opened(content, str(path), max_pixels, advice) as image:
        notes = ["16 bits: 8 are kept in an animation"] if header_of(image).is_deep else []
        while _sought(image, len(frames)):
            if (len(frames) + 1) * image.width * image.height > max_pixels:
                raise ImageFileError(
                    f"{path}: its frames of {image.width}x{image.height} have together more than the {max_pixels} "
                    f"pixels allowed{advice}"
                )
            image.load()
            frames.append(np.asarray(image.convert("RGBA")))
            durations.append(float(image.info.get("duration", 0)))
        plays = int(image.info.get("loop", 1 if image.format == "GIF" else 0))
        if image.info.get("default_image"):  # shown only where animations are not
            frames, durations = frames[1:], durations[1:]
            notes.append("its still picture is left out")
        profile, metadata = image.info.get("icc_profile"), metadata_of(image, content)
    if not frames:
        raise ImageFileError(f"{path}: has no frames: replace the file")
    if all(frame[..., 3].min() == _OPAQUE for frame in frames):
        frames = [frame[..., :3] for frame in frames]
    return Animation(frames, durations, plays, profile, metadata, notes)


def write_animation(file: IO[bytes], suffix: str, animation: Animation, quality: int | None = None) -> str:
    """Encode an animation.

    Args:
        file: written to, and read again.
        suffix: selects the format; a key of ``KINDS``.
        animation: what to write.
        quality: of WebP, 1 to 100; None for the default.

    Returns:
        What the format cannot store and was left out, in a few words; empty if nothing.

    Raises:
        UserError: if the format cannot store pictures of this size.
    """
    kind = KINDS[suffix]
    options, lost = animation.metadata.options(kind)
    has_alpha = animation.frames[0].shape[2] == 4
    images = [Image.fromarray(frame) for frame in animation.frames]
    durations = [round(duration) for duration in animation.durations]
    if kind == "GIF":
        images = [_with_palette(image) for image in images]
        durations = [_GIF_TICK * round(duration / _GIF_TICK) for duration in animation.durations]
        options = {"disposal": 2 if has_alpha else 1, "optimize": False}
        if any(_has_many_colours(frame) for frame in animation.frames):
            lost.append("more than 255 colours a frame (GIF cannot hold it)")
        if has_alpha:
            options["transparency"] = _COLOURS
            if any(((frame[..., 3] % _OPAQUE) > 0).any() for frame in animation.frames):
                lost.append("partial transparency (GIF cannot hold it)")
        if animation.plays != _LEAST_TO_LOOP:  # without it, once
            options["loop"] = animation.plays
    elif kind == "PNG":
        options = {"loop": animation.plays, "blend": 0, "disposal": 0, **_png_options(animation)}
        lost = list(animation.metadata.left_out)
        if max(durations) > _LONGEST_IN_PNG:
            durations = [min(duration, _LONGEST_IN_PNG) for duration in durations]
            lost.append("frames of more than 65 s (PNG cannot hold it)")
    else:
        options |= {"loop": animation.plays, "quality": quality or _QUALITY, "method": 4}
    if animation.profile:
        options["icc_profile"] = animation.profile
    try:
        images[0].save(file, kind, save_all=True, append_images=images[1:], duration=durations, **options)
    except (ValueError, OverflowError, OSError) as error:
        if isinstance(error, OSError) and error.errno:  # of the disk
            raise
        height, width = animation.frames[0].shape[:2]
        raise UserError(f"an animation of {width}x{height} cannot be written as {kind}: use .png") from error
    return ", ".join(lost)


def _png_options(animation: Animation) -> dict[str, Any]:
    """How Pillow saves all metadata: PNG holds it."""
    metadata, chunks = animation.metadata, PngInfo()
    for name, data in metadata.png_chunks(profile=bool(animation.profile)):
        if name not in (b"pHYs", b"eXIf"):  # which Pillow writes itself
            chunks.add(name, data)
    exif = {"exif": metadata.exif} if metadata.exif else {}
    return {"pnginfo": chunks, **exif, **({"dpi": metadata.dpi} if metadata.dpi else {})}


def _sought(image: Image.Image, number: int) -> bool:
    """Whether there is a frame of this number, which is then the current one."""
    try:
        image.seek(number)
    except EOFError:
        return False
    return True


def _has_many_colours(frame: Pixels) -> bool:
    return Image.fromarray(np.ascontiguousarray(frame[..., :3])).getcolors(_COLOURS) is None


def _with_palette(image: Image.Image) -> Image.Image:
    """A frame of GIF: 255 colours, and one for what is rather transparent than not."""
    flat = image.convert("RGB").quantize(_COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.FLOYDSTEINBERG)
    if image.mode == "RGBA":
        hidden = image.getchannel("A").point(lambda alpha: _OPAQUE if alpha < 128 else 0)
        flat.paste(_COLOURS, mask=hidden)
        flat.info["transparency"] = _COLOURS
    return flat
