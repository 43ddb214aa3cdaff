"""Files that are unlike their names or change on the way, and what becomes of RGB."""

import os
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from sr.errors import UserError
from sr.inference.enlarger import Enlarger
from sr.inference.video.convert import enlarge_video
from sr.inference.video.encoding import VideoOptions
from sr.weights.model import Model
from tests.support.clips import moving_square, write_clip

BT709, LIMITED, RGB = 1, 1, 0


def enlarged(source: Path, target: Path, *, max_pixels: int = 10**6, options: VideoOptions | None = None) -> list[str]:
    enlarger = Enlarger(Model("bicubic", 2), device="cpu")
    return enlarge_video(source, target, enlarger, max_pixels=max_pixels, options=options)


def write_rgb(path: Path) -> Path:
    """A clip whose frames are RGB: a PNG or GIF of three frames, or H.264."""
    frames = moving_square(3)
    if path.suffix == ".mkv":
        return write_clip(path, frames, codec="libx264rgb", pix_fmt="rgb24", options={"crf": "0"})
    images = [Image.fromarray(frame) for frame in frames]
    images[0].save(path, save_all=True, append_images=images[1:], duration=40)
    return path


@pytest.mark.parametrize("name", ["a.png", "a.gif", "a.mkv"])
def test_rgb_becomes_bt709_of_limited_range_and_is_tagged_so(tmp_path: Path, name: str) -> None:
    """H.264 allows the matrix of RGB in 4:4:4 only (ITU-T H.264, table E-5)."""
    source, big = write_rgb(tmp_path / name), tmp_path / "big.mp4"
    assert (
        enlarged(source, big, options=VideoOptions(crf=1)) == []
    )  # no alpha to leave out, not of an opaque GIF either
    with av.open(str(big)) as reader:
        context = reader.streams.video[0].codec_context
        frame = next(reader.decode(video=0))
        assert (context.colorspace, context.color_range) == (BT709, LIMITED)
    rgb = frame.reformat(format="rgb24", src_colorspace=BT709, src_color_range=LIMITED).to_ndarray()
    expected = Enlarger(Model("bicubic", 2), device="cpu")(moving_square(1)[0])
    assert np.abs(rgb.astype(int) - expected)[:, 30:].mean() < 6  # the square itself ends in wrong colours elsewhere


def test_rgb_that_stays_rgb_keeps_its_tag(tmp_path: Path) -> None:
    big = tmp_path / "big.mkv"
    enlarged(write_rgb(tmp_path / "a.mkv"), big, options=VideoOptions("libx264rgb", pix_fmt="rgb24"))
    with av.open(str(big)) as reader:
        assert reader.streams.video[0].codec_context.colorspace == RGB


def test_names_with_a_colon_are_files_not_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    source = write_clip(tmp_path / "a.mp4", moving_square(3)).rename("rec-12:30.mp4")
    enlarged(Path("rec-12:30.mp4"), Path("a:b.mp4"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a:b.mp4", source.name]


def test_a_playlist_opens_no_other_file(tmp_path: Path) -> None:
    write_clip(tmp_path / "other.mp4", moving_square(3))
    (tmp_path / "x.mp4").write_text("ffconcat version 1.0\nfile other.mp4\n")
    with pytest.raises(UserError, match=r"x\.mp4: cannot be converted to big\.mp4"):
        enlarged(tmp_path / "x.mp4", tmp_path / "big.mp4")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.mp4")
    with pytest.raises(UserError, match="is not a regular file"):
        enlarged(tmp_path / "x.mp4", tmp_path / "big.mp4")


def changing(path: Path, sizes: list[tuple[int, int]], **options: Any) -> Path:
    """A transport stream whose frames change their size after every third."""
    content = b""
    for number, (width, height) in enumerate(sizes):
        frames = [np.full((height, width, 3), 40 * (number + 1), np.uint8)] * 3
        content += write_clip(path.with_name("part.ts"), frames, **options).read_bytes()
    path.with_name("part.ts").unlink()
    path.write_bytes(content)
    return path


def test_frames_that_change_their_size_are_scaled_to_the_first_and_that_is_said(tmp_path: Path) -> None:
    source = changing(tmp_path / "a.ts", [(46, 34), (64, 48)])
    assert enlarged(source, tmp_path / "big.mkv") == ["frames of 64x48 scaled to the 46x34 of the first"]
    with av.open(str(tmp_path / "big.mkv")) as reader:
        frames = list(reader.decode(video=0))
    assert [(frame.width, frame.height) for frame in frames] == [(92, 68)] * 6
    with pytest.raises(UserError, match=r"has frames of 3072 pixels, more than the 2000 allowed"):
        enlarged(source, tmp_path / "b.mkv", max_pixels=2000)
    assert not (tmp_path / "b.mkv").exists()


def test_interlaced_frames_that_change_their_size_are_refused(tmp_path: Path) -> None:
    options = {"crf": "4", "x264-params": "tff=1"}
    source = changing(tmp_path / "a.ts", [(48, 32), (64, 64)], options=options)
    with pytest.raises(UserError, match=r"a\.ts: its interlaced frames change from 48x32 to 64x64: split it there"):
        enlarged(source, tmp_path / "big.mkv")
