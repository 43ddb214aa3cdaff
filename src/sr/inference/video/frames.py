"""The frames of a video as they are shown: upright, deinterlaced, with their transparency."""

import itertools
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.filter import Graph

from sr.errors import UserError
from sr.io.bounded import Pixels

_BT709, _LIMITED = 1, 1  # H.273: matrix coefficients, and FFmpeg's name of the range
_RGB = 0
_OPAQUE = 255

# How FFmpeg converts pixels: by SWS_BILINEAR and SWS_ACCURATE_RND in one thread. Without the latter, it works on eight
# pixels at a time from planes with transparency to RGBA, and the last of a row get what is behind them. In several
# threads, many conversions write beyond the end of a row, into what another thread has written.
EXACT: dict[str, Any] = {"interpolation": 0x2 | 0x40000, "threads": 1}
_ALONE = {"threads": 1}

_DEINTERLACER = "mode=send_frame:deint=interlaced"  # a frame for each two fields; others pass unchanged


class Frames:
    """Decodes a video stream.

    Attributes:
        stream: what is decoded.
        deinterlaced: whether interlaced frames have been seen.
        size: width and height of the first frame; None before it.
        other_sizes: of frames that have another one.
        looks_for_alpha: whether to look for transparent pixels.
        has_transparent: whether one has been seen.
    """

    def __init__(self, reader: Any, stream: Any, name: str) -> None:
        """Choose a decoder for a stream of the file of this name."""
        self._name = name
        self._reader, self.stream, self.deinterlaced = reader, stream, False
        self.size: tuple[int, int] | None = None
        self.other_sizes: set[tuple[int, int]] = set()
        self.looks_for_alpha = self.has_transparent = False
        self._graph: Any = None
        self._decoder: Any = None
        stream.thread_type = "AUTO"
        if stream.codec_context.name in ("vp8", "vp9") and stream.metadata.get("alpha_mode") == "1":
            self._decoder = av.CodecContext.create(f"libvpx{'-vp9' * (stream.codec_context.name == 'vp9')}", "r")

    @property
    def format(self) -> Any:
        """The ``av.VideoFormat`` of decoded frames."""
        context = self.stream.codec_context
        return av.VideoFormat("yuva420p") if self._decoder is not None else context.format

    def __iter__(self) -> Iterator[Any]:
        """Decoded frames, in the order in which they are shown.

        Raises:
            UserError: if the size of interlaced frames changes, which the deinterlacer cannot follow.
        """
        for packet in self._reader.demux(self.stream):
            frames = packet.decode() if self._decoder is None else self._decoder.decode(packet)
            for frame in frames:
                self._note_size(frame)
                if self.looks_for_alpha and not self.has_transparent:  # many formats have alpha, and opaque pixels only
                    self.has_transparent = bool(frame.to_ndarray(format="rgba", **EXACT)[..., 3].min() < _OPAQUE)
                if frame.interlaced_frame and self._graph is None:
                    self._deinterlace(frame)
                if self._graph is None:
                    yield frame
                else:
                    self._graph.push(frame)
                    yield from self._pulled()
        if self._graph is not None:
            self._graph.push(None)
            yield from self._pulled()

    def _note_size(self, frame: Any) -> None:
        size = (frame.width, frame.height)
        self.size = self.size or size
        if size == self.size:
            return
        self.other_sizes.add(size)
        if self._graph is not None or frame.interlaced_frame:
            (width, height), (other_width, other_height) = self.size, size
            raise UserError(
                f"{self._name}: its interlaced frames change from {width}x{height} to {other_width}x{other_height}: "
                "split it there"
            )

    def _deinterlace(self, frame: Any) -> None:
        self.deinterlaced = True
        graph = Graph()
        source = graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
        )
        filters = [source, graph.add("bwdif", _DEINTERLACER), graph.add("buffersink")]
        for first, second in itertools.pairwise(filters):
            first.link_to(second)
        graph.configure()
        self._graph = graph

    def _pulled(self) -> Iterator[Any]:
        while True:
            try:
                yield self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return


def pixels_of_frame(frame: Any, size: tuple[int, int] | None = None, *, alpha: bool, deep: bool) -> Pixels:
    """``(H, W, 3)`` or, with alpha, ``(H, W, 4)`` of uint8 or, if deep, uint16; upright; scaled to a size."""
    layout = {(False, False): "rgb24", (True, False): "rgba", (False, True): "rgb48le", (True, True): "rgba64le"}
    width, height = size or (frame.width, frame.height)
    rgb = frame.reformat(
        width=width,
        height=height,
        format=layout[alpha, deep],
        src_colorspace=frame.colorspace,
        src_color_range=frame.color_range,
        **(EXACT if alpha else _ALONE),
    )
    pixels: Pixels = rgb.to_ndarray()
    return np.ascontiguousarray(np.rot90(pixels, quarter_turns(frame)))


def quarter_turns(frame: Any) -> int:
    """By how many quarter turns to the left a frame is to be shown."""
    return round(getattr(frame, "rotation", 0) / 90) % 4


def sample_aspect_ratio(stream: Any, frame: Any) -> Fraction | None:
    """Width of a shown pixel to its height; None if it is square or unknown."""
    ratio = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
    if not ratio or ratio == 1:
        return None
    return 1 / Fraction(ratio) if quarter_turns(frame) % 2 else Fraction(ratio)


def frame_of(pixels: Pixels, pix_fmt: str, original: Any, stretched: Fraction | None = None) -> Any:
    """A frame for an encoder, with the colours of another; sides are padded to even numbers.

    RGB becomes BT.709 of limited range, and the frame is tagged so: H.264 allows the tag of RGB in 4:4:4 only, and
    players that find no tag guess.

    Args:
        pixels: ``(H, W, C)``.
        pix_fmt: of the frame.
        original: the other.
        stretched: by which factor to make it wider, if at all.
    """
    height, width, channels = pixels.shape
    even = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    layout = {(3, 1): "rgb24", (4, 1): "rgba", (3, 2): "rgb48le", (4, 2): "rgba64le"}[channels, pixels.itemsize]
    matrix, colour_range = _matrix_and_range(original, pix_fmt)
    frame = av.VideoFrame.from_ndarray(even, format=layout).reformat(
        width=2 * round(even.shape[1] * (stretched or 1) / 2),
        format=pix_fmt,
        dst_colorspace=matrix,
        dst_color_range=colour_range,
        **(EXACT if channels == 4 else _ALONE),
    )
    frame.colorspace, frame.color_range = matrix, colour_range
    return frame


def _matrix_and_range(original: Any, pix_fmt: str) -> tuple[int, int]:
    """Of a frame in a pixel format that is made from another."""
    from_rgb, to_rgb = (form.is_rgb or form.has_palette for form in (original.format, av.VideoFormat(pix_fmt)))
    if from_rgb == to_rgb:
        return original.colorspace, original.color_range
    return (_RGB, original.color_range) if to_rgb else (_BT709, _LIMITED)
