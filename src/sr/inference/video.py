"""Enlarge videos frame by frame, in constant memory; sound is copied unchanged."""

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
from sr.io.bounded import Pixels
from sr.io.pictures import FORMATS

_CODECS = {"webm": ("libvpx-vp9", {"crf": "24", "b:v": "0", "row-mt": "1"})}
_CODEC = ("libx264", {"crf": "16", "preset": "medium"})  # visually lossless
_DEFAULT_RATE = Fraction(25)  # frames per second, where the file does not say
_COLOUR_TAGS = ("color_range", "colorspace", "color_primaries", "color_trc")


def enlarge_video(
    source: Path,
    target: Path,
    enlarger: Enlarger,
    *,
    max_pixels: int,
    advance: Callable[[float], None] = lambda share: None,
) -> list[str]:
    """Enlarge a video's first video stream, and copy its sound.

    Frame times and colour tags are kept, and rotation is applied. The output has 8 bits and 4:2:0 chroma.

    Args:
        source: any file that FFmpeg reads.
        target: the output file; its suffix is one of ``FORMATS``. Written completely or not at all.
        enlarger: the model.
        max_pixels: refuse larger frames.
        advance: called with the share of the frames done since the last call.

    Returns:
        What was left out, each in a few words.

    Raises:
        UserError: if the source cannot be read as a video, or the format cannot hold its sound.
    """
    try:
        with av.open(str(source)) as reader, whole_file(target) as file:
            if not reader.streams.video:
                raise UserError(f"{source}: has no video stream")
            size = reader.streams.video[0].width * reader.streams.video[0].height
            if size > max_pixels:
                raise UserError(
                    f"{source}: has frames of {size} pixels, more than the {max_pixels} allowed (--max-pixels)"
                )
            container = FORMATS[target.suffix.lower()]
            with av.open(file, "w", format=container) as writer:
                _Copy(reader, writer, container, enlarger, advance).run()
            return _left_out(reader.streams)
    except FFmpegError as error:
        reason = error.strerror or str(error)
        raise UserError(f"{source}: cannot be converted to {target.name} as a video ({reason})") from error


def _left_out(streams: Any) -> list[str]:
    kinds = {
        "subtitles": streams.subtitles,
        "data": streams.data,
        "all but the first video stream": streams.video[1:],
    }
    return [f"{name} left out" for name, left in kinds.items() if left]


class _Copy:
    """Copies a video from one container to another, enlarging its frames on the way."""

    def __init__(
        self, reader: Any, writer: Any, container: str, enlarger: Enlarger, advance: Callable[[float], None]
    ) -> None:
        self.reader, self.writer, self.enlarger, self.advance = reader, writer, enlarger, advance
        self.source = reader.streams.video[0]
        self.source.thread_type = "AUTO"
        codec, options = _CODECS.get(container, _CODEC)
        rate = self.source.average_rate or _DEFAULT_RATE
        self.target = writer.add_stream(codec, rate=rate, options=options)
        self.sound = {stream: _add_sound(writer, stream, container) for stream in reader.streams.audio}
        estimate = int((self.source.duration or 0) * self.source.time_base * rate)
        self.frames = self.source.frames or estimate or 1
        self.started = False  # whether the first frame, which sets the size in the file's header, has been seen

    def run(self) -> None:
        """Copy everything.

        Raises:
            UserError: if no frame can be decoded.
        """
        waiting: list[Any] = []  # packets of sound before the first frame: the header has to be written first
        for packet in self.reader.demux([self.source, *self.sound]):
            if packet.stream in self.sound and packet.dts is not None:  # the last packet of each stream is empty
                packet.stream = self.sound[packet.stream]
                waiting.append(packet)
            for frame in packet.decode() if packet.stream is self.source else ():
                self._add(frame)
            if self.started:
                self.writer.mux(waiting)
                waiting = []
        if not self.started:
            raise UserError(f"{self.reader.name}: contains no frame that can be decoded")
        self.writer.mux(self.target.encode(None))

    def _add(self, frame: Any) -> None:
        pixels = _enlarged(frame, self.enlarger)
        if not self.started:
            self._describe(frame, pixels)
            self.started = True
        big = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(
            format="yuv420p", dst_colorspace=frame.colorspace, dst_color_range=frame.color_range
        )
        big.pts, big.time_base = frame.pts, frame.time_base
        self.writer.mux(self.target.encode(big))
        self.advance(1 / self.frames)

    def _describe(self, frame: Any, pixels: Pixels) -> None:
        """Set size, time base and colour tags of the output."""
        self.target.height, self.target.width, self.target.pix_fmt = *pixels.shape[:2], "yuv420p"
        self.target.codec_context.time_base = frame.time_base
        for tag in _COLOUR_TAGS:
            setattr(self.target.codec_context, tag, getattr(self.source.codec_context, tag))


def _add_sound(writer: Any, stream: Any, container: str) -> Any:
    try:
        return writer.add_stream_from_template(stream)
    except ValueError as error:
        codec = stream.codec_context.name
        raise UserError(f"{container} cannot hold {codec} audio: write to .mkv") from error


def _enlarged(frame: Any, enlarger: Enlarger) -> Pixels:
    """``(H, W, 3)`` of uint8, upright, its sides padded to even numbers, which 4:2:0 needs."""
    rgb = frame.reformat(format="rgb24", src_colorspace=frame.colorspace, src_color_range=frame.color_range)
    small = rgb.to_ndarray()
    if turns := round(getattr(frame, "rotation", 0) / 90) % 4:
        small = np.rot90(small, turns)
    big = np.concatenate(list(enlarger.strips(np.ascontiguousarray(small))))
    return np.pad(big, ((0, big.shape[0] % 2), (0, big.shape[1] % 2), (0, 0)), mode="edge")
