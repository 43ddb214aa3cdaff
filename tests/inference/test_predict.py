import io
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from sr.cli import main
from sr.image import resize, to_uint8
from sr.inference.enlarger import Enlarger
from sr.inference.inputs import plan
from sr.inference.predict import Settings
from sr.inference.predict import predict as predict_files
from sr.io.bounded import Pixels
from sr.io.images import from_pil, to_pil
from sr.nets.espcn import ESPCN
from sr.weights.checkpoint import network_config, save_network
from sr.weights.find import find_model
from sr.weights.model import Model
from tests.support.images import photograph

SUMMARY = re.compile(r"enlarged \d+ of \d+ files in ")  # tested in test_batches.py
Predict = Callable[..., tuple[int, str]]


@pytest.fixture
def predict(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Predict:
    """Run ``sr predict`` with an untrained network in a folder with two photographs."""
    config = {"_target_": "sr.nets.espcn.ESPCN", "scale": 2}
    save_network(tmp_path / "net.safetensors", ESPCN(scale=2), network_config(config, 2, "rgb"))
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    photograph(20, 30, seed=1).save("in/a.png")
    photograph(24, 24, seed=2).save("in/b.jpg")

    def run(*arguments: str) -> tuple[int, str]:
        code = 0
        try:
            main(["predict", "-m", "net.safetensors", *arguments])
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 1
        lines = capsys.readouterr().err.splitlines(keepends=True)
        return code, "".join(line for line in lines if not SUMMARY.match(line))

    return run


def names(folder: str) -> list[str]:
    """What is in a folder, without hidden files, such as the record of what was written."""
    return sorted(path.name for path in Path(folder).iterdir() if not path.name.startswith("."))


def test_one_picture_is_written_to_one_file(predict: Predict) -> None:
    assert predict("in/a.png", "-o", "big.png") == (0, "")
    small = Image.open("in/a.png")
    expected = to_pil(to_uint8(resize(from_pil(small)[None] / 255, 2)[0]))  # untrained: the bicubic image
    assert np.array_equal(np.asarray(Image.open("big.png")), np.asarray(expected))


def test_what_is_written_is_printed_and_nothing_else_goes_to_standard_output(
    predict: Predict, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["predict", "in/a.png", "missing.png", "in/b.jpg", "-m", "net.safetensors", "-o", "out", "--compare"])
    assert capsys.readouterr().out.splitlines() == [
        *("out/a.png: written, 60x40 pixels", "out/a_bicubic.png: written, 60x40 pixels"),
        *("out/b.jpg: written, 48x48 pixels", "out/b_bicubic.jpg: written, 48x48 pixels"),
    ]


def test_a_model_of_scale_1_says_that_it_sharpens_and_is_compared_with_its_input(predict: Predict) -> None:
    config = {"_target_": "sr.nets.espcn.ESPCN", "scale": 1}
    save_network(Path("one.safetensors"), ESPCN(scale=1), network_config(config, 1, "rgb"))
    said = "one.safetensors: scale 1: sharpens, does not enlarge\n"
    assert predict("in/a.png", "-m", "one.safetensors", "-o", "out", "--compare") == (0, said)
    assert np.array_equal(np.asarray(Image.open("out/a_input.png")), np.asarray(Image.open("in/a.png")))


def test_outputs_have_the_names_of_their_inputs_with_bicubic_next_to_them(predict: Predict) -> None:
    assert predict("in", "-o", "out/deep", "--compare") == (0, "")
    assert names("out/deep") == [
        "a.png", "a_bicubic.png", "b.jpg", "b_bicubic.jpg"
    ]  # fmt: skip
    assert Image.open("out/deep/b.jpg").size == (48, 48)


def test_patterns_and_several_files_are_accepted(predict: Predict) -> None:
    assert predict("in/*.png", "in/b.jpg", "-o", "out") == (0, "")
    assert names("out") == ["a.png", "b.jpg"]


def test_suffixes_may_be_in_upper_case(predict: Predict, monkeypatch: pytest.MonkeyPatch) -> None:
    photograph(12, 14, seed=3).save("in/IMG_1.JPG", "JPEG")
    (Path("in/folder.png")).mkdir()  # a folder is not a picture, whatever it is called
    assert predict("in", "-o", "OUT") == (0, "in: left out 1 subfolder (--recursive reads them)\n")
    assert names("OUT") == ["IMG_1.JPG", "a.png", "b.jpg"]
    with Image.open("OUT/IMG_1.JPG") as image:
        assert (image.format, image.size) == ("JPEG", (28, 24))
    assert predict("in/IMG_1.JPG", "-o", "ONE.PNG") == (0, "")
    with Image.open("ONE.PNG") as image:
        assert (image.format, image.size) == ("PNG", (28, 24))
    targets: list[Path] = []

    def enlarge_video(source: Path, target: Path, *others: object, **options: object) -> list[str]:
        targets.append(target)
        target.touch()
        return []

    monkeypatch.setattr("sr.inference.video.convert.enlarge_video", enlarge_video)
    for name in ("A.MP4", "b.AVI", "c.Webm"):
        Path(name).touch()
    assert predict("A.MP4", "b.AVI", "c.Webm", "-o", "films") == (0, "")
    assert targets == [Path("films/A.MP4"), Path("films/b.mkv"), Path("films/c.Webm")]
    assert predict("A.MP4", "-o", "FILM.MKV") == (0, "")
    assert targets[-1] == Path("FILM.MKV")


def test_a_format_that_cannot_be_written_becomes_png(predict: Predict) -> None:
    photograph(12, 14, seed=3).save("in/c.gif")
    assert predict("in/c.gif", "in/a.png", "-o", "out") == (0, "")
    with Image.open("out/c.png") as image:
        assert (image.format, image.size) == ("PNG", (28, 24))


def test_failures_are_counted_inputs_sorted_and_notes_printed(predict: Predict) -> None:
    frames = [photograph(12, 14, seed=seed) for seed in (4, 5)]
    frames[0].save("in/z.gif", save_all=True, append_images=frames[1:])
    for name in ("aa.png", "c.png", "B.png"):
        Path("in", name).write_text("no image")
    assert [str(job.source) for job in plan(["in"], "out").jobs] == [
        f"in/{name}" for name in ("B.png", "a.png", "aa.png", "b.jpg", "c.png", "z.gif")
    ]
    assert predict("in/z.gif", "-o", "z.png") == (0, "in/z.gif: the first of 2 frames\n")
    enlarger = Enlarger(Model("bicubic", 2), device="cpu")
    assert predict_files(["in"], "out", enlarger, Settings(max_pixels=1000)) == 3


def test_x8_and_tiles_reach_the_enlarger(predict: Predict) -> None:
    torch.manual_seed(0)
    net = ESPCN(scale=2)
    torch.nn.init.normal_(net.tail.weight, std=0.1)
    save_network(
        Path("noisy.safetensors"), net, network_config({"_target_": "sr.nets.espcn.ESPCN", "scale": 2}, 2, "y")
    )
    model = find_model("noisy.safetensors")
    options = ("-m", "noisy.safetensors", "--device", "cpu", "--precision", "float32")
    outputs = {}
    for name, extra_options in (("plain", ()), ("x8", ("--x8",)), ("tiled", ("--tile", "8"))):
        assert predict("in/a.png", "-o", f"{name}.png", *options, *extra_options) == (0, "")
        outputs[name] = np.asarray(Image.open(f"{name}.png")).astype(int)
    small = np.asarray(Image.open("in/a.png"))
    expected = Enlarger(model, ensemble=True, device="cpu", precision="float32")(small)
    assert np.array_equal(outputs["x8"], expected)
    assert np.abs(outputs["x8"] - outputs["plain"]).max() > 3
    assert np.abs(outputs["tiled"] - outputs["plain"]).max() <= 1  # rounding


def test_standard_input_and_output_are_supported(predict: Predict, monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(Path("in/b.jpg").read_bytes())))
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=out, isatty=lambda: False, flush=lambda: None))
    assert predict("-", "-o", "-")[0] == 0
    image = Image.open(io.BytesIO(out.getvalue()))
    assert (image.format, image.size) == ("PNG", (48, 48))


