"""Finished parts of a conversion, kept beside the output until it is complete, so that a killed one can be resumed."""

import json
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import av
from av.error import FFmpegError

from sr.errors import UserError
from sr.inference.video.encoding import Encoding
from sr.io.atomic import write_text
from sr.io.locks import hold

log = logging.getLogger(__name__)

FRAMES = 100  # of a segment, which begins with a key frame
_FASTEST = 500  # frames per second: a segment counts milliseconds
_REQUEST, _LOCK = "request.json", "lock"


@dataclass(frozen=True)
class Segment:
    """Encoded frames.

    Attributes:
        times: of the frames, in the order in which they are shown, in units of ``unit``.
        order: of each packet in the file, the place of its frame in ``times``.
        unit: seconds, as numerator and denominator.
        bytes: size of the file.
    """

    times: list[int]
    order: list[int]
    unit: tuple[int, int]
    bytes: int


@contextmanager
def kept_segments(target: Path, request: dict[str, Any], *, resume: bool, force: bool) -> Iterator["Segments"]:
    """Hold the folder of segments of an output; it is removed at the end, unless there is something to resume.

    Args:
        target: the output.
        request: what has to be the same for its segments to be used.
        resume: use those that are there.
        force: remove those that are there.

    Raises:
        UserError: if another process holds it, or neither of both says what to do with segments that are there.
    """
    folder = target.with_name(f".{target.name}.parts")
    folder.mkdir(exist_ok=True)
    segments: Segments | None = None
    try:
        with hold(folder / _LOCK, 0) as acquired:
            if not acquired:
                raise UserError(f"{target}: another process is writing it: wait for it, or name another output")
            segments = Segments(folder, request)
            if segments.frames and not resume and not force:
                frames, segments = segments.frames, None
                raise UserError(f"{target}: {frames} frames are done: --resume continues, --force begins anew")
            segments.clear(keep=resume)
            yield segments
        is_worth_keeping = False
    except BaseException:
        is_worth_keeping = segments is None or bool(segments.frames)
        if segments and segments.frames:
            log.warning("%s: %d frames are kept in %s: --resume continues", target, segments.frames, folder)
        raise
    finally:
        if not is_worth_keeping:
            shutil.rmtree(folder, ignore_errors=True)


class Segments:
    """The folder of finished segments of one output."""

    def __init__(self, folder: Path, request: dict[str, Any]) -> None:
        """Find what a killed conversion has left.

        Segments from the first one on that a power failure has cut short do not count.
        """
        self.folder = folder
        self._request = json.dumps(request, sort_keys=True)
        record = self.folder / _REQUEST
        is_same = _is(record, self._request)
        self.is_other = record.is_file() and not is_same
        self.finished: list[Segment] = []
        while is_same and (segment := self._recorded(len(self.finished))):
            self.finished.append(segment)

    def clear(self, *, keep: bool) -> None:
        """Remove everything but, to ``keep`` them, the segments that count."""
        if not keep:
            self.finished = []
        used = {self._path(number, suffix) for number in range(len(self.finished)) for suffix in ("json", "mkv")}
        used |= {self.folder / _LOCK, *([self.folder / _REQUEST] if self.finished else [])}
        for path in set(self.folder.iterdir()) - used:
            path.unlink()

    def _recorded(self, number: int) -> Segment | None:
        """A finished segment; None if there is none, or its file is not whole."""
        record, video = self._path(number, "json"), self._path(number, "mkv")
        if not record.is_file() or not video.is_file():
            return None
        segment = Segment(**json.loads(record.read_text(encoding="utf-8")))
        return segment if segment.bytes == video.stat().st_size else None

    @property
    def frames(self) -> int:
        """In all finished segments."""
        return sum(len(segment.times) for segment in self.finished)

    def begin(self) -> Path:
        """Where the next segment is encoded; it counts once `finish` is called."""
        if not (self.folder / _REQUEST).is_file():
            write_text(self.folder / _REQUEST, self._request)
        return self._path(len(self.finished), "mkv")

    def finish(self, segment: Segment) -> None:
        """Record the segment that was begun."""
        write_text(self._path(len(self.finished), "json"), json.dumps(asdict(segment)))
        self.finished.append(segment)

    @property
    def unit(self) -> Fraction:
        """Of the times of all frames, in seconds."""
        return Fraction(*self.finished[0].unit)

    def first(self) -> Path:
        """The file of the first segment."""
        return self._path(0, "mkv")

    def packets(self) -> Iterator[tuple[Any, Fraction]]:
        """All packets in the order in which they are decoded, with their times, and seconds for sorting.

        Raises:
            UserError: if a segment does not hold the frames that it held when it was encoded.
        """
        times = [time for segment in self.finished for time in segment.times]
        order: list[int] = []
        for segment in self.finished:
            order += [len(order) + place for place in segment.order]
        delay = max((place - shown for place, shown in enumerate(order)), default=0)
        step = max(1, times[1] - times[0]) if len(times) > 1 else 1
        lengths = [later - earlier for earlier, later in pairwise([*times, times[-1] + step])]
        unit, place = self.unit, 0
        for number, segment in enumerate(self.finished):
            path, end = self._path(number, "mkv"), place + len(segment.order)
            with path.open("rb") as file, av.open(file, "r") as reader:
                for packet in reader.demux(video=0):
                    if not packet.size:  # the last one; Matroska's first ones lack the time of decoding
                        continue
                    if place == end:
                        raise _damaged(path)
                    decoded = times[place - delay] if place >= delay else times[0] - (delay - place) * step
                    packet.pts, packet.dts, packet.time_base = times[order[place]], decoded, unit
                    packet.duration = lengths[order[place]]
                    yield packet, decoded * unit
                    place += 1
            if place != end:
                raise _damaged(path)

    def _path(self, number: int, suffix: str) -> Path:
        return self.folder / f"{number:05}.{suffix}"


