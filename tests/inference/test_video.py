import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from sr.errors import UserError
from sr.inference.enlarger import Enlarger
from sr.inference.video import enlarge_video
from sr.weights.find import Model

FRAMES, RATE = 12, 24
MOST = 10_000


def images() -> list[np.ndarray]:
    """A bright square that moves over a ramp of colours."""
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
    """A video with a tone."""
    path = tmp_path / "clip.mp4"
    made: Any
    with av.open(str(path), "w") as made:
        pictures, sound = made.add_stream("libx264", rate=RATE, options={"crf": "4"}), made.add_stream("aac", rate=8000)
        pictures.height, pictures.width, pictures.pix_fmt = 34, 46, "yuv420p"
        for image in images():
            made.mux(pictures.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        made.mux(pictures.encode(None))
        tone = np.sin(np.arange(4096, dtype=np.float32) / 9)[None]
        for number in range(0, 4096, 1024):
            part = av.AudioFrame.from_ndarray(tone[:, number : number + 1024].copy(), format="fltp", layout="mono")
            part.sample_rate, part.pts, part.time_base = 8000, number, Fraction(1, 8000)
            made.mux(sound.encode(part))
        made.mux(sound.encode(None))
    return path


def decoded(path: Path) -> tuple[list[np.ndarray], list[float], list[bytes]]:
    """Frames, their times, and the packets of sound."""
    with av.open(str(path)) as given:
        frames = [(frame.to_ndarray(format="rgb24"), float(frame.time or 0)) for frame in given.decode(video=0)]
    with av.open(str(path)) as given:
        sound = [bytes(packet) for packet in given.demux(audio=0) if packet.size]
    return [frame for frame, _ in frames], [time for _, time in frames], sound


@pytest.fixture
def enlarger() -> Enlarger:
    return Enlarger(Model("bicubic", 3), device="cpu")


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_frames_are_enlarged_in_time_and_sound_is_copied(
    clip: Path, tmp_path: Path, enlarger: Enlarger, suffix: str
) -> None:
    shares: list[float] = []
    big = tmp_path / f"big{suffix}"
    assert enlarge_video(clip, big, enlarger, max_pixels=MOST, advance=shares.append) == []
    assert sum(shares) == pytest.approx(1)
    small_frames, small_times, small_sound = decoded(clip)
    frames, times, sound = decoded(big)
    assert len(frames) == FRAMES
    # Matroska has no times below zero, where AAC begins: it moves both streams.
    assert [time - times[0] for time in times] == pytest.approx(
        [time - small_times[0] for time in small_times], abs=2e-3
    )
    assert sound == small_sound
    for small, large in zip(small_frames, frames, strict=True):
        assert large.shape == (102, 138, 3)
        assert np.abs(large.astype(float) - enlarger(small)).mean() < 3


# Rows (a, b) and (c, d) of a track's matrix: a pixel (x, y) is shown at (a*x + c*y, b*x + d*y), y downwards (ISO/IEC
# 14496-12, 6.2.2). Beside each the quarter turns to the left that make of the stored frame the one shown.
TURNS = {"right": ((0, 1, -1, 0), -1), "upside down": ((-1, 0, 0, -1), 2), "left": ((0, -1, 1, 0), 1)}


@pytest.mark.parametrize("turn", TURNS)
def test_a_video_held_upright_on_a_phone_comes_out_upright(
    clip: Path, tmp_path: Path, enlarger: Enlarger, turn: str
) -> None:
    (a, b, c, d), quarters = TURNS[turn]
    content = bytearray(clip.read_bytes())
    matrix = content.index(b"tkhd") + 44  # of the first track; its width and height follow the nine numbers
    assert struct.unpack(">9i", content[matrix : matrix + 36]) == (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    content[matrix : matrix + 36] = struct.pack(
        ">9i", *(number << 16 for number in (a, b)), 0, *(number << 16 for number in (c, d)), 0, 0, 0, 1 << 30
    )
    phone = tmp_path / "phone.mp4"
    phone.write_bytes(content)
    enlarge_video(phone, tmp_path / "big.mp4", enlarger, max_pixels=MOST)
    frames = decoded(tmp_path / "big.mp4")[0]
    shown = [np.rot90(enlarger(frame), quarters) for frame in decoded(clip)[0]]
    assert len(frames) == len(shown) == FRAMES
    for frame, expected in zip(frames, shown, strict=True):
        assert frame.shape == expected.shape
        assert np.abs(frame.astype(float) - expected).mean() < 3
    with av.open(str(tmp_path / "big.mp4")) as container:
        assert next(container.decode(video=0)).rotation == 0  # else players would turn it again


def test_odd_sides_are_made_even(tmp_path: Path, clip: Path) -> None:
    class Odd(Enlarger):
        def strips(self, pixels: Any) -> Any:
            yield pixels[:-1, :-1]

    enlarge_video(clip, tmp_path / "odd.mkv", Odd(Model("bicubic", 3), device="cpu"), max_pixels=MOST)
    assert decoded(tmp_path / "odd.mkv")[0][0].shape == (34, 46, 3)


def test_what_cannot_be_done_is_said_and_leaves_nothing(tmp_path: Path, clip: Path, enlarger: Enlarger) -> None:
    bad, target = tmp_path / "bad.mp4", tmp_path / "out.mp4"
    for content, message in ((b"no video", "bad.mp4: cannot be taken to out.mp4"), (clip.read_bytes()[:900], "cannot")):
        bad.write_bytes(content)
        with pytest.raises(UserError, match=message):
            enlarge_video(bad, target, enlarger, max_pixels=MOST)
    with pytest.raises(UserError, match=r"cannot be taken to out\.mp4"):
        enlarge_video(tmp_path / "none.mp4", target, enlarger, max_pixels=MOST)
    with pytest.raises(UserError, match=r"frames of 1564 pixels, more than the 1000 allowed"):
        enlarge_video(clip, target, enlarger, max_pixels=1000)
    with pytest.raises(UserError, match=r"webm cannot hold sound of aac: write to \.mkv"):
        enlarge_video(clip, tmp_path / "out.webm", enlarger, max_pixels=MOST)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.mp4", "clip.mp4"]
