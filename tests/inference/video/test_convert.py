import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from sr.errors import UserError
from sr.inference.enlarger import Enlarger
from sr.inference.video.convert import enlarge_video
from sr.weights.model import Model

FRAMES, RATE = 12, 24
MAX_PIXELS = 10_000


def images() -> list[np.ndarray]:
    """A bright square moving over a colour gradient."""
    base = np.zeros((34, 46, 3), np.uint8)
    base[..., 0], base[..., 2] = np.arange(46) * 4, 90
    frames = []
    for number in range(FRAMES):
        frame = base.copy()
        frame[8:20, 2 * number : 2 * number + 12] = 220
        frames.append(frame)
    return frames


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A video whose sound is a tone."""
    path = tmp_path / "clip.mp4"
    writer: Any
    with av.open(str(path), "w") as writer:
        pictures, sound = (
            writer.add_stream("libx264", rate=RATE, options={"crf": "4"}),
            writer.add_stream("aac", rate=8000),
        )
        pictures.height, pictures.width, pictures.pix_fmt = 34, 46, "yuv420p"
        for image in images():
            writer.mux(pictures.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        writer.mux(pictures.encode(None))
        tone = np.sin(np.arange(4096, dtype=np.float32) / 9)[None]
        for number in range(0, 4096, 1024):
            part = av.AudioFrame.from_ndarray(tone[:, number : number + 1024].copy(), format="fltp", layout="mono")
            part.sample_rate, part.pts, part.time_base = 8000, number, Fraction(1, 8000)
            writer.mux(sound.encode(part))
        writer.mux(sound.encode(None))
    return path


def decoded(path: Path) -> tuple[list[np.ndarray], list[float], list[bytes]]:
    """The frames, their times, and the audio packets."""
    with av.open(str(path)) as container:
        frames = [(frame.to_ndarray(format="rgb24"), float(frame.time or 0)) for frame in container.decode(video=0)]
    with av.open(str(path)) as container:
        sound = [bytes(packet) for packet in container.demux(audio=0) if packet.size]
    return [frame for frame, _ in frames], [time for _, time in frames], sound


@pytest.fixture
def enlarger() -> Enlarger:
    return Enlarger(Model("bicubic", 3), device="cpu")


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_frames_are_enlarged_at_their_times_and_sound_is_copied(
    clip: Path, tmp_path: Path, enlarger: Enlarger, suffix: str
) -> None:
    progress: list[float] = []
    big = tmp_path / f"big{suffix}"
    assert enlarge_video(clip, big, enlarger, max_pixels=MAX_PIXELS, advance=progress.append) == []
    assert sum(progress) == pytest.approx(1)
    small_frames, small_times, small_sound = decoded(clip)
    frames, times, sound = decoded(big)
    assert len(frames) == FRAMES
    # AAC begins before zero, which Matroska cannot represent: it shifts both streams.
    assert [time - times[0] for time in times] == pytest.approx(
        [time - small_times[0] for time in small_times], abs=2e-3
    )
    assert sound == small_sound
    for small, large in zip(small_frames, frames, strict=True):
        assert large.shape == (102, 138, 3)
        assert np.abs(large.astype(float) - enlarger(small)).mean() < 3


# Rows (a, b) and (c, d) of a track's matrix: a pixel (x, y) is shown at (a*x + c*y, b*x + d*y), y downwards (ISO/IEC
# 14496-12, 6.2.2). The last number counts the quarter turns to the left from the stored to the displayed frame.
TURNS = {"right": ((0, 1, -1, 0), -1), "upside down": ((-1, 0, 0, -1), 2), "left": ((0, -1, 1, 0), 1)}


@pytest.mark.parametrize("turn", TURNS)
def test_a_rotated_video_of_a_phone_is_written_upright(
    clip: Path, tmp_path: Path, enlarger: Enlarger, turn: str
) -> None:
    (a, b, c, d), quarters = TURNS[turn]
    content = bytearray(clip.read_bytes())
    matrix = content.index(b"tkhd") + 44  # of the first track
    assert struct.unpack(">9i", content[matrix : matrix + 36]) == (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    content[matrix : matrix + 36] = struct.pack(
        ">9i", *(number << 16 for number in (a, b)), 0, *(number << 16 for number in (c, d)), 0, 0, 0, 1 << 30
    )
    phone = tmp_path / "phone.mp4"
    phone.write_bytes(content)
    enlarge_video(phone, tmp_path / "big.mp4", enlarger, max_pixels=MAX_PIXELS)
    frames = decoded(tmp_path / "big.mp4")[0]
    displayed_frames = [np.rot90(enlarger(frame), quarters) for frame in decoded(clip)[0]]
    assert len(frames) == len(displayed_frames) == FRAMES
    for frame, expected in zip(frames, displayed_frames, strict=True):
        assert frame.shape == expected.shape
        assert np.abs(frame.astype(float) - expected).mean() < 3
    with av.open(str(tmp_path / "big.mp4")) as container:
        assert next(container.decode(video=0)).rotation == 0  # otherwise players would rotate it again


def test_colour_tags_and_frame_times_of_the_source_are_kept(tmp_path: Path) -> None:
    """The clip is full-range BT.709 with irregular frame times and a second video stream."""
    path, times = tmp_path / "source.mkv", [0, 40, 90, 100, 400]  # milliseconds
    writer: Any
    with av.open(str(path), "w") as writer:
        streams = [writer.add_stream("libx264", rate=30, options={"crf": "4"}) for _ in range(2)]
        for stream in streams:
            stream.height, stream.width, stream.pix_fmt = 34, 46, "yuv420p"
            stream.codec_context.time_base = Fraction(1, 1000)
            stream.codec_context.color_range, stream.codec_context.colorspace = 2, 1
            stream.codec_context.color_primaries, stream.codec_context.color_trc = 1, 1
        for time, image in zip(times, images(), strict=False):
            for stream in streams:
                frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(
                    format="yuv420p", dst_colorspace=1, dst_color_range=2
                )
                frame.pts, frame.time_base = time, Fraction(1, 1000)
                writer.mux(stream.encode(frame))
        for stream in streams:
            writer.mux(stream.encode(None))
    enlarger = Enlarger(Model("bicubic", 2), device="cpu")
    notes = enlarge_video(path, tmp_path / "big.mkv", enlarger, max_pixels=34 * 46)
    assert notes == ["all but the first video stream left out"]
    with av.open(str(tmp_path / "big.mkv")) as container:
        output_times = [float(frame.time or 0) for frame in container.decode(video=0)]
    assert output_times == pytest.approx([time / 1000 for time in times], abs=2e-3)
    with av.open(str(tmp_path / "big.mkv")) as container:
        context = container.streams.video[0].codec_context
        tags = (context.color_range, context.colorspace, context.color_primaries, context.color_trc)
        first = next(container.decode(video=0))
    assert tags == (2, 1, 1, 1)
    rgb = first.reformat(format="rgb24", src_colorspace=1, src_color_range=2).to_ndarray()
    assert np.abs(rgb.astype(float) - enlarger(images()[0])).mean() < 3


def test_odd_sides_are_padded_to_even_ones(tmp_path: Path, clip: Path) -> None:
    class Odd(Enlarger):
        def strips(self, pixels: Any) -> Any:
            yield pixels[:-1, :-1]

    enlarge_video(clip, tmp_path / "odd.mkv", Odd(Model("bicubic", 3), device="cpu"), max_pixels=MAX_PIXELS)
    frame = decoded(tmp_path / "odd.mkv")[0][0].astype(int)
    assert frame.shape == (34, 46, 3)
    for padded, last in ((frame[-1], frame[-2]), (frame[:, -1], frame[:, -2])):  # a repeated row and column, not black
        assert np.abs(padded - last).mean() < 12


def test_videos_that_cannot_be_converted_are_refused_and_leave_no_file(
    tmp_path: Path, clip: Path, enlarger: Enlarger
) -> None:
    bad, target = tmp_path / "bad.mp4", tmp_path / "out.mp4"
    for content, message in (
        (b"no video", "bad.mp4: cannot be converted to out.mp4"),
        (clip.read_bytes()[:900], "cannot"),
    ):
        bad.write_bytes(content)
        with pytest.raises(UserError, match=message):
            enlarge_video(bad, target, enlarger, max_pixels=MAX_PIXELS)
    with pytest.raises(UserError, match=r"none\.mp4: cannot be read \(No such file or directory\)"):
        enlarge_video(tmp_path / "none.mp4", target, enlarger, max_pixels=MAX_PIXELS)
    with pytest.raises(UserError, match=r"frames of 1564 pixels, more than the 1000 allowed"):
        enlarge_video(clip, target, enlarger, max_pixels=1000)
    with pytest.raises(UserError, match=r"webm cannot hold aac audio: write to \.mkv"):
        enlarge_video(clip, tmp_path / "out.webm", enlarger, max_pixels=MAX_PIXELS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.mp4", "clip.mp4"]
