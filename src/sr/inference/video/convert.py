"""Enlarge a video: its frames in segments, which are put together with everything else that the file holds."""

import io
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError

from sr.errors import UserError, listed
from sr.inference.pictures import PictureEnlarger
from sr.inference.records import Record, how_onnx_runs
from sr.inference.video.encoding import Encoding, VideoOptions, chosen_encoding
from sr.inference.video.frames import Frames, frame_of, pixels_of_frame, sample_aspect_ratio
from sr.inference.video.segments import FRAMES, Segments, SegmentWriter, kept_segments
from sr.inference.video.source import opened_video
from sr.inference.video.streams import Copied, keep_tags
from sr.io.atomic import whole_file
from sr.io.bounded import Pixels
from sr.io.pictures import FORMATS

_DEFAULT_RATE = Fraction(25)  # frames per second, where the file does not say
_IN_FLIGHT = 2  # frames: while one is enlarged, the next is decoded and the last encoded


def enlarge_video(
    source: Path,
    target: Path,
    enlarger: PictureEnlarger,
    *,
    max_pixels: int,
    options: VideoOptions | None = None,
    resume: bool = False,
    force: bool = False,
    advance: Callable[[float], None] = lambda share: None,
    tell: Callable[[str], None] = lambda text: None,
    record: Record = lambda target, file: None,
) -> list[str]:
    """Enlarge a video's first video stream, and copy the other streams that the output can hold.

    Frame times, colour tags and the shape of pixels are kept, rotation is applied, and interlaced frames are
    deinterlaced. Segments of 100 frames are kept beside the output until it is complete.

    Args:
        source: any file that FFmpeg reads, but no playlist.
        target: the output file; its suffix is one of ``FORMATS``. Written completely or not at all.
        enlarger: the model.
        max_pixels: refuse larger frames.
        options: how to encode; None: as the container has it.
        resume: continue a conversion that was killed.
        force: remove what a killed conversion has left, and begin anew.
        advance: called with the share of the frames done since the last call.
        tell: called with the number of frames done and the speed, in words.
        record: called with the output before it gets its name.

    Returns:
        What was left out or changed, each in a few words.

    Raises:
        UserError: if the source cannot be read as a video, the options cannot be met, the format cannot hold its
            sound, another process writes the same output, or neither ``resume`` nor ``force`` says what to do with
            frames that are done.
    """
    try:
        with opened_video(source) as reader:
            conversion = _Conversion(reader, source, target, enlarger, max_pixels, options or VideoOptions())
            with kept_segments(target, conversion.request, resume=resume, force=force) as segments:
                if segments.is_other:
                    conversion.notes.append("what was converted before had other options, and is not used")
                elif segments.frames:
                    conversion.notes.append(f"continued after {segments.frames} frames")
                conversion.run(segments, advance, tell)
                with opened_video(source) as again, whole_file(target) as file:
                    _put_together(again, source, file, conversion.container, segments)
                    record(target, file)
        return conversion.notes
    except FFmpegError as error:
        reason = error.strerror or str(error)
        raise UserError(f"{source}: cannot be converted to {target.name} as a video ({reason})") from error