def test_files_are_overwritten_only_with_force_and_inputs_never(predict: Predict) -> None:
    Path("big.png").write_text("precious")
    code, text = predict("in/a.png", "-o", "big.png")
    assert code == 1
    assert text == "error: big.png: exists: add --force to overwrite it\n"
    assert Path("big.png").read_text() == "precious"
    assert predict("in/a.png", "-o", "big.png", "--force") == (0, "")
    assert Image.open("big.png").size == (60, 40)
    before = Path("in/a.png").read_bytes()
    code, text = predict("in/a.png", "-o", "in/a.png", "--force")
    assert (code, text) == (1, "error: in/a.png: would overwrite the input in/a.png: use another folder\n")
    assert Path("in/a.png").read_bytes() == before


def test_a_bad_file_is_reported_and_the_rest_are_enlarged(predict: Predict) -> None:
    Path("in/aa.png").write_text("no image")
    Path("other").mkdir()
    Path("other/b.jpg").write_bytes(Path("in/b.jpg").read_bytes())
    code, text = predict("in", "other/b.jpg", "missing.png", "-o", "out")
    assert code == 1
    assert text.splitlines() == [
        "error: in/aa.png: cannot be read as an image (not an image): replace the file",
        "error: other/b.jpg: would overwrite the output of in/b.jpg: use another folder",
        "error: missing.png: cannot be read (No such file or directory)",
    ]
    assert names("out") == ["a.png", "b.jpg"]


