"""A conversion that ends early leaves finished segments, from which it is resumed; the result is the same."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from sr.cli import main
from sr.errors import UserError
from sr.inference.enlarger import Enlarger
from sr.inference.video.convert import enlarge_video
from sr.inference.video.encoding import VideoOptions
from sr.io.bounded import Pixels
from sr.io.locks import hold
from sr.weights.model import Model
from tests.support.clips import moving_square, write_clip
from tests.support.images import photograph

COUNT = 23


class Counting(Enlarger):
    """Bicubic that counts frames, and fails at one of them."""

    fail_at = 10**9
    done = 0

    def strips(self, pixels: Pixels) -> Iterator[Pixels]:
        if self.done == self.fail_at:
            raise KeyboardInterrupt
        self.done += 1
        yield from super().strips(pixels)


def bicubic() -> Counting:
    return Counting(Model("bicubic", 2), device="cpu")


@pytest.fixture
def clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("sr.inference.video.convert.FRAMES", 5)
    return write_clip(tmp_path / "clip.mp4", moving_square(COUNT))


def convert(clip: Path, enlarger: Enlarger, **options: Any) -> list[str]:
    return enlarge_video(clip, clip.with_name("big.mp4"), enlarger, max_pixels=10**6, **options)


def decoded(path: Path) -> tuple[list[Any], list[float]]:
    with av.open(str(path)) as reader:
        frames = list(reader.decode(video=0))
    return [frame.to_ndarray(format="rgb24") for frame in frames], [float(frame.time or 0) for frame in frames]


def interrupted(clip: Path, at: int = 13) -> Path:
    enlarger = bicubic()
    enlarger.fail_at = at
    with pytest.raises(KeyboardInterrupt):
        convert(clip, enlarger)
    return clip.with_name(".big.mp4.parts")


def test_segments_are_joined_without_a_gap_and_removed(clip: Path, tmp_path: Path) -> None:
    told: list[str] = []
    assert convert(clip, bicubic(), tell=told.append) == []
    frames, times = decoded(tmp_path / "big.mp4")
    small_frames, small_times = decoded(clip)
    assert times == pytest.approx(small_times, abs=1e-4)
    enlarger = bicubic()
    for small, large in zip(small_frames, frames, strict=True):
        assert np.abs(enlarger(small).astype(float) - large).mean() < 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["big.mp4", "clip.mp4"]
    assert told[-1].startswith(f"frame {COUNT} of {COUNT}, ")
    assert told[-1].endswith(" a second")


def test_an_interrupted_conversion_leaves_segments_only_and_is_continued(clip: Path, tmp_path: Path) -> None:
    parts = interrupted(clip)
    assert not (tmp_path / "big.mp4").exists()
    assert [path.name for path in sorted(parts.glob("*.json"))] == ["00000.json", "00001.json", "request.json"]
    enlarger = bicubic()
    assert convert(clip, enlarger, resume=True) == ["continued after 10 frames"]
    assert enlarger.done == COUNT - 10
    resumed = decoded(tmp_path / "big.mp4")
    convert(clip, bicubic())
    whole = decoded(tmp_path / "big.mp4")
    assert resumed[1] == whole[1]
    for first, second in zip(resumed[0], whole[0], strict=True):
        assert np.abs(first.astype(float) - second).mean() < 2
    assert not parts.exists()


def test_frames_that_are_done_are_removed_by_force_only(clip: Path, caplog: pytest.LogCaptureFixture) -> None:
    parts = interrupted(clip)
    big = clip.with_name("big.mp4")
    assert caplog.messages == [f"{big}: 10 frames are kept in {parts}: --resume continues"]
    with pytest.raises(UserError, match=r"big\.mp4: 10 frames are done: --resume continues, --force begins anew"):
        convert(clip, bicubic())
    assert (parts / "00001.mkv").is_file()
    enlarger = bicubic()
    assert convert(clip, enlarger, force=True) == []
    assert enlarger.done == COUNT


@pytest.mark.parametrize("resume", [False, True])
def test_with_other_options_a_conversion_begins_anew_and_that_is_said(clip: Path, resume: bool) -> None:
    interrupted(clip)
    notes = convert(clip, bicubic(), resume=resume, options=VideoOptions(crf=30))
    assert notes == ["what was converted before had other options, and is not used"]


def test_a_conversion_that_ends_before_its_first_segment_leaves_nothing(clip: Path, tmp_path: Path) -> None:
    interrupted(clip, at=3)
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


def test_a_second_process_leaves_the_segments_of_the_first_alone(clip: Path) -> None:
    parts = interrupted(clip)
    with hold(parts / "lock", 0), pytest.raises(UserError, match=r"big\.mp4: another process is writing it"):
        convert(clip, bicubic(), force=True)
    assert convert(clip, bicubic(), resume=True) == ["continued after 10 frames"]


def test_a_segment_that_a_kill_cut_short_is_encoded_again(clip: Path, tmp_path: Path) -> None:
    parts = interrupted(clip)
    (parts / "00001.json").unlink()  # written once the file is complete
    (parts / "00001.mkv").write_bytes(b"half")
    enlarger = bicubic()
    assert convert(clip, enlarger, resume=True) == ["continued after 5 frames"]
    assert enlarger.done == COUNT - 5
    assert len(decoded(tmp_path / "big.mp4")[0]) == COUNT


def test_a_segment_that_a_power_failure_cut_short_is_encoded_again(clip: Path, tmp_path: Path) -> None:
    """Its record reached the disk, the end of its frames did not; the segments after it do not count."""
    parts = interrupted(clip, at=18)
    half = parts / "00001.mkv"
    half.write_bytes(half.read_bytes()[: half.stat().st_size // 2])
    enlarger = bicubic()
    assert convert(clip, enlarger, resume=True) == ["continued after 5 frames"]
    assert enlarger.done == COUNT - 5
    assert len(decoded(tmp_path / "big.mp4")[0]) == COUNT


def test_a_damaged_segment_is_refused(clip: Path, tmp_path: Path) -> None:
    parts = interrupted(clip)
    path = parts / "00000.mkv"
    path.write_bytes(path.read_bytes()[:400].ljust(path.stat().st_size, b"\0"))
    with pytest.raises(UserError, match=r"00000\.mkv: is damaged: remove|cannot be converted"):
        convert(clip, bicubic(), resume=True)
    assert not (tmp_path / "big.mp4").exists()


def test_the_order_of_packets_is_recorded(clip: Path) -> None:
    parts = interrupted(clip)
    segment = json.loads((parts / "00000.json").read_text())
    assert sorted(segment["order"]) == [0, 1, 2, 3, 4]
    assert len(segment["times"]) == 5


def test_predict_resumes_and_skips_what_is_done(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["predict", "clip.mp4", "-m", "espcn_x2", "-o", "big.mkv", "--resume"]
    main(words)
    assert capsys.readouterr().out == "big.mkv: written\n"
    before = (tmp_path / "big.mkv").stat().st_mtime_ns
    main(words)
    assert (tmp_path / "big.mkv").stat().st_mtime_ns == before
    with pytest.raises(SystemExit):  # other options make another output
        main([*words, "--crf", "30"])
    assert "big.mkv: exists, but" in capsys.readouterr().err


def test_options_for_videos_that_do_nothing_to_pictures_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    photograph(12, 14).save("a.png")
    main(["predict", "a.png", "-m", "espcn_x2", "-o", "b.png", "--crf", "0", "--pix-fmt", "yuv444p"])
    assert capsys.readouterr().err == "--crf, --pix-fmt: no effect on pictures\n"
