import csv
import json
import math
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from sr.benchmark.evaluate import evaluate
from sr.benchmark.named_metrics import named_metrics
from sr.benchmark.rows import ImageScore, Row, folder_name
from sr.benchmark.selftest import Check, check, fingerprint
from sr.benchmark.selftest import render as render_checks
from sr.benchmark.tables import render, write_rows
from sr.cli import main
from sr.data.pairs import derive_lr
from sr.errors import UserError
from sr.image import resize, to_float, to_uint8
from sr.inference.tiles import enlarge
from sr.io.hashes import files_hash
from sr.io.images import read_image
from sr.metrics import Metric, score
from sr.metrics.scoring import DEFAULT
from sr.nets.espcn import ESPCN
from sr.runs.schema import Status
from sr.terms import BASELINES, Protocol
from sr.train import config_dir
from sr.weights.checkpoint import network_config
from sr.weights.find import find_model
from sr.weights.model import Model
from tests.support.images import photograph
from tests.support.networks import sharp_network
from tests.support.run_folders import RunFolders
from tests.support.runs import Command, MakeFolder
from tests.support.terminals import in_terminal


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder with the checkpoint of an untrained network for scale 2, which returns the bicubic image."""
    net = ESPCN(scale=2)
    state = {f"net.{name}": value for name, value in net.state_dict().items()}
    config = network_config({"_target_": "sr.nets.espcn.ESPCN", "scale": 2}, 2, "rgb")
    (tmp_path / "trained" / "checkpoints").mkdir(parents=True)
    torch.save({"sr": config, "state_dict": state}, tmp_path / "trained" / "checkpoints" / "best.ckpt")
    return tmp_path / "trained"


def test_the_bicubic_row_is_computed_from_the_rounded_input(make_folder: MakeFolder) -> None:
    folder = make_folder(count=2)
    (row,) = evaluate([], [folder], scale=2)
    for number, (name, psnr, ssim, *_) in enumerate(row.images):
        hr = read_image(folder / "high_res" / f"{number}.png")
        sr = resize(to_float(derive_lr(hr, 2, 2)).double()[None], 2)
        expected = score(sr, to_float(hr)[None], "y", 2)
        assert (name, psnr, ssim) == (str(number), expected["psnr"].item(), expected["ssim"].item())
    assert row.psnr == pytest.approx((row.images[0][1] + row.images[1][1]) / 2)


def test_a_gray_image_is_scored_on_its_gray_values_not_on_luma(tmp_path: Path) -> None:
    gray = photograph(40, 40).convert("L")
    gray.save(tmp_path / "gray.png")
    Image.merge("RGB", [gray] * 3).save(tmp_path / "rgb.png")
    (row,) = evaluate([], [tmp_path], scale=2)
    psnr = {name: value for name, value, *_ in row.images}
    assert psnr["rgb"] - psnr["gray"] == pytest.approx(20 * math.log10(255 / 219), abs=0.1)  # luma spans 16..235


def test_sides_are_cropped_to_multiples_of_the_scale(tmp_path: Path) -> None:
    photograph(47, 50).save(tmp_path / "full.png")
    photograph(47, 50).crop((0, 0, 48, 45)).save(tmp_path / "cropped.png")
    (row,) = evaluate([], [tmp_path], scale=3)
    assert row.images[0][1:3] == row.images[1][1:3]


def test_an_image_too_small_to_be_scored_is_named_before_the_others_are_scored(tmp_path: Path) -> None:
    for name, side in (("large", 40), ("small", 14)):
        (tmp_path / name).mkdir()
        photograph(side, side).save(tmp_path / name / "photo.png")
    rows = evaluate([], [tmp_path / "large", tmp_path / "small"], scale=2)
    with pytest.raises(
        UserError, match=r"small/photo\.png: has 14x14 pixels, of which 2 at each border .* leave it out"
    ):
        next(rows)
    assert len(list(evaluate([], [tmp_path / "small"], scale=2, protocol="rgb"))) == 1


def test_a_run_and_its_checkpoint_score_alike_and_all_outputs_are_written(
    run: Path, make_folder: MakeFolder, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = make_folder(count=3, name="bench")
    checkpoint = run / "checkpoints" / "best.ckpt"
    out = tmp_path / "out"
    out.mkdir()
    files = ["--csv", str(out / "t.csv"), "--json", str(out / "t.json"), "--save", str(out / "images")]
    options = ["--data", str(data), "--scale", "2", "--protocol", "rgb", "--baselines"]
    main(["evaluate", str(run), str(checkpoint), *options, *files])
    output = capfd.readouterr().out
    rows = json.loads((out / "t.json").read_text())
    assert [row["model"] for row in rows] == ["bicubic", "nearest", "lanczos", str(run), str(checkpoint)]
    assert rows[3]["psnr"] == rows[4]["psnr"]
    assert {"data", "scale", "protocol", "psnr", "ssim", "images", "ms_per_image"} <= set(rows[0])
    assert [image["name"] for image in rows[0]["per_image"]] == ["0", "1", "2"]
    with (out / "t_images.csv").open() as file:
        images = list(csv.DictReader(file))
    assert len(images) == 5 * 3
    saved = sorted(path.relative_to(out / "images").parts[-2:] for path in (out / "images").rglob("*.png"))
    assert len(saved) == 5 * 3
    bicubic = to_float(read_image(out / "images" / "bicubic" / "bench" / "0.png"))[None]
    target = to_float(read_image(data / "high_res" / "0.png"))[None]
    assert score(bicubic, target, "rgb")["psnr"].item() == pytest.approx(rows[0]["per_image"][0]["psnr"], abs=0.01)
    run_scores = json.loads((run / "evaluations" / "bench_x2_rgb.json").read_text())
    assert run_scores[0]["psnr"] == rows[3]["psnr"]
    assert run_scores[0]["weights"] == files_hash([run / "checkpoints" / "best.ckpt"])
    assert run_scores[0]["trainings"]["."]["psnr"] == [image["psnr"] for image in rows[3]["per_image"]]
    assert run_scores[0]["trainings"]["."]["ssim"] == [image["ssim"] for image in rows[3]["per_image"]]
    assert run_scores[0]["names"] == run_scores[0]["groups"] == ["0", "1", "2"]
    assert set(run_scores[0]["baselines"]) == {"input", "nearest", "lanczos"}
    assert run_scores[0]["baselines"]["nearest"]["psnr"] == [image["psnr"] for image in rows[1]["per_image"]]
    assert re.search(r"bicubic +bench +x2 +rgb +\d+\.\d\d", output)
    main(["evaluate", str(run), "--data", str(data), "--scale", "2", "--x8"])
    assert f"{run} + x8" in capfd.readouterr().out
    assert (run / "evaluations" / "bench_x2_y_x8.json").is_file()


@pytest.mark.slow
def test_a_cross_validation_is_scored_by_the_mean_over_its_folds(
    command: Command, make_folder: MakeFolder, tmp_path: Path
) -> None:
    data = make_folder()
    code, text = command(
        "data=folder", f"data.root={data}", "scale=2", "trainer.max_epochs=1", "logger=none", "data.folds=2",
        "data.fold=all",
    )  # fmt: skip
    assert code == 0, text
    folds = [find_model(str(tmp_path / "run" / f"fold_{fold}"), 2) for fold in (0, 1)]
    all_folds = find_model(str(tmp_path / "run"), 2)
    _, first, second, mean = evaluate([*folds, all_folds], [data], scale=2)
    assert mean.psnr == pytest.approx((first.psnr + second.psnr) / 2)
    assert all_folds.trainings == ["fold_0", "fold_1"]
    assert [scores[1].psnr for scores in mean.by_network] == [image.psnr for image in second.images]


def test_copies_of_a_photograph_share_a_group_in_the_tables(make_folder: MakeFolder, tmp_path: Path) -> None:
    folder = make_folder(count=2)
    Image.open(folder / "high_res" / "1.png").transpose(Image.Transpose.ROTATE_90).save(folder / "high_res" / "2.png")
    rows = [*evaluate([], [folder], scale=2)]
    assert rows[0].groups == ["0", "1", "1"]
    write_rows(rows, tmp_path / "t.csv", None)
    images = list(csv.DictReader((tmp_path / "t_images.csv").open()))
    assert [(image["name"], image["group"]) for image in images] == [("0", "0"), ("1", "1"), ("2", "1")]


def test_a_set_is_known_by_the_content_of_its_images(make_folder: MakeFolder) -> None:
    folder = make_folder(count=2)
    (before,), (again,) = (list(evaluate([], [folder], scale=2)) for _ in range(2))
    photograph(40, 40).rotate(90).save(folder / "high_res" / "1.png")
    (changed,) = evaluate([], [folder], scale=2)
    assert before.fingerprint == again.fingerprint != changed.fingerprint


def test_a_model_that_loses_to_bicubic_is_marked(run: Path, make_folder: MakeFolder, tmp_path: Path) -> None:
    path = run / "checkpoints" / "best.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["state_dict"]["net.tail.bias"] += 0.1
    torch.save(checkpoint, tmp_path / "bad.ckpt")
    rows = [*evaluate([find_model(str(tmp_path / "bad.ckpt"), 2)], [make_folder(count=1)], scale=2)]
    lines = render(rows).splitlines()
    assert "loses" not in lines[1]
    assert lines[2].endswith("loses to bicubic")


def test_a_model_loses_to_bicubic_unless_its_mean_is_higher() -> None:
    def row(label: str, data: str, *values: float) -> Row:
        nets = [] if label == "bicubic" else [torch.nn.Identity()]
        images = [ImageScore(str(number), value, 0.9, 1.0) for number, value in enumerate(values)]
        return Row(Model(label, 2, nets), data, 2, Protocol.Y, images=images)

    easy = [row("bicubic", "easy", 30.0, 34.0), row("up", "easy", 30.0, 34.02), row("level", "easy", 34.0, 30.0)]
    hard = [row("bicubic", "hard", 20.0, 20.0), row("down", "hard", 19.98, 20.0)]
    table = [line.split() for line in render([*easy, *hard]).splitlines()[1:]]
    assert [(line[0], line[1], line[6], " ".join(line[9:])) for line in table] == [
        ("bicubic", "easy", "+0.00", ""),
        ("up", "easy", "+0.01", ""),
        ("level", "easy", "+0.00", "loses to bicubic"),
        ("bicubic", "hard", "+0.00", ""),
        ("down", "hard", "-0.01", "loses to bicubic"),
    ]
    assert [line[2:6] for line in table[::3]] == [["x2", "y", "32.00", "0.9000"], ["x2", "y", "20.00", "0.9000"]]


def test_a_model_that_beats_bicubic_may_lose_to_another_baseline_of_the_same_data() -> None:
    def row(label: str, data: str, value: float) -> Row:
        nets = [] if label in ("bicubic", "lanczos") else [torch.nn.Identity()]
        return Row(Model(label, 2, nets), data, 2, Protocol.Y, images=[ImageScore("a", value, 0.9, 1.0)])

    easy = [row("bicubic", "easy", 30.0), row("lanczos", "easy", 30.5), row("net", "easy", 30.2)]
    hard = [row("lanczos", "hard", 20.1), row("bicubic", "hard", 20.0), row("net", "hard", 20.2)]
    table = [line.split() for line in render([*easy, *hard]).splitlines()[1:]]
    assert [" ".join(cells[9:]) for cells in table] == ["", "", "loses to Lanczos", "", "", ""]
    assert [cells[6] for cells in table] == ["+0.00", "+0.50", "+0.20", "+0.10", "+0.00", "+0.20"]


def test_every_folder_is_compared_with_its_own_bicubic(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("a/test", "b/test/high_res")):
        Path(name).mkdir(parents=True)
        photograph(40, 40 + 20 * number, seed=number).save(Path(name, "0.png"))
    options = ["--scale", "2", "--baselines", "--json", "t.json", "--save", "out"]
    main(["evaluate", "--data", "a/test", "--data", "b/test", *options])
    rows = json.loads(Path("t.json").read_text())[::3]
    assert [row["data"] for row in rows] == ["a/test", "b/test"]  # not both "test"
    assert rows[0]["psnr"] != rows[1]["psnr"]
    table = [line.split() for line in capsys.readouterr().out.splitlines()[1:7:3]]
    assert [line[:2] for line in table] == [["bicubic", "a/test"], ["bicubic", "b/test"]]
    assert [line[6] for line in table] == ["+0.00", "+0.00"]
    sizes = [Image.open(path).size for path in (Path("out/bicubic/a_test/0.png"), Path("out/bicubic/b_test/0.png"))]
    assert sizes == [(40, 40), (60, 40)]
    main(["evaluate", "--data", "b/test/high_res", *options])
    assert json.loads(Path("t.json").read_text())[0]["data"] == "test"  # not "high_res"


def test_baselines_use_their_kernels_and_x8_applies_to_networks_only(make_folder: MakeFolder) -> None:
    folder = make_folder(count=2)
    torch.manual_seed(0)
    net = ESPCN(scale=2).eval()
    torch.nn.init.normal_(net.tail.weight, std=0.1)
    kernels = ("bicubic", "nearest", "lanczos")
    rows = [*evaluate([Model("net", 2, [net])], [folder], scale=2, protocol="rgb", ensemble=True, baselines=BASELINES)]
    assert [row.as_dict()["model"] for row in rows] == [*kernels, "net + x8"]
    for number in range(2):
        hr = read_image(folder / "high_res" / f"{number}.png")
        lr, target = to_float(derive_lr(hr, 2, 2))[None], to_float(hr)[None]
        outputs = [resize(lr.double(), 2, kernel) for kernel in kernels] + [enlarge(net, lr, ensemble=True)]
        for row, output in zip(rows, outputs, strict=True):
            expected = score(output, target, "rgb")
            assert row.images[number][1:3] == pytest.approx(
                (expected["psnr"].item(), expected["ssim"].item()), abs=1e-4
            )


def test_csv_files_have_a_row_per_model_and_per_image(make_folder: MakeFolder, tmp_path: Path) -> None:
    rows = [*evaluate([], [make_folder(count=2)], scale=2, baselines=BASELINES[:2])]
    assert write_rows(rows, tmp_path / "new" / "t.csv", None) == [
        tmp_path / "new" / "t.csv",
        tmp_path / "new" / "t_images.csv",
    ]
    with (tmp_path / "new" / "t.csv").open() as file:
        table = list(csv.DictReader(file))
    with (tmp_path / "new" / "t_images.csv").open() as file:
        images = list(csv.DictReader(file))
    assert [(row["model"], row["images"], row["scale"]) for row in table] == [
        ("bicubic", "2", "2"),
        ("nearest", "2", "2"),
    ]
    for number, row in enumerate(table):
        for column in ("psnr", "ssim"):
            values = [float(image[column]) for image in images if image["model"] == row["model"]]
            assert float(row[column]) == pytest.approx(sum(values) / 2)
            assert values == [image[{"psnr": 1, "ssim": 2}[column]] for image in rows[number].images]
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file: cannot be written \("):
        write_rows(rows, tmp_path / "file" / "t.csv", None)


def test_milliseconds_are_the_mean_over_networks(make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0.0, 0.0, 10.0, 10.2, 11.0, 11.4])  # before and after bicubic and each of two networks
    monkeypatch.setattr("sr.benchmark.scoring.time.perf_counter", lambda: next(ticks))
    nets = [ESPCN(scale=2).eval(), ESPCN(scale=2).eval()]
    _, row = evaluate([Model("two", 2, nets)], [make_folder(count=1)], scale=2)
    assert row.as_dict()["ms_per_image"] == pytest.approx(300)


def test_bad_input_is_refused_in_one_line(
    run: Path, make_folder: MakeFolder, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = make_folder(count=3, name="bench")
    (data / "high_res" / "1.png").write_bytes(b"no image")
    pairs = make_folder(count=2, low_scale=2, name="pairs")
    (pairs / "low_res" / "1.png").unlink()
    cases = [
        ([str(run), "--data", str(data), "--scale", "3"], "is a network for scale 2, not 3"),
        ([str(run), "--data", str(data), "--scale", "2"], "1.png: cannot be read as an image"),
        ([str(run), "--data", str(pairs), "--scale", "2"], "has no partner of that name in low_res/"),
        ([str(tmp_path), "--data", str(data), "--scale", "2"], "no checkpoints/best.ckpt in it"),
        ([str(run), "--data", str(tmp_path / "no"), "--scale", "2"], "no such folder"),
        ([str(run), "--data", str(data), "--scale", "2", "--protocol", "x"], "must be one of rgb, y"),
        (["--data", str(data), "--scale", "2"], "name a checkpoint or a run folder, or add --baselines"),
    ]
    for arguments, message in cases:
        with pytest.raises(SystemExit) as exit_info:
            main(["evaluate", *arguments])
        output = capfd.readouterr().err
        assert exit_info.value.code == 2
        assert message in output
        assert output.count("\n") == 1


@pytest.mark.slow
def test_set5_is_recognised_by_content_and_agrees_with_the_literature(shared: Path) -> None:
    checks = check(shared / "Set5")
    assert [(row.data, row.scale) for row in checks] == [("Set5", 2), ("Set5", 3), ("Set5", 4)]
    assert all(row.agrees for row in checks)
    (bicubic,) = evaluate([], [shared / "Set5"], scale=3)
    assert bicubic.psnr == pytest.approx(30.39, abs=0.03)


def test_a_row_that_disagrees_with_the_literature_is_marked(capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = Check("Set5", 2, 33.664, 0.9299, (33.66, 0.9299)), Check("Set5", 3, 30.42, 0.8682, (30.39, 0.8682))
    lines = render_checks([good, bad]).splitlines()
    assert lines[1].endswith("agrees")
    assert lines[2].endswith("OFF")


def test_a_test_set_is_recognised_by_name_and_must_be_complete(make_folder: MakeFolder, tmp_path: Path) -> None:
    folder = make_folder(count=4, name="set-14")
    with pytest.raises(UserError, match="Set14 has 14 images, this folder has 4"):
        check(folder)
    with pytest.raises(UserError, match="not one of Set5, Set14, BSD100, Urban100"):
        check(folder.rename(tmp_path / "other"))


def test_the_fingerprint_of_a_test_set_ignores_the_order_of_images() -> None:
    image, other_image = (torch.randint(0, 256, (3, 5, 5), dtype=torch.uint8) for _ in range(2))
    assert fingerprint([image, other_image]) == fingerprint([other_image, image]) != fingerprint([image, image])


def sharpener(path: Path, shrink: int | None) -> Model:
    """A checkpoint of a network of scale 1 that was trained with ``data.shrink``."""
    net = ESPCN(scale=1)
    state = {f"net.{name}": value for name, value in net.state_dict().items()}
    config = network_config({"_target_": "sr.nets.espcn.ESPCN", "scale": 1}, 1, "rgb", None, shrink)
    torch.save({"sr": config, "state_dict": state}, path)
    return find_model(str(path))


def test_inputs_are_degraded_as_in_training(make_folder: MakeFolder, tmp_path: Path) -> None:
    folder = make_folder(count=2)
    psnrs = {}
    for shrink in (2, 4):
        rows = [*evaluate([sharpener(tmp_path / f"{shrink}.ckpt", shrink)], [folder], scale=1, protocol="rgb")]
        assert [image.name for image in rows[0].images] == ["0", "1"]
        for number, image in enumerate(rows[0].images):
            hr = read_image(folder / "high_res" / f"{number}.png")
            lr = derive_lr(hr, 1, shrink)
            expected = float(score(to_float(lr)[None], to_float(hr)[None], Protocol.RGB, 1)["psnr"])
            assert image.psnr == pytest.approx(expected, abs=1e-4)
        psnrs[shrink] = rows[0].psnr
        assert rows[1].psnr == pytest.approx(rows[0].psnr, abs=0.01)  # untrained: its input
    assert psnrs[4] < psnrs[2] - 1


def test_models_of_unknown_and_of_different_degradations_are_not_compared_in_silence(
    make_folder: MakeFolder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = make_folder(count=1)
    two, four, unknown = (sharpener(tmp_path / f"{shrink}.ckpt", shrink) for shrink in (2, 4, None))
    with pytest.raises(UserError, match=r"were trained with data\.shrink=2 and 4: evaluate them one at a time"):
        list(evaluate([two, four], [folder], scale=1))
    assert len(list(evaluate([four, unknown], [folder], scale=1))) == 3
    assert caplog.messages == [
        f"{tmp_path / 'None.ckpt'}: does not record data.shrink; low resolution is derived with 4"
    ]


def test_at_scale_1_the_baseline_is_the_input_alone_and_the_command_says_that_nothing_is_enlarged(
    make_folder: MakeFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sharpener(tmp_path / "one.ckpt", 2)
    files = ["--csv", str(tmp_path / "t.csv"), "--save", str(tmp_path / "out")]
    main(["evaluate", str(tmp_path / "one.ckpt"), "--data", str(make_folder(count=1)), "--baselines", *files])
    captured = capsys.readouterr()
    assert captured.err == "scale 1: sharpens, does not enlarge; the baseline is the input\n"
    lines = captured.out.splitlines()
    assert [line.split()[0] for line in lines[1:3]] == ["input", str(tmp_path / "one.ckpt")]
    assert lines[2].endswith("loses to input")  # untrained, it returns its input
    assert (tmp_path / "t.csv").read_text().splitlines()[1].startswith("input,")
    assert (tmp_path / "out" / "input").is_dir()


def test_a_terminal_shows_how_far_the_scoring_is_and_of_what(make_folder: MakeFolder, tmp_path: Path) -> None:
    folder = make_folder(count=2)
    command = [sys.executable, "-c", "from sr.cli import main; main()", "evaluate", "espcn_x2", "--data", str(folder)]
    code, lines = in_terminal(command, tmp_path)
    assert code == 0, lines
    bars = [line for line in lines if "━" in line]
    assert re.match(r"data: bicubic ━+ 0/4 ", bars[0])  # two images by bicubic and by a model
    assert "━" not in lines[-1]


@pytest.mark.parametrize("shrink", [0, 65, "2", 2.0])
def test_an_impossible_degradation_in_a_checkpoint_is_refused(tmp_path: Path, shrink: object) -> None:
    sharpener(tmp_path / "a.ckpt", 2)
    checkpoint = torch.load(tmp_path / "a.ckpt", weights_only=True)
    checkpoint["sr"]["shrink"] = shrink
    torch.save(checkpoint, tmp_path / "a.ckpt")
    with pytest.raises(UserError, match="which is not an integer from 1 to 64"):
        find_model(str(tmp_path / "a.ckpt"))


def test_the_psnr_of_the_mean_error_is_written_beside_the_mean_psnr(tmp_path: Path) -> None:
    images = [ImageScore(name, psnr, 0.9, 1.0) for name, psnr in (("a", 20.0), ("b", 40.0))]
    row = Row(Model("bicubic", 2), "set", 2, Protocol.Y, images=images)
    assert row.psnr == 30.0
    assert row.psnr_of_mean_error == pytest.approx(-10 * math.log10((10**-2 + 10**-4) / 2))
    write_rows([row], tmp_path / "t.csv", tmp_path / "t.json")
    (line,) = csv.DictReader((tmp_path / "t.csv").open())
    assert float(line["psnr_of_mean_error"]) == pytest.approx(row.psnr_of_mean_error)
    assert json.loads((tmp_path / "t.json").read_text())[0]["psnr_of_mean_error"] == row.psnr_of_mean_error


def test_tiles_score_as_the_whole_image_does(make_folder: MakeFolder) -> None:
    folder = make_folder(count=1, size=(200, 260))
    model = Model("two", 2, [sharp_network(0), sharp_network(1)])
    sizes: set[int] = set()
    psnrs = {}
    for tile in (0, 32, None):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ESPCN, "forward", _noting_sizes(ESPCN.forward, sizes if tile == 32 else set()))
            _, row = evaluate([model], [folder], scale=2, tile=tile, device="cpu")
        psnrs[tile] = row.images[0][1:3]
    assert max(sizes) <= 32 + 2 * 4 < 100  # the halo of two blocks on each side
    assert psnrs[32] == pytest.approx(psnrs[0], abs=1e-4)
    assert psnrs[None] == pytest.approx(psnrs[0], abs=1e-4)


def _noting_sizes(forward: Callable[..., torch.Tensor], sizes: set[int]) -> Callable[..., torch.Tensor]:
    def noting(net: ESPCN, lr: torch.Tensor) -> torch.Tensor:
        sizes.update(lr.shape[-2:])
        return forward(net, lr)

    return noting


def test_scores_in_bfloat16_are_labelled_and_kept_beside_those_in_float32(
    run: Path, make_folder: MakeFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = make_folder(count=1, name="bench")
    files = ["--csv", str(tmp_path / "t.csv"), "--json", str(tmp_path / "t.json")]
    main(["evaluate", str(run), "--data", str(data), "--device", "cpu"])
    assert f"{run} in bfloat16" not in capsys.readouterr().out
    main(["evaluate", str(run), "--data", str(data), "--device", "cpu", "--precision", "bfloat16", *files])
    assert f"{run} in bfloat16" in capsys.readouterr().out
    bicubic, row = json.loads((tmp_path / "t.json").read_text())
    assert (bicubic["precision"], bicubic["device"]) == ("float64", "cpu")
    assert (row["precision"], row["device"], row["model"]) == ("bfloat16", "cpu", f"{run} in bfloat16")
    assert [line["precision"] for line in csv.DictReader((tmp_path / "t.csv").open())] == ["float64", "bfloat16"]
    kept = sorted((run / "evaluations").iterdir())
    assert [path.name for path in kept] == ["bench_x2_y.json", "bench_x2_y_bfloat16.json"]
    assert [json.loads(path.read_text())[0]["precision"] for path in kept] == ["float32", "bfloat16"]


def test_scores_of_other_metrics_and_baselines_are_kept_unless_images_or_weights_differ(
    run: Path, make_folder: MakeFolder, tmp_path: Path
) -> None:
    data = make_folder(count=2, name="bench")
    path = run / "evaluations" / "bench_x2_y.json"
    command = ["evaluate", str(run), "--data", str(data), "--device", "cpu"]
    main([*command, "--metrics", "vif", "--baselines"])
    (first,) = json.loads(path.read_text())
    main(command)
    (second,) = json.loads(path.read_text())
    costs = {"ms_per_image"}
    assert {name: value for name, value in second.items() if name not in costs} == {
        name: value for name, value in first.items() if name not in costs
    }
    assert {"vif", "psnr"} <= second["trainings"]["."].keys() & second["baselines"]["nearest"].keys()
    path.write_text(json.dumps([{name: value for name, value in first.items() if name != "metrics"}]))  # of long ago
    main(command)
    (fourth,) = json.loads(path.read_text())
    assert {"psnr", "ssim"} <= fourth["baselines"]["nearest"].keys()
    path.write_text(json.dumps([{**first, "weights": "others"}]))
    main(command)
    (third,) = json.loads(path.read_text())
    assert (third["metrics"].keys(), third["baselines"].keys()) == ({"psnr", "ssim"}, {"input"})


def test_auto_precision_is_that_which_is_measured_to_be_faster(
    make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_folder(count=1)
    for faster, used in (("bf16-mixed", "bfloat16"), ("32-true", "float32")):
        monkeypatch.setattr("sr.inference.enlarger.best_precision", lambda device, faster=faster: faster)
        _, row = evaluate([Model("net", 2, [sharp_network()])], [folder], scale=2, device="cpu", precision="auto")
        assert row.precision == used


def test_an_unavailable_device_and_an_unknown_precision_are_refused(make_folder: MakeFolder) -> None:
    folder = make_folder(count=1)
    with pytest.raises(UserError, match=r"^--device cuda:99: "):
        list(evaluate([], [folder], scale=2, device="cuda:99"))
    with pytest.raises(UserError, match="--precision must be one of auto, float32, bfloat16, got 'double'"):
        list(evaluate([], [folder], scale=2, precision="double"))


def test_of_several_names_what_is_no_model_is_skipped_with_a_line(
    run: Path, make_folder: MakeFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--data", str(make_folder(count=1)), "--device", "cpu"]
    (tmp_path / "leaderboard.csv").write_text("run\n")
    (tmp_path / "conf").mkdir()
    others = [str(tmp_path / "leaderboard.csv"), str(tmp_path / "conf")]
    main(["evaluate", *others, str(run), *options])
    captured = capsys.readouterr()
    assert captured.err.splitlines() == [f"{name}: skipped, it is no model" for name in others]
    assert f"\n{run} " in captured.out


def test_a_run_among_several_that_cannot_be_used_is_skipped_and_ends_in_code_1(
    run: Path, make_folder: MakeFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--data", str(make_folder(count=1)), "--device", "cpu"]
    begun = RunFolders(tmp_path / "grid")("espcn_mse_adam", [0.5], status=Status.FAILED)
    (tmp_path / "damaged.ckpt").write_bytes(b"PK")
    with pytest.raises(SystemExit) as exit_info:
        main(["evaluate", str(begun), str(tmp_path / "damaged.ckpt"), str(run), *options])
    captured = capsys.readouterr()
    assert exit_info.value.code == 1
    first, second = captured.err.splitlines()
    assert first.startswith(f"error: {begun}: no checkpoints/best.ckpt in it: ")
    assert second.startswith(f"error: {tmp_path / 'damaged.ckpt'}: ")
    assert first.endswith(" (skipped)")
    assert f"\n{run} " in captured.out


def test_a_single_name_or_one_that_does_not_exist_is_never_skipped(
    run: Path, make_folder: MakeFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "leaderboard.csv"
    table.write_text("run\n")
    data = make_folder(count=1)
    for names, message in (
        ([str(table)], f"{table}: "),
        ([str(run), "nowhere"], "nowhere: no such checkpoint, run folder"),
        ([str(table), str(table)], "none of these 2 can be used: name a checkpoint or the folder of a finished run"),
    ):
        with pytest.raises(SystemExit) as exit_info:
            main(["evaluate", *names, "--data", str(data)])
        assert exit_info.value.code == 2
        captured = capsys.readouterr()
        assert captured.err.splitlines()[-1].startswith(f"error: {message}")
        assert not captured.out


def test_a_run_that_is_not_done_is_scored_and_said_to_be_so(
    run: Path, make_folder: MakeFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = RunFolders(tmp_path / "grid")("espcn_mse_adam", [0.5], status=Status.INTERRUPTED)
    (run / "checkpoints").rename(begun / "checkpoints")
    main(["evaluate", str(begun), "--data", str(make_folder(count=1)), "--device", "cpu"])
    assert capsys.readouterr().err == f"{begun}: is interrupted: its best weights so far are used\n"


def test_more_metrics_are_columns_of_every_table(make_folder: MakeFolder, tmp_path: Path) -> None:
    folder = make_folder(count=2, size=(64, 64))
    metrics = named_metrics(["vif", "lr_psnr"], config_dir())
    rows = list(evaluate([], [folder], scale=2, metrics=metrics))
    plain = list(evaluate([], [folder], scale=2))
    assert (rows[0].psnr, rows[0].ssim) == (plain[0].psnr, plain[0].ssim)
    hr = to_float(read_image(folder / "high_res" / "0.png"))[None]
    lr = derive_lr(to_uint8(hr)[0], 2, 2)
    sr = resize(to_float(lr).double()[None], 2)
    expected = score(sr, hr, "y", 2, metrics=metrics, lr=to_float(lr)[None])
    assert rows[0].images[0].more == {name: expected[name].item() for name in ("vif", "lr_psnr")}
    write_rows(rows, tmp_path / "t.csv", tmp_path / "t.json")
    with (tmp_path / "t.csv").open() as file:
        assert float(next(csv.DictReader(file))["vif"]) == rows[0].mean("vif")
    with (tmp_path / "t_images.csv").open() as file:
        assert float(next(csv.DictReader(file))["lr_psnr"]) == expected["lr_psnr"].item()
    heading = render(rows).splitlines()[0]
    assert "VIF" in heading
    assert "LR-PSNR dB" in heading
    lines = render([*rows, *plain]).splitlines()
    assert len(lines[2].split()) == len(lines[1].split()) - 2  # empty cells


def test_an_unknown_metric_is_refused_with_what_there_is() -> None:
    with pytest.raises(UserError, match=r"metrics: no 'viff' in all, default, .*vif.*did you mean vif"):
        named_metrics(["viff"], config_dir())


def test_a_score_outside_the_range_of_its_metric_is_named(
    make_folder: MakeFolder, caplog: pytest.LogCaptureFixture
) -> None:
    folder = make_folder(count=2, size=(32, 32))
    metrics = {**DEFAULT, "mine": Metric(lambda sr, hr: sr.mean(dim=(1, 2, 3)) + 2, "mine", range=[0, 1])}
    list(evaluate([], [folder], scale=2, metrics=metrics))
    (line,) = [record.getMessage() for record in caplog.records if "range" in record.getMessage()]
    assert "bicubic: mine of 2 of 2 images is outside its range, 0 to 1, such as 2." in line


def test_long_option_texts_become_file_names_that_every_system_takes(tmp_path: Path) -> None:
    options = ":".join(["noise=[[1,30],[1,25]]"] * 20)
    texts = [f"Set5 photo:sigma=[[0.2,{number}],[0.2,1.5]]:{options}" for number in (2, 3)]
    names = [folder_name(text) for text in texts]
    assert len({*names}) == 2
    for name in names:
        (tmp_path / f"{name}_01234567_x4_rgb_x8_bfloat16_16bits.json").write_text("")
        assert not {*name} & {*'<>:"|?*'}
    assert folder_name("Set5 jpeg:quality=[20,60]") == "Set5 jpeg_quality=[20,60]"
    assert len(folder_name("\u00e4" * 200).encode()) <= 120
