"""Animations keep what is seen of them and for how long; compared with FFmpeg's decoders and with their pixels."""

import io
import random
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from sr.io.animations import KINDS, Animation, is_animation, read_animation, write_animation
from sr.io.images import ImageFileError
from sr.io.metadata import Metadata
from tests.support.damaged_images import damaged
from tests.support.images import photograph

DURATIONS = [100.0, 50.0, 200.0, 70.0, 130.0]


def frames(*, alpha: bool) -> list[np.ndarray[Any, Any]]:
    """A disc that moves over a photograph, or over nothing."""
    rows, columns = np.mgrid[:24, :40]
    background = np.zeros((24, 40, 3)) if alpha else np.asarray(photograph(24, 40).quantize(16).convert("RGB"))
    made = []
    for number in range(len(DURATIONS)):
        disc = (rows - 12) ** 2 + (columns - 6 - 5 * number) ** 2 < 25
        rgb = np.where(disc[..., None], 20 + 50 * number, background).astype(np.uint8)
        made.append(np.dstack([rgb, np.where(disc, 255, 0).astype(np.uint8)]) if alpha else rgb)
    return made


def written(path: Path, animation: Animation) -> Path:
    with path.open("wb") as file:
        write_animation(file, path.suffix, animation, quality=100)
    return path


@pytest.mark.parametrize("plays", [0, 1, 3])
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("suffix", KINDS)
def test_frames_times_and_loops_survive_writing_and_reading(
    tmp_path: Path, suffix: str, alpha: bool, plays: int
) -> None:
    originals = frames(alpha=alpha)
    path = written(tmp_path / f"a{suffix}", Animation(originals, DURATIONS, plays))
    assert is_animation(path)
    animation = read_animation(path)
    assert (animation.durations, animation.plays) == (DURATIONS, plays)
    for frame, original in zip(animation.frames, originals, strict=True):
        assert frame.shape == original.shape
        visible = original[..., 3] > 0 if alpha else np.ones(original.shape[:2], bool)
        difference = np.abs(frame[visible].astype(int) - original[visible])
        assert difference.mean() < (20 if suffix == ".webp" else 1e-9)  # which loses something
        assert not alpha or np.array_equal(frame[..., 3], original[..., 3])


@pytest.mark.parametrize("suffix", [".gif", ".apng"])
def test_frames_are_those_that_ffmpeg_shows(tmp_path: Path, suffix: str) -> None:
    """Parts of frames, and every way of disposing of them, as Pillow's encoders write them."""
    images = [Image.fromarray(frame) for frame in frames(alpha=True)]
    for disposal in (0, 1, 2):
        path = tmp_path / f"{disposal}{suffix}"
        images[0].save(
            path, KINDS[suffix], save_all=True, append_images=images[1:], duration=[100] * 5, disposal=disposal
        )
        with av.open(str(path)) as container:
            expected = [frame.to_ndarray(format="rgba") for frame in container.decode(video=0)]
        seen = read_animation(path).frames
        assert len(seen) == len(expected)
        for frame, other in zip(seen, expected, strict=True):
            assert np.array_equal(frame[..., 3] > 127, other[..., 3] > 127)
            shown = other[..., 3] > 127
            assert np.abs(frame[shown].astype(int) - other[shown]).max() <= 1


def test_a_still_picture_outside_the_animation_is_left_out_and_said(tmp_path: Path) -> None:
    images = [photograph(12, 14, seed=seed) for seed in range(3)]
    images[0].save(tmp_path / "a.png", save_all=True, append_images=images[1:], default_image=True, duration=40)
    animation = read_animation(tmp_path / "a.png")
    assert [
        np.array_equal(frame, np.asarray(image)) for frame, image in zip(animation.frames, images[1:], strict=True)
    ] == [True] * 2
    assert animation.notes == ["its still picture is left out"]


def test_what_gif_cannot_hold_is_said() -> None:
    assert write_animation(io.BytesIO(), ".gif", Animation(frames(alpha=True), DURATIONS)) == ""  # 6 colours
    photographs = [np.asarray(photograph(24, 40, seed=seed)) for seed in range(2)]
    shaded = [np.dstack([image, np.full((24, 40), 99, np.uint8)]) for image in photographs]
    said = write_animation(io.BytesIO(), ".gif", Animation(shaded, DURATIONS[:2]))
    assert said == "more than 255 colours a frame (GIF cannot hold it), partial transparency (GIF cannot hold it)"


def test_still_pictures_and_other_files_are_no_animations(tmp_path: Path) -> None:
    photograph(8, 8).save(tmp_path / "still.gif")
    photograph(8, 8).save(tmp_path / "pages.tif", save_all=True, append_images=[photograph(8, 8)])
    (tmp_path / "bad.gif").write_text("GIF89a")
    assert not any(is_animation(path) for path in [*tmp_path.iterdir(), tmp_path / "missing.gif"])


def test_the_pixels_of_all_frames_are_limited_together(tmp_path: Path) -> None:
    path = written(tmp_path / "a.gif", Animation(frames(alpha=False), DURATIONS))
    assert len(read_animation(path, 5 * 24 * 40).frames) == 5
    with pytest.raises(ImageFileError, match=r"its frames of 40x24 have together more than the 4799 pixels allowed: x"):
        read_animation(path, 5 * 24 * 40 - 1, ": x")


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_damaged_animations_are_read_or_refused_in_one_line(tmp_path: Path, suffix: str) -> None:
    intact = written(tmp_path / f"a{suffix}", Animation(frames(alpha=True), DURATIONS)).read_bytes()
    path = tmp_path / f"b{suffix}"
    for seed in range(60):
        path.write_bytes(damaged({"animation": intact}, random.Random(seed))[1])
        text = str(path)
        try:
            assert read_animation(path, 1_000_000).frames
        except ImageFileError as error:
            text = str(error)
        assert text.startswith(str(path))
        assert "\n" not in text


def test_an_animated_png_keeps_exif_resolution_and_colour_tags_and_gif_says_that_it_does_not(tmp_path: Path) -> None:
    exif, shown = Image.Exif(), frames(alpha=False)
    exif[0x010E] = "a description"
    metadata = Metadata(exif.tobytes().removeprefix(b"Exif\0\0"), b"<x/>", (300, 300), ((b"gAMA", b"\0\1\x86\xa0"),))
    animation = Animation(shown, [100.0] * len(shown), metadata=metadata)
    with (tmp_path / "a.png").open("w+b") as file:
        assert write_animation(file, ".png", animation) == ""
    kept = read_animation(tmp_path / "a.png").metadata
    assert (kept.exif, kept.xmp, kept.colour_tags) == (metadata.exif, b"<x/>", metadata.colour_tags)
    assert kept.dpi == pytest.approx((300, 300), abs=0.1)
    lost = write_animation(io.BytesIO(), ".gif", animation)
    for name in ("EXIF", "XMP", "dpi", "gamma"):
        assert f"{name} (GIF cannot hold it)" in lost


def test_a_frame_that_is_shown_for_longer_than_png_can_say_is_shortened_and_that_is_said() -> None:
    shown = frames(alpha=False)
    file = io.BytesIO()
    lost = write_animation(file, ".png", Animation(shown, [100_000.0, *[100.0] * (len(shown) - 1)]))
    assert lost == "frames of more than 65 s (PNG cannot hold it)"
    with Image.open(file) as image:
        assert image.info["duration"] == 65_535