def _damaged(path: Path) -> UserError:
    return UserError(f"{path}: is damaged: remove {path.parent}, and begin anew")


def _is(path: Path, content: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == content


class SegmentWriter:
    """Encodes the frames of one segment; their real times are recorded beside it."""

    def __init__(
        self, path: Path, encoding: Encoding, frame: Any, source: Any, rate: Fraction, ratio: Fraction | None
    ) -> None:
        """Open a file for frames of one size.

        Args:
            path: of the file.
            encoding: of its frames.
            frame: the first of them.
            source: the stream whose colour primaries and transfer it has.
            rate: frames per second, about.
            ratio: width of a pixel to its height.
        """
        self._file = path.open("wb")  # FFmpeg would read a name with a colon as a URL
        self._container = cast("Any", av.open(self._file, "w", format="matroska"))
        self._stream = self._container.add_stream(
            encoding.codec, rate=min(rate, Fraction(_FASTEST)), options=encoding.settings
        )
        context = self._stream.codec_context
        context.width, context.height, context.pix_fmt = frame.width, frame.height, encoding.pix_fmt
        if ratio:
            context.sample_aspect_ratio = ratio
        context.colorspace, context.color_range = frame.colorspace, frame.color_range
        context.color_primaries = source.codec_context.color_primaries
        context.color_trc = source.codec_context.color_trc
        self._order: list[int] = []
        self._times: list[int] = []
        self._unit: Fraction = 1 / min(rate, Fraction(_FASTEST))

    def add(self, frame: Any, time: int) -> None:
        """Encode a frame that is shown at a time, in the unit of the source."""
        frame.pts, frame.time_base = len(self._times), self._unit
        self._times.append(time)
        self._write(self._stream.encode(frame))

    def close(self, unit: Fraction) -> Segment:
        """Complete the file; it is on the disk before anything says that it is finished."""
        self._write(self._stream.encode(None))
        self._container.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        size = self._file.seek(0, os.SEEK_END)
        self._file.close()
        return Segment(self._times, self._order, (unit.numerator, unit.denominator), size)

    def abandon(self) -> None:
        """Close the file as it is."""
        with suppress(FFmpegError, OSError, ValueError):  # the reason for leaving it matters more
            self._container.close()
        self._file.close()

    def _write(self, packets: Any) -> None:
        for packet in packets:
            self._order.append(round(packet.pts * packet.time_base / self._unit))
            self._container.mux(packet)
