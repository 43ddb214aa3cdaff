"""Folders of pictures through ``sr predict``: what is read, left out, named, skipped and summed up."""

import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image

from sr.cli import main
from sr.inference.enlarger import Enlarger
from sr.inference.inputs import Job, LeftOut, Naming, plan
from sr.inference.predict import Settings, predict
from sr.inference.records import key
from sr.inference.unused import options_without_effect
from sr.inference.video.encoding import VideoOptions
from sr.inference.watch import follow
from sr.io.pictures import WRITABLE
from sr.nets.espcn import ESPCN
from sr.weights.find import find_model
from sr.weights.model import Model
from sr.weights.onnx.hints import UNKNOWN, OnnxHints
from tests.support.images import photograph

Run = Callable[..., tuple[int, list[str]]]
BICUBIC = Enlarger(Model("bicubic", 2), device="cpu")


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `predict` with bicubic in a folder of two photographs; returns the failures and what is said."""
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    photograph(20, 30, seed=1).save("in/a.png")
    photograph(24, 24, seed=2).save("in/b.jpg")

    def call(*inputs: str, out: str = "out", enlarger: Enlarger = BICUBIC, **settings: object) -> tuple[int, list[str]]:
        failures = predict(inputs, out, enlarger, Settings(**settings))  # type: ignore[arg-type]
        return failures, capsys.readouterr().err.splitlines()

    return call


def files_in(folder: str) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix()
        for path in Path(folder).rglob("*")
        if path.is_file() and not path.name.startswith(".")
    )


def without_seconds(line: str) -> str:
    return re.sub(r"in \d+\.\d s", "in N s", line)


SUFFIXES = (".png", ".jpg", ".webp", ".bmp", ".tif", ".gif", ".ppm", ".tga", ".jfif", ".jp2")


def test_of_a_folder_of_200_mixed_files_all_but_ten_bad_ones_are_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    bad = {number: f"in/{number:03}{SUFFIXES[number % len(SUFFIXES)]}" for number in range(7, 200, 20)}
    for number in range(200):
        suffix = SUFFIXES[number % len(SUFFIXES)]
        path = Path(f"in/{number:03}{suffix}")
        photograph(8 + number % 5, 9, seed=number % 3).save(path, "JPEG" if suffix == ".jfif" else None)
        if number in bad:
            path.write_bytes([b"", b"no image", path.read_bytes()[:30]][number % 3])
    with pytest.raises(SystemExit) as ending:
        main(["predict", "in", "-m", "espcn_x2", "--device", "cpu", "-o", "out"])
    assert ending.value.code == 1
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert len(bad) == 10
    assert [line.split(":")[1].strip() for line in lines[:-1]] == list(bad.values())
    assert without_seconds(lines[-1]) == "enlarged 190 of 200 files in N s, 10 failed: out"
    assert len(captured.out.splitlines()) == 190
    for number in set(range(200)) - set(bad):
        suffix = SUFFIXES[number % len(SUFFIXES)]
        with Image.open(f"out/{number:03}{suffix if suffix in WRITABLE else '.png'}") as image:
            assert image.size == (18, 2 * (8 + number % 5))
    assert len(files_in("out")) == 190


def test_what_is_left_out_is_counted_in_one_line_by_reason(run: Run) -> None:
    for name in ("clip.mp4", "clip.avi", "note.txt", "list.csv", "._a.png", "Thumbs.db"):
        Path("in", name).write_text("")
    for name in ("deep", "other", ".hidden"):
        Path("in", name).mkdir()
        photograph(8, 8).save(f"in/{name}/c.png")
    failures, lines = run("in")
    assert (failures, lines[0]) == (
        0,
        "in: left out 2 subfolders (--recursive reads them), 2 videos (name them), 2 files of other formats "
        "(.csv, .txt), 3 hidden files",
    )
    assert [without_seconds(line) for line in lines[1:]] == ["enlarged 2 of 2 files in N s: out"]
    assert str(LeftOut(formats=Counter({f".{name}": 1 for name in "abcde"}))) == (
        "5 files of other formats (.a, .b, .c, .d, ...)"
    )


def test_recursive_keeps_the_tree_and_reads_no_output(run: Run) -> None:
    Path("in/deep/er").mkdir(parents=True)
    photograph(8, 8).save("in/deep/er/a.png")
    photograph(8, 8).save("in/deep/c.gif")
    Path("in/deep/loop").symlink_to(Path("in").absolute())
    assert run("in", out="in/out", recursive=True)[0] == 0
    expected = ["a.png", "b.jpg", "deep/c.png", "deep/er/a.png"]
    assert files_in("in/out") == expected
    failures, lines = run("in", out="in/out", recursive=True, resume=True)
    assert (failures, [without_seconds(line) for line in lines]) == (
        0, ["enlarged 0 of 4 files in N s, 4 were done before: in/out"]
    )  # fmt: skip
    assert files_in("in/out") == expected


def test_matches_of_a_pattern_are_filtered_and_named_files_are_not(run: Run) -> None:
    Path("in/note.txt").write_text("")
    Path("in/deep").mkdir()
    assert run("in/*")[1][0] == "in/*: left out 1 file of other formats (.txt)"
    assert "error: in/note.txt: " in run("in/note.txt", out="o")[1][0]


def test_names_formats_and_qualities_are_as_asked(run: Run) -> None:
    naming = Naming("_x2", ".webp")
    assert run("in", naming=naming, quality=20)[0] == 0
    assert files_in("out") == ["a_x2.webp", "b_x2.webp"]
    assert run("in", out="fine", naming=naming, quality=100)[0] == 0
    assert Path("fine/a_x2.webp").stat().st_size > 2 * Path("out/a_x2.webp").stat().st_size
    for suffix, kind in WRITABLE.items():
        assert run("in/a.png", out=f"all{suffix[1:]}", naming=Naming(format=suffix)) == (0, [])
        with Image.open(f"all{suffix[1:]}/a{suffix}") as image:
            assert image.format == kind


def test_options_without_effect_are_said(run: Run) -> None:
    Path("clip.mp4").write_text("")
    assert run("in", quality=50)[1][0] == "--quality has no effect on PNG"
    assert run("in/a.png", out="a.png", naming=Naming("_x2")) == (
        0, ["--suffix has no effect: -o names the output"]
    )  # fmt: skip
    assert run("in/a.png", out="b.png", recursive=True) == (0, ["--recursive has no effect: no input is a folder"])
    resumed = Settings(resume=True)
    assert options_without_effect(["in/a.png"], plan(["in/a.png"], "-").jobs, resumed) == [
        "--resume has no effect on standard output"
    ]
    video = VideoOptions(crf=20)
    assert run("in/a.png", out="c.png", video=video, quality=5) == (
        0, ["--crf: no effect on pictures", "--quality has no effect on PNG"]
    )  # fmt: skip
    lines = run("clip.mp4", "in/a.png", out="films", naming=Naming(format=".jpg"), quality=5)[1]
    assert lines[:2] == ["--format jpg has no effect on videos", "--quality has no effect on videos"]
    assert "--format jpg has no effect on videos" in run("clip.mp4", out="film.mp4", naming=Naming(format=".jpg"))[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--quality", "0"], "--quality must be from 1 to 100, got 0"),
        (["--format", "xyz"], "--format xyz: is none of png, jpg"),
        (["--suffix", "../x"], "--suffix ../x: is added to a name, and cannot hold a slash"),
        (["--format", "jpg", "-o", "big.png"], "-o big.png: is not --format jpg: leave one of them out"),
        (["--watch"], "in/a.png: --watch follows folders, and this is none"),
    ],
)
def test_options_that_cannot_be_are_refused_with_code_2(
    run: Run, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as ending:
        main(["predict", "in/a.png", "-m", "espcn_x2", "--device", "cpu", "-o", "out", *options])
    assert ending.value.code == 2
    assert message in capsys.readouterr().err
    assert not Path("out").exists()


def test_outputs_beside_their_inputs_are_not_enlarged_again(run: Run) -> None:
    naming = Naming("_x2")
    assert run("in", out="in", naming=naming)[0] == 0
    failures, lines = run("in", out="in", naming=naming, resume=True)
    assert failures == 0
    assert lines[0] == "in: left out 1 hidden file, 2 outputs of sr predict"
    assert files_in("in") == ["a.png", "a_x2.png", "b.jpg", "b_x2.jpg"]


def test_resume_skips_what_is_done_and_redoes_what_a_kill_left_half(run: Run) -> None:
    assert run("in")[0] == 0
    before = {name: Path("out", name).stat().st_mtime_ns for name in ("a.png", "b.jpg")}
    Path("out/b.jpg").rename("out/.b.jpg.123.tmp")  # as whole_file calls it before it is complete
    record = Path("out/.sr_predict.jsonl")
    lines = record.read_text().splitlines()
    record.write_text(lines[0] + "\n" + lines[1][:20])  # torn
    failures, said = run("in", resume=True)
    assert (failures, without_seconds(said[-1])) == (0, "enlarged 1 of 2 files in N s, 1 were done before: out")
    assert Path("out/a.png").stat().st_mtime_ns == before["a.png"]
    assert [path.name for path in Path("out").iterdir() if path.name.endswith(".tmp")] == []
    with Image.open("out/b.jpg") as image:
        assert image.size == (48, 48)
    assert run("in", resume=True)[1][-1].endswith("2 were done before: out")
    assert [json.loads(line)["output"] for line in record.read_text().splitlines() if line.endswith("}")] == [
        "a.png", "b.jpg"
    ]  # fmt: skip


def test_resume_takes_nothing_for_done_that_was_made_otherwise(run: Run) -> None:
    assert run("in")[0] == 0
    torch.manual_seed(0)
    others: list[tuple[dict[str, object], str]] = [
        ({"quality": 50}, "it was made by another model or with other options"),
        ({"enlarger": Enlarger(Model("net", 2, [ESPCN(scale=2)]), device="cpu")}, "it was made by another model"),
        ({"enlarger": Enlarger(Model("bicubic", 2), device="cpu", wrap=True)}, "or with other options"),
    ]
    for options, reason in others:
        failures, lines = run("in", resume=True, **options)
        assert failures == 2
        errors = [line for line in lines if line.startswith("error: out/a.png: exists, but ")]
        assert len(errors) == 1
        assert reason in errors[0]
        assert errors[0].endswith(": add --force to overwrite it")
    photograph(20, 30, seed=9).save("in/a.png")
    Image.new("RGB", (3, 3)).save("out/b.jpg")
    _, lines = run("in", resume=True)
    assert "it was made from another version of its input" in lines[0]
    assert "it was changed since" in lines[1]
    photograph(20, 30, seed=1).save("a.png")
    assert "out/a.png: exists, but it was made from another file" in run("a.png", resume=True)[1][0]
    Path("out/.sr_predict.jsonl").unlink()
    assert "nothing says how it was made" in run("in", resume=True)[1][0]
    assert run("in", resume=True, force=True)[0] == 0
    assert run("in", resume=True)[1][-1].endswith("2 were done before: out")


def test_resume_redoes_what_another_onnx_network_or_other_hints_have_made(run: Run) -> None:
    """Networks of the same name: their tensors are inside ONNX Runtime, and cannot be compared."""
    pytest.importorskip("onnxruntime")
    from onnx import helper

    from tests.support.onnx_networks import constant, enlargement, write

    keys = []
    for shade in (0.0, 0.01):
        nodes = [constant("shade", shade), helper.make_node("Add", ["in", "shade"], ["more"])]
        path = write(Path("net.onnx"), [*nodes, *enlargement("more", "out", 2)])
        for hints in (UNKNOWN, OnnxHints(halo=3), OnnxHints(order="bgr")):
            keys.append(key(Enlarger(find_model(str(path), hints=hints), device="cpu")))
    assert len(set(keys)) == 6
    assert keys[-1] == key(Enlarger(find_model(str(path), hints=hints), device="cpu"))


def test_with_compare_only_the_output_that_is_missing_is_made(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    net = Enlarger(Model("net", 2, [ESPCN(scale=2)]), device="cpu")
    assert run("in", enlarger=net, compare=True)[0] == 0
    before = Path("out/a.png").stat().st_mtime_ns
    Path("out/a_bicubic.png").unlink()
    capsys.readouterr()
    assert predict(["in"], "out", net, Settings(compare=True, resume=True)) == 0
    assert capsys.readouterr().out.splitlines() == [
        "out/a.png: was done before",
        "out/a_bicubic.png: written, 60x40 pixels",
    ]
    assert Path("out/a.png").stat().st_mtime_ns == before
    assert files_in("out") == ["a.png", "a_bicubic.png", "b.jpg", "b_bicubic.jpg"]


def test_what_is_written_before_a_kill_in_the_next_output_of_the_same_input_is_done(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = Enlarger(Model("net", 2, [ESPCN(scale=2)]), device="cpu")
    write = Enlarger.write

    def interrupted(self: Enlarger, *args: Any, **options: Any) -> str:
        if self is not net:
            raise KeyboardInterrupt
        return write(self, *args, **options)

    monkeypatch.setattr(Enlarger, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run("in/a.png", enlarger=net, compare=True, resume=True)
    monkeypatch.setattr(Enlarger, "write", write)
    before = Path("out/a.png").stat().st_mtime_ns
    assert run("in/a.png", enlarger=net, compare=True, resume=True) == (0, [])
    assert Path("out/a.png").stat().st_mtime_ns == before
    assert files_in("out") == ["a.png", "a_bicubic.png"]


def test_the_only_picture_of_a_folder_is_recorded_too(run: Run) -> None:
    Path("in/b.jpg").unlink()
    assert run("in", out="in", naming=Naming("_x2")) == (0, [])
    assert run("in", out="in", naming=Naming("_x2"), resume=True)[0] == 0
    assert files_in("in") == ["a.png", "a_x2.png"]


def test_a_picture_written_by_name_into_a_folder_with_records_is_recorded(run: Run) -> None:
    assert run("in")[0] == 0
    wrapped = Enlarger(Model("bicubic", 2), device="cpu", wrap=True)
    assert run("in/a.png", out="out/a.png", enlarger=wrapped, force=True) == (0, [])
    assert "by another model or with other options" in run("in", resume=True)[1][0]
    assert run("in/a.png", out="out/a.png", enlarger=wrapped, resume=True) == (0, [])


def test_an_output_of_the_same_size_but_another_time_is_not_taken_for_done(run: Run) -> None:
    assert run("in")[0] == 0
    os.utime("out/a.png", (1, 1))
    assert "out/a.png: exists, but it was changed since" in run("in", resume=True)[1][0]


def test_an_interruption_is_summed_up_and_ends_with_code_130(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Enlarger, "write", interrupt)
    with pytest.raises(SystemExit) as ending:
        main(["predict", "in", "-m", "espcn_x2", "--device", "cpu", "-o", "out"])
    assert ending.value.code == 130
    lines = capsys.readouterr().err.splitlines()
    assert [without_seconds(line) for line in lines] == ["enlarged 0 of 2 files in N s: out", "interrupted"]
    assert list(Path("out").iterdir()) == []


def test_a_watched_folder_is_followed_and_files_being_written_are_waited_for(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    content = Path("in/a.png").read_bytes()
    seen: list[list[str]] = []

    def wait(_: float) -> None:
        seen.append(files_in("out") if Path("out").is_dir() else [])
        match len(seen):
            case 2:
                Path("in/new.png").write_bytes(content[:100])  # still being written
            case 3:
                Path("in/new.png").write_bytes(content)
                Path("in/note.txt").touch()
            case 6:
                photograph(10, 10).save("in/a.png")  # comes again
            case 8:
                raise KeyboardInterrupt

    monkeypatch.setattr("sr.inference.watch.time.sleep", wait)
    monkeypatch.setattr("sr.inference.predict.follow", lambda look, enlarge: follow(look, enlarge, wait))
    with pytest.raises(KeyboardInterrupt):
        predict(["in"], "out", BICUBIC, Settings(watch=True))
    both, three = ["a.png", "b.jpg"], ["a.png", "b.jpg", "new.png"]
    assert seen == [[], both, both, both, three, three, three, three]
    with Image.open("out/a.png") as image:
        assert image.size == (20, 20)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "watching: Ctrl-C ends it"
    assert [without_seconds(line) for line in lines[1:]] == [
        "in: left out 1 file of other formats (.txt)", "enlarged 4 of 4 files in N s: out"
    ]  # fmt: skip


def test_a_file_that_vanishes_while_it_is_watched_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.touch()
    enlarged: list[Sequence[Job]] = []

    def wait(_: float) -> None:
        if not path.exists():
            raise KeyboardInterrupt
        path.unlink()

    with pytest.raises(KeyboardInterrupt):
        follow(lambda: [Job(path, None)], enlarged.append, wait)
    assert enlarged == []


def test_the_same_names_in_two_folders_are_not_mixed_up(run: Run) -> None:
    shutil.copytree("in", "more")
    failures, lines = run("in", "more")
    assert failures == 2
    assert lines[0] == "error: more/a.png: would overwrite the output of in/a.png: use another folder"


def test_a_tree_with_a_folder_that_cannot_be_read_is_said(run: Run) -> None:
    if os.geteuid() == 0:
        pytest.skip("the superuser reads every folder")
    Path("in/closed").mkdir(mode=0)
    with pytest.raises(Exception, match="in/closed: cannot be read"):
        plan(["in"], "out", recursive=True)


def test_what_is_written_is_what_a_single_call_writes(run: Run) -> None:
    assert run("in", recursive=True)[0] == 0
    assert run("in/a.png", out="one.png")[0] == 0
    assert np.array_equal(np.asarray(Image.open("out/a.png")), np.asarray(Image.open("one.png")))


def animated(path: str, count: int = 4) -> None:
    images = [photograph(12, 16, seed=seed) for seed in range(count)]
    images[0].save(
        path, save_all=True, append_images=images[1:], duration=[100 * (1 + n) for n in range(count)], loop=2
    )


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_all_frames_of_an_animation_become_an_animation_of_the_same_kind(run: Run, suffix: str) -> None:
    animated(f"in/moves{suffix}")
    failures, lines = run("in", naming=Naming("_x2", all_frames=True))
    assert failures == 0
    assert files_in("out") == ["a_x2.png", "b_x2.jpg", f"moves_x2{suffix}"]
    with Image.open(f"in/moves{suffix}") as small, Image.open(f"out/moves_x2{suffix}") as big:
        assert (getattr(big, "n_frames"), big.size, big.info["loop"]) == (4, (32, 24), 2)  # noqa: B009
        for number in range(4):
            small.seek(number)
            big.seek(number)
            small.load()
            big.load()
            assert big.info["duration"] == small.info["duration"] == 100 * (1 + number)
            expected = np.asarray(BICUBIC(small.convert("RGB"))).astype(int)
            assert np.abs(np.asarray(big.convert("RGB")) - expected).mean() < 12  # GIF has 256 colours
    said = f"in/moves{suffix}: more than 255 colours a frame (GIF cannot hold it) left out of moves_x2.gif"
    assert (said in lines) == (suffix == ".gif")


def test_of_an_animation_the_first_frame_is_taken_and_said_otherwise(run: Run) -> None:
    animated("in/moves.gif")
    first = "in/moves.gif: the first of 4 frames"
    assert run("in/moves.gif", out="first.png") == (0, [first])
    one = "--frames all has no effect: the output holds one frame"
    assert run("in/moves.gif", out="still", naming=Naming(format=".jpg", all_frames=True)) == (0, [one, first])
    assert run("in/moves.gif", out="other.webp", naming=Naming(all_frames=True)) == (0, [])
    photograph(8, 8).save("in/still.gif")
    note = "--frames all has no effect: no input is an animation"
    assert run("in/still.gif", out="stills", naming=Naming(all_frames=True)) == (0, [note])
    assert files_in("stills") == ["still.png"]


def test_an_animation_becomes_a_clip(run: Run) -> None:
    animated("in/moves.gif")
    failures, lines = run("in/moves.gif", out="moves.mp4", naming=Naming(all_frames=True))
    assert failures == 0, lines
    with av.open("moves.mp4") as clip:
        stream = clip.streams.video[0]
        times = [frame.time for frame in clip.decode(video=0)]
    assert (stream.width, stream.height) == (32, 24)
    assert np.allclose(times, [0, 0.1, 0.3, 0.6], atol=0.02)


def test_an_animation_that_would_be_too_large_is_refused_before_it_is_enlarged(run: Run) -> None:
    animated("in/moves.gif")  # 4 frames of 16x12
    most = 4 * 32 * 24
    naming = Naming(all_frames=True)
    assert run("in/moves.gif", out="a.png", naming=naming, max_pixels=most) == (0, [])
    assert run("in/moves.gif", out="b.png", naming=naming, max_pixels=most - 1) == (
        1,
        [
            "error: b.png: its 4 frames of 32x24 would have together more than the 3071 pixels allowed (--max-pixels); "
            ".mkv is written frame by frame"
        ],
    )
    strip = [Image.new("RGB", (8200, 1), (shade, 0, 0)) for shade in (0, 200)]
    strip[0].save("in/long.png", save_all=True, append_images=strip[1:])
    assert run("in/long.png", out="c.webp", naming=naming) == (
        1, ["error: c.webp: would have 16400x2 pixels, and sides end at 16383 there: use .png"]
    )  # fmt: skip
    assert not Path("b.png").exists()
    assert not Path("c.webp").exists()


def test_an_animation_that_ffmpeg_cannot_decode_is_refused_in_words(run: Run) -> None:
    animated("in/moves.webp")
    with av.open("in/moves.webp") as reader:
        if reader.streams.video[0].codec_context.pix_fmt:
            pytest.skip("this FFmpeg decodes animated WebP")
    assert run("in/moves.webp", out="moves.mp4", naming=Naming(all_frames=True)) == (
        1, ["error: in/moves.webp: FFmpeg cannot decode its frames: write it as .webp, .png or .gif"]
    )  # fmt: skip
