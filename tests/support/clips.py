"""Short videos to enlarge."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.stream import Disposition

SIZE = (34, 46)  # height and width


def moving_square(count: int) -> list[npt.NDArray[np.uint8]]:
    """Frames in which a bright square moves over a colour gradient."""
    base = np.zeros((*SIZE, 3), np.uint8)
    base[..., 0], base[..., 2] = np.arange(SIZE[1]) * 4, 90
    frames = []
    for number in range(count):
        frame = base.copy()
        left = 2 * (number % 15)
        frame[8:20, left : left + 12] = 220
        frames.append(frame)
    return frames


def write_clip(
    path: Path,
    frames: Sequence[Any],
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    ratio: Fraction | None = None,
) -> Path:
    """Encode arrays ``(H, W, 3 or 4)`` of uint8 at 24 frames per second."""
    writer: Any
    with av.open(str(path), "w") as writer:
        stream = writer.add_stream(codec, rate=24, options=options or {"crf": "4"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pix_fmt
        if ratio:
            stream.codec_context.sample_aspect_ratio = ratio
        layout = "rgba" if frames[0].shape[2] == 4 else "rgb24"
        for number, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(image, format=layout).reformat(format=pix_fmt)
            frame.pts, frame.time_base = number, Fraction(1, 24)
            writer.mux(stream.encode(frame))
        writer.mux(stream.encode(None))
    return path


def remuxed(target: Path, video: Path, subtitles: str = "", **extras: Any) -> Path:
    """Copy a video into another file, with subtitles, and what ``extras`` name.

    Args:
        target: the new file.
        video: to copy from.
        subtitles: in the format SubRip.
        extras: ``chapters``, ``title``, ``attachment``, and ``stream_title`` of the video, which makes its subtitles
            forced.
    """
    lines = target.with_name("lines.srt")
    lines.write_text(subtitles or "1\n00:00:00,000 --> 00:00:00,400\nhello\n\n")
    writer: Any
    with av.open(str(video)) as pictures, av.open(str(lines)) as titles, av.open(str(target), "w") as writer:
        sources: list[tuple[Any, Any]] = [(pictures, pictures.streams.video[0])]
        if subtitles:
            sources.append((titles, titles.streams.subtitles[0]))
        copies = [writer.add_stream_from_template(stream) for _, stream in sources]
        if subtitles:
            copies[1].metadata["language"] = "fra"
        if "stream_title" in extras:
            copies[0].metadata["title"] = extras["stream_title"]
            copies[1].disposition = Disposition.forced.value
        if "chapters" in extras:
            writer.set_chapters(extras["chapters"])
        if "title" in extras:
            writer.metadata["title"] = extras["title"]
        if "attachment" in extras:
            writer.add_attachment("font.ttf", "font/ttf", extras["attachment"])
        for (reader, stream), copy in zip(sources, copies, strict=True):
            for packet in reader.demux(stream):
                if packet.dts is not None:
                    packet.stream = copy
                    writer.mux(packet)
    lines.unlink()
    return target
