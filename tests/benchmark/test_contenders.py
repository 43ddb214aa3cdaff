"""Finished pictures of other programs as contestants."""

import io
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import skimage.data
import torch
from PIL import Image
from torch import Tensor

from sr.benchmark.contenders import Contender
from sr.benchmark.evaluate import evaluate
from sr.benchmark.records import check_records
from sr.cli import main
from sr.errors import UserError
from sr.io.hashes import files_hash
from sr.io.images import from_pil, read_image, to_pil
from sr.report.page import write_report
from sr.weights import zoo
from sr.weights.model import Model
from tests.support.networks import sharp_network
from tests.support.runs import MakeFolder

SHIFT = "do not lie on their targets: moved"
SWAPPED = "have red and blue swapped"
BLACK = "are nearly black: values from 0 to 1 were saved as if they were from 0 to 255"
BLOCKS = "show the 8x8 blocks of JPEG compression"
TARGETS = "are the targets themselves, pixel by pixel"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two photographs of 128x96 pixels: the face of an astronaut, and that of a cat."""
    folder = tmp_path / "Pair"
    folder.mkdir()
    Image.fromarray(skimage.data.astronaut()[60:156, 160:288]).save(folder / "0.png")
    Image.fromarray(skimage.data.chelsea()[60:156, 150:278]).save(folder / "1.png")
    return folder


@pytest.fixture
def saved(data: Path, tmp_path: Path) -> Path:
    """The photographs shrunk and enlarged again by 2."""
    list(evaluate([], [data], scale=2, save=tmp_path / "saved"))
    return tmp_path / "saved" / "bicubic" / "Pair"


def faults_of(folder: Path, data: Path, scale: int = 2) -> dict[str, list[str]]:
    contender = Contender("theirs", folder)
    list(evaluate([], [data], scale=scale, contenders=[contender]))
    return contender.faults


def changed(folder: Path, change: Callable[[Tensor], Tensor]) -> Path:
    """The pictures of a folder after a change of uint8 ``(3, H, W)``."""
    for path in folder.iterdir():
        to_pil(change(read_image(path)).contiguous()).save(path)
    return folder


def as_jpeg(image: Tensor) -> Tensor:
    file = io.BytesIO()
    to_pil(image).save(file, "JPEG", quality=30)
    return from_pil(Image.open(file))


@pytest.mark.parametrize("protocol", ["y", "rgb"])
def test_saved_outputs_score_as_the_network_that_made_them(data: Path, tmp_path: Path, protocol: str) -> None:
    models = [Model("net", 2, [sharp_network()])]
    list(evaluate(models, [data], scale=2, device="cpu", save=tmp_path))
    contenders = [Contender("saved", tmp_path / "net" / "Pair")]
    _, net, pictures = evaluate(models, [data], scale=2, protocol=protocol, device="cpu", contenders=contenders)
    assert [image[:3] for image in pictures.images] == [image[:3] for image in net.images]
    assert pictures.milliseconds is None


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda image: torch.roll(image, 1, -1), SHIFT),
        (lambda image: image.flip(0), SWAPPED),
        (lambda image: (image.float() / 255).round().to(torch.uint8), BLACK),
        (as_jpeg, BLOCKS),
    ],
)
def test_planted_faults_are_named(saved: Path, data: Path, change: Callable[[Tensor], Tensor], fault: str) -> None:
    assert faults_of(changed(saved, change), data) == {fault: ["0", "1"]}


def test_sound_outputs_have_no_fault(saved: Path, data: Path) -> None:
    assert faults_of(saved, data) == {}


def test_the_targets_among_the_outputs_are_named(saved: Path, data: Path) -> None:
    (saved / "1.png").write_bytes((data / "1.png").read_bytes())
    assert faults_of(saved, data) == {TARGETS: ["1"]}


def test_outputs_that_are_jpeg_files_are_named(saved: Path, data: Path) -> None:
    Image.open(saved / "0.png").save(saved / "0.jpg", quality=100, subsampling=0)
    (saved / "0.png").unlink()
    assert faults_of(saved, data) == {"are JPEG files: their compression is scored as well": ["0"]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda image: image[:, 3:-3, 3:-3], "has 122x90 pixels, its target 128x96: a border of 3 pixels was cut off"),
        (lambda image: image[:, ::2, ::2], "has 64x48 pixels, its target 128x96: it was enlarged by 1, not by 2"),
        (lambda image: image[:, :50], "has 128x50 pixels, its target 128x96$"),
    ],
)
def test_outputs_of_another_size_are_refused(
    saved: Path, data: Path, change: Callable[[Tensor], Tensor], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        faults_of(changed(saved, change), data)


def test_names_may_go_on_and_have_to_be_complete_and_unique(saved: Path, data: Path) -> None:
    (saved / "0.png").rename(saved / "0_upscayl_2x.png")
    assert faults_of(saved, data) == {}
    (saved / "0-other.png").write_bytes((saved / "1.png").read_bytes())
    with pytest.raises(UserError, match=r"0-other.png and 0_upscayl_2x.png are both of 0: keep one"):
        faults_of(saved, data)
    (saved / "1.png").rename(saved / "10.png")
    (saved / "0-other.png").unlink()
    with pytest.raises(UserError, match=r"has no picture of 1, such as 1\.png"):
        faults_of(saved, data)
    with pytest.raises(UserError, match="no such folder"):
        faults_of(saved / "missing", data)


def test_a_picture_is_of_the_image_with_the_longest_name_that_its_own_begins_with(
    make_folder: MakeFolder, tmp_path: Path
) -> None:
    pictures = make_folder(count=2) / "high_res"
    (pictures / "0.png").rename(pictures / "img.png")
    (pictures / "1.png").rename(pictures / "img_2.png")
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    for name in ("img", "img_2"):
        shutil.copy(pictures / f"{name}.png", outputs / f"{name}_x2.png")
    contender = Contender("outputs", outputs)
    contender.find(["img", "img_2"])
    hr = read_image(pictures / "img.png")[None]
    assert torch.equal(contender.read("img", hr[..., ::2, ::2], hr)[0], hr)
    (outputs / "img_x2.png").unlink()
    with pytest.raises(UserError, match=r"has no picture of img, such as img\.png"):
        contender.find(["img", "img_2"])


PROGRAM = """
import sys
from PIL import Image
source, target, scale, log = sys.argv[1:]
open(log, "a").write(source + "\\n")
image = Image.open(source)
image.resize((image.width * int(scale), image.height * int(scale)), Image.Resampling.BICUBIC).save(target)
"""


def test_a_program_makes_the_pictures_that_are_missing_and_is_recorded_for_the_report(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program, calls = tmp_path / "program one.py", tmp_path / "log"
    program.write_text(PROGRAM)
    command = f"{sys.executable} '{program}' {{input}} {{output}} {{scale}} {calls}"
    outputs, record = tmp_path / "outputs", tmp_path / "runs" / "pillow"
    options = ["evaluate", "--data", str(data), "--scale", "2", "--outputs", str(outputs)]
    options += ["--record", str(record.parent)]
    main([*options, "--command", command])
    assert (record.parent / "outputs" / "contender.json").is_file()
    shutil.rmtree(record.parent)
    assert "outputs  Pair  x2     y" in capsys.readouterr().out
    (outputs / "1.png").unlink()
    main([*options, "--command", command, "--name", "pillow"])
    assert [Path(line).stem for line in calls.read_text().split()] == ["0", "1", "1"]
    assert json.loads((record / "contender.json").read_text()) == {"name": "pillow", "outputs": str(outputs)}
    (section,) = write_report([tmp_path / "runs"]).benchmarks
    (board,) = section.boards
    assert [row.name for row in board.rows if row.configuration] == ["pillow"]
    assert board.headline.startswith("pillow is the only configuration: ")


def test_shipped_models_and_files_of_weights_are_recorded_under_their_names(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = tmp_path / "mine.safetensors"
    shutil.copyfile(zoo.find("espcn_x2"), weights)
    runs = tmp_path / "runs"
    main(["evaluate", "espcn_x2", str(weights), "--data", str(data), "--record", str(runs)])
    main(["evaluate", "espcn_x2", "--x8", "--data", str(data), "--record", str(runs)])
    assert sorted(path.name for path in runs.iterdir()) == ["espcn_x2", "mine"]
    about = json.loads((runs / "mine" / "contender.json").read_text())
    assert about == {"name": "mine", "weights": str(weights), "hash": files_hash([weights])}
    plain, averaged = (section.boards[0] for section in write_report([runs]).benchmarks)
    assert [row.name for row in plain.rows if row.configuration] == ["espcn_x2", "mine"]
    assert [row.name for row in averaged.rows if row.configuration] == ["espcn_x2"]
    assert plain.headline.startswith("2 of 2 configurations are the best, and equivalent")


def test_two_weights_are_never_recorded_as_one(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = [tmp_path / name / "net.safetensors" for name in ("a", "b")]
    for path, name in zip(weights, ("espcn_x2", "vdsr"), strict=True):
        path.parent.mkdir()
        shutil.copyfile(zoo.find(name), path)
    scoring = ["--scale", "2", "--data", str(data), "--record", str(tmp_path / "runs")]
    with pytest.raises(SystemExit):
        main(["evaluate", *map(str, weights), *scoring])
    assert "would both be recorded in" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
    main(["evaluate", str(weights[0]), *scoring])
    kept = {path: path.read_bytes() for path in (tmp_path / "runs").rglob("*.json")}
    for changed in (weights[1], weights[0]):
        shutil.copyfile(weights[1], weights[0])
        with pytest.raises(SystemExit):
            main(["evaluate", str(changed), *scoring])
        assert "runs/net: holds the scores of other weights" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in (tmp_path / "runs").rglob("*.json")} == kept


def test_a_folder_for_records_that_only_runs_are_scored_with_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    check_records(tmp_path, [Model("a run", 2, run=tmp_path)])
    assert caplog.messages == ["--record is not used: every model has a run folder, which keeps its scores"]


def test_scores_of_pictures_that_were_replaced_are_not_joined(make_folder: MakeFolder, tmp_path: Path) -> None:
    data = make_folder(count=1, name="bench")
    (tmp_path / "theirs").mkdir()
    command = ["evaluate", "--outputs", str(tmp_path / "theirs"), "--scale", "2", "--record", str(tmp_path / "runs")]
    for side, more in ((40, ["--metrics", "vif"]), (48, [])):
        image = Image.open(data / "high_res" / "0.png")
        image.resize((side, side)).resize(image.size).save(tmp_path / "theirs" / "0.png")
        main([*command, "--data", str(data), *more])
    (path,) = (tmp_path / "runs").glob("*/evaluations/*.json")
    assert json.loads(path.read_text())[0]["trainings"]["."].keys() == {"psnr", "ssim"}


def test_sets_of_the_same_name_keep_their_scores(make_folder: MakeFolder, tmp_path: Path) -> None:
    folders = [
        make_folder(count=2, name=f"{parent}/test", size=size) for parent, size in (("A", (48, 64)), ("B", (40, 52)))
    ]
    for folder in (*folders, folders[0]):
        main(["evaluate", "espcn_x2", "--data", str(folder), "--record", str(tmp_path / "runs")])
    files = sorted(path.name for path in (tmp_path / "runs" / "espcn_x2" / "evaluations").iterdir())
    assert len(files) == 2
    assert files[-1] == "test_x2_y.json"
    (section,) = write_report([tmp_path / "runs"]).benchmarks
    assert len(section.boards) == 2


def test_scores_are_not_kept_in_the_folder_of_a_run(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "espcn_x2").mkdir()
    (tmp_path / "espcn_x2" / "result.json").write_text("{}")
    with pytest.raises(SystemExit):
        main(["evaluate", "espcn_x2", "--data", str(data), "--record", str(tmp_path)])
    assert "espcn_x2: holds a run, and no scores of espcn_x2 (--record)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("'{python}' -c pass {input}", "--command needs {input} and {output}"),
        ("no-such-program-44 {input} {output}", "no-such-program-44 cannot be started"),
        ("'{python}' -c 'import sys; sys.exit(\"no GPU\")' {input} {output}", "ended with exit code 1 for 0: no GPU"),
        ("'{python}' -c pass {input} {output}", "wrote no {output} for 0"),
        ("'{python}' -c 'import time; time.sleep(9)' {input} {output}", "took more than 0.5 s for 0"),
    ],
)
def test_a_program_that_fails_is_named_in_one_line(
    data: Path, tmp_path: Path, command: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--outputs", str(tmp_path / "out"), "--command", command.replace("{python}", sys.executable)]
    with pytest.raises(SystemExit) as exit_info:
        main(["evaluate", "--data", str(data), "--scale", "2", "--timeout", "0.5", *options])
    assert exit_info.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("option", ["--name=a", "--command=b"])
def test_options_of_pictures_need_pictures(option: str, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["evaluate", "--baselines", "--data", str(data), "--scale", "2", option])
    assert f"error: {option[:6]}" in capsys.readouterr().err