def test_large_pictures_are_refused_unless_allowed(predict: Predict) -> None:
    code, text = predict("in/a.png", "-o", "big.png", "--max-pixels", "599")
    assert code == 1
    assert "has 30x20 pixels, more than the 599 allowed (--max-pixels)" in text
    assert not Path("big.png").exists()
    assert predict("in/a.png", "-o", "big.png", "--max-pixels", "600")[0] == 0


def test_a_full_disk_leaves_no_partial_file(predict: Predict, monkeypatch: pytest.MonkeyPatch) -> None:
    def raise_disk_full(number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", raise_disk_full)
    code, text = predict("in/a.png", "-o", "out")
    assert code == 1
    assert text == "error: in/a.png: [Errno 28] No space left on device\n"
    assert not [path for path in Path("out").iterdir() if path.name != ".sr_predict.jsonl"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["in", "-o", "big.png"], "-o big.png: 2 pictures need a folder"),
        (["in/a.png", "-o", "big.xyz"], "-o big.xyz: cannot write in/a.png there, only to .png, .jpg"),
        (["out", "-o", "big"], "out: contains no pictures"),
        (["*.tif", "-o", "big"], "*.tif: matches no file"),
        (["in/a.png", "-o", "-", "--compare"], "--compare writes a second file"),
        (["in/a.png", "-o", "big", "--scale", "3"], "net.safetensors: is a network for scale 2, not 3: --scale 2"),
    ],
)
def test_invalid_arguments_are_refused_with_code_2(predict: Predict, arguments: list[str], message: str) -> None:
    Path("out").mkdir()
    code, text = predict(*arguments)
    assert code == 2
    assert message in text
    assert len(text.splitlines()) == 1


def test_an_output_overwrites_neither_another_input_nor_another_output(predict: Predict) -> None:
    photograph(16, 16, seed=5).save("in/a.gif")
    before = Path("in/a.png").read_bytes()
    code, text = predict("in", "-o", "in", "--force")
    assert code == 1
    assert "in/a.gif: would overwrite the input in/a.png" in text
    assert Path("in/a.png").read_bytes() == before
    photograph(16, 16, seed=5).save("in/a_bicubic.png")
    code, text = predict("in/a.png", "in/a_bicubic.png", "-o", "out", "--compare")
    assert (code, text) == (1, "error: in/a_bicubic.png: would overwrite the output of in/a.png: use another folder\n")
    assert Image.open("out/a_bicubic.png").size == (60, 40)


def test_an_unexpected_error_affects_its_own_picture_only(predict: Predict, monkeypatch: pytest.MonkeyPatch) -> None:
    original_strips = Enlarger.strips

    def strips(self: Enlarger, pixels: Pixels) -> Iterator[Pixels]:
        if pixels.shape[1] == 30:
            raise MemoryError
        return original_strips(self, pixels)

    monkeypatch.setattr(Enlarger, "strips", strips)
    assert predict("in", "-o", "out") == (1, "error: in/a.png: MemoryError\n")
    assert names("out") == ["b.jpg"]


def test_a_stream_can_be_compared(predict: Predict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(Path("in/b.jpg").read_bytes())))
    assert predict("-", "-o", "big.png", "--compare") == (0, "")
    assert Image.open("big_bicubic.png").size == (48, 48)


def test_a_closed_pipe_is_not_blamed_on_the_input(predict: Predict, monkeypatch: pytest.MonkeyPatch) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "wb", buffering=0) as closed_pipe:
        monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=closed_pipe, isatty=lambda: False))
        expected = "error: standard output: the program that reads it has exited\n"
        assert predict("in/b.jpg", "-o", "-") == (1, expected)


def test_a_note_says_what_the_format_cannot_store(predict: Predict) -> None:
    photograph(16, 16, seed=1).convert("RGBA").save("in/c.png")
    code, text = predict("in/c.png", "-o", "c.jpg")
    assert (code, text) == (0, "in/c.png: transparency (JPEG has none) left out of c.jpg\n")


def test_videos_are_recognised_by_their_suffix(predict: Predict) -> None:
    Path("bad.mp4").write_text("no video")
    code, text = predict("bad.mp4", "-o", "out")
    assert code == 1
    assert text.startswith("error: bad.mp4: cannot be converted to bad.mp4 as a video")
    code, text = predict("bad.mp4", "-o", "big.png")
    assert code == 2
    assert "-o big.png: cannot write bad.mp4 there, only to .mp4" in text
    assert predict("bad.mp4", "-o", "-")[0] == 2


def test_hidden_files_of_a_folder_are_ignored(predict: Predict) -> None:
    Path("in/._a.png").write_bytes(b"\0\5\x16\7")
    assert predict("in", "-o", "out") == (0, "in: left out 1 hidden file\n")
    assert names("out") == ["a.png", "b.jpg"]


def test_two_stars_go_through_subfolders(predict: Predict) -> None:
    Path("in/deep").mkdir(exist_ok=True)
    photograph(16, 16).save("in/deep/c.png")
    assert predict("in/**/*.png", "-o", "out") == (0, "")
    assert names("out") == ["a.png", "c.png"]