class _Conversion:
    """Enlarges the frames of a video into segments."""

    def __init__(
        self, reader: Any, source: Path, target: Path, enlarger: PictureEnlarger, max_pixels: int, options: VideoOptions
    ) -> None:
        self.enlarger, self.source, self.target = enlarger, source, target
        stream = _video_of(reader, source)
        self.max_pixels = max_pixels
        self._check_size(stream.width, stream.height)
        self.container = FORMATS[target.suffix.lower()]
        self.frames = Frames(reader, stream, str(source))
        self.options, self.stream = options, stream
        if self.frames.format is None:  # as of animated WebP, in many versions of FFmpeg
            raise UserError(f"{source}: FFmpeg cannot decode its frames: write it as .webp, .png or .gif")
        self.encoding = chosen_encoding(self.container, self.frames.format, options)
        self.notes = _checked(reader, self.container, self.encoding, stream)
        self.notes += [self.encoding.note] if self.encoding.note else []
        self.frames.looks_for_alpha = bool(self.encoding.alpha_note)
        self.rate = Fraction(stream.average_rate or _DEFAULT_RATE)
        estimate = int((stream.duration or 0) * (stream.time_base or 0) * self.rate)
        if not estimate and reader.duration:
            estimate = int(reader.duration * self.rate / av.time_base)
        self.total = stream.frames or estimate or 1

    @property
    def request(self) -> dict[str, Any]:
        """What has to be the same for a conversion to be resumed."""
        about = self.source.stat()
        model = self.enlarger.model
        return {
            "source": [str(self.source.resolve()), about.st_size, about.st_mtime_ns],
            "model": [model.label, model.scale, model.weights_hash, how_onnx_runs(model)],
            "enlarging": [self.enlarger.ensemble, self.enlarger.wrap, self.enlarger.precision],
            "encoding": [self.encoding.codec, self.encoding.settings, self.encoding.pix_fmt],
            "options": asdict(self.options),
        }

    def run(self, segments: Segments, advance: Callable[[float], None], tell: Callable[[str], None]) -> None:
        """Enlarge all frames that are not in finished segments.

        Raises:
            UserError: if no frame can be decoded.
        """
        done = segments.frames
        advance(min(1.0, done / self.total))
        unit = Fraction(*segments.finished[-1].unit) if done else None
        last = segments.finished[-1].times[-1] if done else None
        writer: SegmentWriter | None = None
        stretched: Fraction | None = None
        in_segment, started, before = 0, time.monotonic(), done
        try:
            for frame, pixels in self._enlarged(islice(self.frames, done, None)):
                unit = unit or Fraction(frame.time_base)
                shown = _time_of(frame, unit, self.rate, last)
                ratio = sample_aspect_ratio(self.stream, frame)
                stretched = None if self.encoding.keeps_shape_of_pixels else ratio
                big = frame_of(pixels, self.encoding.pix_fmt, frame, stretched)
                if writer is None:
                    ratio = None if stretched else ratio
                    writer, in_segment = (
                        SegmentWriter(segments.begin(), self.encoding, big, self.stream, self.rate, ratio),
                        0,
                    )
                writer.add(big, shown)
                last, done, in_segment = shown, done + 1, in_segment + 1
                advance(1 / self.total)
                speed = (done - before) / max(time.monotonic() - started, 1e-9)
                tell(f"frame {done} of {max(self.total, done)}, {speed:.1f} a second")
                if in_segment == FRAMES:
                    segments.finish(writer.close(unit))
                    writer = None
            if writer is not None and unit is not None:
                segments.finish(writer.close(unit))
                writer = None
        finally:
            if writer is not None:
                writer.abandon()
        if not done:
            raise UserError(f"{self.source}: contains no frame that can be decoded")
        if stretched:
            name = self.encoding.codec
            self.notes.append(
                f"pixels of {stretched.numerator}:{stretched.denominator} made square ({name} keeps none)"
            )
        if self.frames.has_transparent:
            self.notes.append(self.encoding.alpha_note)
        if self.frames.other_sizes and self.frames.size:
            width, height = self.frames.size
            others = listed(sorted(f"{across}x{down}" for across, down in self.frames.other_sizes))
            self.notes.append(f"frames of {others} scaled to the {width}x{height} of the first")
        if self.frames.deinterlaced:
            self.notes.append("interlaced: deinterlaced by bwdif, a frame for each two fields")

    def _enlarged(self, frames: Iterable[Any]) -> Iterator[tuple[Any, Pixels]]:
        """Frames with their enlarged pixels; the next frame is decoded while one is enlarged."""
        with ThreadPoolExecutor(1) as pool:
            waiting: deque[tuple[Any, Future[Pixels]]] = deque()
            for frame in frames:
                self._check_size(frame.width, frame.height)
                pixels = pixels_of_frame(
                    frame, self.frames.size, alpha=self.encoding.has_alpha, deep=self.encoding.is_deep
                )
                waiting.append((frame, pool.submit(self._enlarge, pixels)))
                if len(waiting) == _IN_FLIGHT:
                    first, future = waiting.popleft()
                    yield first, future.result()
            for frame, future in waiting:
                yield frame, future.result()

    def _check_size(self, width: int, height: int) -> None:
        if width * height > self.max_pixels:
            raise UserError(
                f"{self.source}: has frames of {width * height} pixels, more than the {self.max_pixels} allowed "
                "(--max-pixels)"
            )

    def _enlarge(self, pixels: Pixels) -> Pixels:
        return np.concatenate(list(self.enlarger.strips(pixels)))


def _video_of(reader: Any, source: Path) -> Any:
    """The first video stream that is no cover picture.

    Raises:
        UserError: if there is none.
    """
    streams = [stream for stream in reader.streams.video if "attached_pic" not in str(stream.disposition)]
    if not streams:
        raise UserError(f"{source}: has no video stream")
    return streams[0]


def _checked(reader: Any, container: str, encoding: Encoding, video: Any) -> list[str]:
    """What the container cannot hold of the other streams, before hours are spent on the frames.

    Raises:
        UserError: if it can hold neither the sound nor the codec.
    """
    with av.open(io.BytesIO(), "w", format=container) as trial:
        try:
            trial.add_stream(encoding.codec, rate=25)
        except (ValueError, FFmpegError) as error:
            other = "choose another" if container == "matroska" else "write to .mkv"
            raise UserError(f"--codec {encoding.codec}: {container} cannot hold it: {other}") from error
        return Copied(reader, trial, container, video).notes


def _time_of(frame: Any, unit: Fraction, rate: Fraction, last: int | None) -> int:
    """When a frame is shown, in units of the first frame; later than the last one."""
    shown = None if frame.pts is None else round(frame.pts * frame.time_base / unit)
    if last is None:
        return shown or 0
    step = max(1, round(1 / rate / unit))
    return last + step if shown is None else max(shown, last + 1)


def _put_together(reader: Any, source: Path, file: Any, container: str, segments: Segments) -> None:
    """Write the segments, and everything else that the source holds."""
    writer: Any
    with segments.first().open("rb") as head, av.open(head) as first, av.open(file, "w", format=container) as writer:
        template = first.streams.video[0]
        video = writer.add_stream_from_template(template)
        video.time_base = segments.unit  # else that of the segment, in which the times of the source are rounded
        original = _video_of(reader, source)
        keep_tags(original, video)
        copied = Copied(reader, writer, container, original)
        waiting = segments.packets()
        packet, seconds = next(waiting, (None, Fraction(0)))

        def write_until(time: Fraction | None) -> None:
            nonlocal packet, seconds
            while packet is not None and (time is None or seconds <= time):
                packet.stream = video
                writer.mux(packet)
                packet, seconds = next(waiting, (None, Fraction(0)))

        for other in reader.demux(list(copied.targets)) if copied.targets else ():
            if other.dts is not None:
                write_until(other.dts * other.time_base)
                other.stream = copied.targets[other.stream]
                writer.mux(other)
        write_until(None)
