"""Videos, frame by frame in constant memory; sound is copied as it is."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError

from sr.errors import UserError
from sr.inference.enlarger import Enlarger
from sr.io.atomic import whole_file
from sr.io.pictures import FORMATS, Pixels

_CODECS = {"webm": ("libvpx-vp9", {"crf": "24", "b:v": "0", "row-mt": "1"})}
_CODEC = ("libx264", {"crf": "16", "preset": "medium"})  # nearly without loss


def enlarge_video(
    source: Path,
    target: Path,
    enlarger: Enlarger,
    *,
    max_pixels: int,
    advance: Callable[[float], None] = lambda share: None,
) -> list[str]:
    """Enlarge a video's first picture stream, and copy its sound.

    Times of frames, colour tags and rotation are kept; 4:2:0 chroma, 8 bits.

    Args:
        source: any file that FFmpeg reads.
        target: what it becomes, by its suffix one of ``FORMATS``; written whole or not at all.
        enlarger: the model.
        max_pixels: refuse larger frames.
        advance: is told the share that was done since the last time.

    Returns:
        What was left out, each in a few words.

    Raises:
        UserError: if it cannot be read as a video, or the format cannot hold its sound.
    """
    try:
        with av.open(str(source)) as given, whole_file(target) as file:
            if not given.streams.video:
                raise UserError(f"{source}: has no pictures")
            size = given.streams.video[0].width * given.streams.video[0].height
            if size > max_pixels:
                raise UserError(
                    f"{source}: has frames of {size} pixels, more than the {max_pixels} allowed (--max-pixels)"
                )
            kind = FORMATS[target.suffix.lower()]
            with av.open(file, "w", format=kind) as made:
                return _copy(given, made, kind, enlarger, advance)
    except FFmpegError as error:
        reason = error.strerror or str(error)
        raise UserError(f"{source}: cannot be taken to {target.name} as a video ({reason})") from error


def _copy(given: Any, made: Any, kind: str, enlarger: Enlarger, advance: Callable[[float], None]) -> list[str]:
    pictures = given.streams.video[0]
    pictures.thread_type = "AUTO"
    codec, options = _CODECS.get(kind, _CODEC)
    out = made.add_stream(codec, rate=pictures.average_rate or Fraction(25), options=options)
    sound = {one: _copied(made, one, kind) for one in given.streams.audio}
    frames = pictures.frames or int((pictures.duration or 0) * pictures.time_base * (pictures.average_rate or 25)) or 1
    begun = False
    early: list[Any] = []  # the file's head says how large the frames are: it has to wait for the first one
    for packet in given.demux([pictures, *sound]):
        if packet.stream in sound and packet.dts is not None:  # the last one of each stream is empty
            packet.stream = sound[packet.stream]
            early.append(packet)
        for frame in packet.decode() if packet.stream is pictures else ():
            image = _enlarged(frame, enlarger)
            if not begun:
                _describe(out, pictures, frame, image)
                begun = True
            big = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(
                format="yuv420p", dst_colorspace=frame.colorspace, dst_color_range=frame.color_range
            )
            big.pts, big.time_base = frame.pts, frame.time_base
            made.mux(out.encode(big))
            advance(1 / frames)
        if begun:
            made.mux(early)
            early = []
    if not begun:
        raise UserError(f"{given.name}: has no frame that can be read")
    made.mux(out.encode(None))
    left = [name for name, streams in (("subtitles", given.streams.subtitles), ("data", given.streams.data)) if streams]
    more = ["all but the first picture stream"] if len(given.streams.video) > 1 else []
    return [f"{name} left out" for name in (*left, *more)]


def _copied(made: Any, stream: Any, kind: str) -> Any:
    try:
        return made.add_stream_from_template(stream)
    except ValueError as error:
        raise UserError(f"{kind} cannot hold sound of {stream.codec_context.name}: write to .mkv") from error


def _describe(out: Any, pictures: Any, frame: Any, image: Pixels) -> None:
    out.height, out.width, out.pix_fmt = image.shape[0], image.shape[1], "yuv420p"
    out.codec_context.time_base = frame.time_base
    for tag in ("color_range", "colorspace", "color_primaries", "color_trc"):
        setattr(out.codec_context, tag, getattr(pictures.codec_context, tag))


def _enlarged(frame: Any, enlarger: Enlarger) -> Pixels:
    """``(H, W, 3)`` of uint8, upright, with even sides as 4:2:0 needs them."""
    rgb = frame.reformat(format="rgb24", src_colorspace=frame.colorspace, src_color_range=frame.color_range)
    small = rgb.to_ndarray()
    if turns := round(getattr(frame, "rotation", 0) / 90) % 4:
        small = np.rot90(small, turns)
    big = np.concatenate(list(enlarger.strips(np.ascontiguousarray(small))))
    return np.pad(big, ((0, big.shape[0] % 2), (0, big.shape[1] % 2), (0, 0)), mode="edge")
