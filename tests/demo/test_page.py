import logging
import math
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sr.demo import uploads
from sr.demo.app import launch
from sr.demo.choices import find_boards, find_models
from sr.demo.examples import example_names
from sr.demo.faults import FaultError, Place
from sr.demo.page import Page
from sr.errors import UserError
from sr.image import to_float
from sr.inference.enlarger import Enlarger
from sr.io.images import from_pil
from sr.io.run_folder import RunFolder
from sr.metrics import score
from sr.nets.espcn import ESPCN
from sr.report.analysis import analyse
from sr.report.board import leaderboard
from sr.report.comparison import find_comparisons
from sr.report.formats import interval
from sr.terms import Protocol
from sr.weights import zoo
from sr.weights.checkpoint import network_config
from sr.weights.find import find_model
from sr.weights.model import Model
from tests.support.browser import Browser, axe_findings
from tests.support.images import photograph
from tests.support.run_folders import RunFolders
from tests.support.run_folders import config as run_config


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two finished runs for x2 with a network that brightens by a tenth."""
    monkeypatch.setattr(zoo, "FOLDER", tmp_path / "none")
    write_run = RunFolders(tmp_path / "runs")
    net = ESPCN(scale=2)
    torch.nn.init.constant_(net.tail.bias, 0.1)  # type: ignore[arg-type]
    state = {f"net.{name}": value for name, value in net.state_dict().items()}
    config = network_config({"_target_": "sr.nets.espcn.ESPCN", "scale": 2}, 2, "rgb")
    for loss in ("mse", "mae"):
        settings = run_config() | {"scale": 2}
        folder = RunFolder(write_run(f"grid/espcn_{loss}_adam", [0.5, 0.6, 0.7, 0.8], scale=2, config=settings))
        folder.checkpoints.mkdir()
        torch.save({"state_dict": state, "sr": config}, folder.best)
    return tmp_path / "runs"


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    photograph(40, 50, seed=1).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.fixture
def page(runs: Path) -> Iterator[Page]:
    page = Page(runs, device="cpu")
    yield page
    page.close()
    assert not page.uploads.path.exists()


LABEL = "grid/espcn_mse_adam"


def test_models_and_boards_are_found_by_their_folders(runs: Path) -> None:
    models = find_models(runs)
    assert sorted(models) == ["grid/espcn_mae_adam", LABEL]
    assert models[LABEL] == (str(runs / LABEL), 2)
    assert find_boards(runs) == {str(runs / "grid"): runs / "grid"}


def test_a_picture_is_enlarged_next_to_bicubic(page: Page, runs: Path, picture: Path) -> None:
    enlarged = page.enlarge([LABEL], str(picture), None)
    bicubic, big = enlarged.images["bicubic"], enlarged.images[LABEL]
    pixels = np.asarray(Image.open(picture))
    assert np.array_equal(np.asarray(Image.open(big)), Enlarger(find_model(str(runs / LABEL)), device="cpu")(pixels))
    assert np.array_equal(np.asarray(Image.open(bicubic)), Enlarger(Model("bicubic", 2), device="cpu")(pixels))
    assert enlarged.models == [LABEL]
    assert enlarged.facts.startswith("<p>50 x 40 to 100 x 80, on cpu</p>")


def test_a_model_of_scale_1_is_shown_next_to_its_input_and_says_that_it_sharpens(
    page: Page, picture: Path, runs: Path
) -> None:
    path = RunFolder(runs / LABEL).best
    net, config = ESPCN(scale=1), network_config({"_target_": "sr.nets.espcn.ESPCN", "scale": 1}, 1, "rgb")
    state = {f"net.{name}": value for name, value in net.state_dict().items()}
    torch.save({"state_dict": state, "sr": config}, path)
    page.models[LABEL] = (str(runs / LABEL), 1)
    enlarged = page.enlarge([LABEL], str(picture), str(picture))
    assert list(enlarged.images) == ["input", LABEL, "target"]
    for name in ("input", "target"):
        assert np.array_equal(np.asarray(Image.open(enlarged.images[name])), np.asarray(Image.open(picture)))
    assert "<p>50 x 40, sharpened, on cpu</p>" in enlarged.facts
    assert table_of(enlarged.facts)["input"][1:3] == ["130.00", "1.0000"]
    assert (f"{LABEL} (sharpens)", LABEL) in page.model_choices
    assert page.sharpens([LABEL])
    assert not page.sharpens([LABEL, "grid/espcn_mae_adam"])


def table_of(facts: str) -> dict[str, list[str]]:
    """The cells of each row by its name: seconds, PSNR and SSIM in luma, PSNR and SSIM in RGB."""
    rows = re.findall(r'<th scope="row">(.*?)</th>(.*?)</tr>', facts)
    return {name: re.findall("<td>(.*?)</td>", cells) for name, cells in rows}


def test_several_models_enlarge_one_picture_and_any_two_results_make_a_pair(page: Page, picture: Path) -> None:
    labels = [LABEL, "grid/espcn_mae_adam"]
    images = page.enlarge(labels, str(picture), None).images
    assert list(images) == ["bicubic", *labels]
    assert len(set(images.values())) == 3
    assert page.pair(images[labels[0]], images[labels[1]]) == (images[labels[0]], images[labels[1]])
    for path in (str(picture), "/etc/passwd", 7, None, str(page.uploads.path / "result-x" / "gone.png")):
        with pytest.raises(FaultError, match=r"^This result is no longer there: enlarge the picture again\.$"):
            page.pair(images["bicubic"], path)


def test_too_many_models_and_models_of_several_scales_are_refused_at_the_list(page: Page, picture: Path) -> None:
    page.models |= {f"m{number}": page.models[LABEL] for number in range(4)} | {"large": (page.models[LABEL][0], 3)}
    for labels, message in (
        ([LABEL, "m0", "m1", "m2", "m3"], "Choose at most 4 models, not 5."),
        ([LABEL, "large"], f"Choose models of one scale, whose results can be compared, not {LABEL} x2, large x3."),
        ([], "Choose a model first."),
    ):
        with pytest.raises(FaultError) as error_info:
            page.enlarge(labels, str(picture), None)
        assert str(error_info.value) == message
        assert error_info.value.place is Place.MODELS


def test_a_target_yields_scores_and_must_have_the_size_of_the_result(page: Page, picture: Path, tmp_path: Path) -> None:
    bicubic = page.enlarge([LABEL], str(picture), None).images["bicubic"]
    shutil.copy(bicubic, tmp_path / "target.png")
    table = table_of(page.enlarge([LABEL], str(picture), str(tmp_path / "target.png")).facts)
    assert table["bicubic"][1:3] == ["130.00", "1.0000"]
    assert float(table[LABEL][3]) < 130
    with pytest.raises(FaultError, match="The target must have the size of the result, 100 x 80 pixels") as error_info:
        page.enlarge([LABEL], str(picture), str(picture))
    assert error_info.value.place is Place.TARGET


def test_weights_of_a_cell_with_seeds_are_read_again_once_they_change(page: Page, runs: Path) -> None:
    cell = runs / "grid" / "espcn_mse_adam"
    for seed in (23, 24):
        shutil.copytree(cell / "checkpoints", cell / f"seed_{seed}" / "checkpoints")
    shutil.rmtree(cell / "checkpoints")
    label = next(label for label, (name, _) in page.models.items() if Path(name) == cell)
    first = page._enlarger(label)
    assert page._enlarger(label) is first
    best = cell / "seed_23" / "checkpoints" / "best.ckpt"
    os.utime(best, (best.stat().st_mtime + 1,) * 2)
    assert page._enlarger(label) is not first


def test_a_target_too_small_to_be_scored_is_refused_before_anything_is_enlarged(page: Page, tmp_path: Path) -> None:
    photograph(7, 40).save(tmp_path / "input.png")
    photograph(14, 80).save(tmp_path / "target.png")
    with pytest.raises(FaultError, match="less than 15 pixels a side, too few to be scored: remove it") as error_info:
        page.enlarge([LABEL], str(tmp_path / "input.png"), str(tmp_path / "target.png"))
    assert error_info.value.place is Place.TARGET


def test_models_called_like_the_target_or_by_long_names_are_shown_as_themselves(runs: Path, picture: Path) -> None:
    long = "a" * 150
    for old, new in (("mse", "target"), ("mae", long)):
        (runs / "grid" / f"espcn_{old}_adam").rename(runs / new)
    photograph(80, 100, seed=1).save(runs / "hr.png")
    shown = Page(runs, device="cpu").enlarge(["target", long], str(picture), str(runs / "hr.png"))
    assert list(shown.images) == ["bicubic", "target", long, "the target"]
    assert len(set(shown.images.values())) == 4


def test_a_target_may_be_as_large_as_the_result(runs: Path, picture: Path) -> None:
    page = Page(runs, max_pixels=2000, device="cpu")
    bicubic = page.enlarge([LABEL], str(picture), None).images["bicubic"]
    assert "PSNR" in page.enlarge([LABEL], str(picture), bicubic).facts
    page.close()


def test_new_runs_are_offered_without_a_restart(page: Page, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sr.demo.page._REFRESH_SECONDS", 0.0)
    shutil.copytree(runs / "grid", runs / "later")
    assert "later/espcn_mse_adam" not in page.models
    page.refresh()
    assert "later/espcn_mse_adam" in page.models
    assert str(runs / "later") in page.boards
    shutil.rmtree(runs / "later")
    page.refresh()
    with pytest.raises(FaultError, match="There is no such model in the list: refresh it, and choose again"):
        page.curves(["later/espcn_mse_adam"])


def test_a_run_that_was_trained_again_is_loaded_again(page: Page, runs: Path, picture: Path) -> None:
    before = np.asarray(Image.open(page.enlarge([LABEL], str(picture), None).images[LABEL]))
    path = RunFolder(runs / LABEL).best
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["state_dict"]["net.tail.bias"] += 0.1
    torch.save(checkpoint, path)
    os.utime(path, (0, 0))
    after = np.asarray(Image.open(page.enlarge([LABEL], str(picture), None).images[LABEL]))
    assert after.mean() > before.mean() + 10


def test_examples_are_small_photographs_in_the_folder_of_uploads(page: Page) -> None:
    assert example_names() == ["Cat", "Astronaut", "Coffee"]
    for name in example_names():
        path = page.example(name)
        assert page.uploads.uploaded({"path": path}) == path
        assert max(Image.open(path).size) == 200
    with pytest.raises(FaultError, match="no such example"):
        page.example("../cat")


def test_results_are_removed_after_an_hour(page: Page, picture: Path) -> None:
    old = Path(page.enlarge([LABEL], str(picture), None).images[LABEL])
    leftover = page.uploads.path / "abandoned upload"
    leftover.write_bytes(b"x")
    for path in (old, old.parent, leftover):
        os.utime(path, (time.time() - 3700,) * 2)
    new = Path(page.enlarge([LABEL], str(picture), None).images[LABEL])
    assert new.exists()
    assert not old.parent.exists()
    assert not leftover.exists()


def test_the_oldest_uploads_are_removed_if_all_take_too_much_space(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "_KEPT_BYTES", 40_000)
    for number in range(4):
        folder = page.uploads.path / str(number)
        folder.mkdir()
        (folder / "upload.png").write_bytes(bytes(12_000))
        for path in (folder / "upload.png", folder):
            os.utime(path, (time.time() - 1000 + number,) * 2)
    page.uploads.tidy()
    assert sorted(path.name for path in page.uploads.path.iterdir()) == ["2", "3"]  # an empty folder takes 4096 bytes


def test_only_uploaded_files_are_accepted(page: Page, picture: Path, tmp_path: Path) -> None:
    inside = page.uploads.path / "upload.png"
    shutil.copy(picture, inside)
    assert page.uploads.uploaded({"path": str(inside)}) == str(inside)
    assert page.uploads.uploaded(None) is None
    (page.uploads.path / "link.png").symlink_to(picture)
    for path in (
        picture,
        page.uploads.path / "link.png",
        page.uploads.path / ".." / picture.name,
        "/etc/passwd",
        "a\0b",
        7,
        None,
    ):
        with pytest.raises(UserError, match="there is no such upload"):
            page.uploads.uploaded({"path": str(path) if isinstance(path, Path) else path})
    with pytest.raises(UserError, match="there is no such upload"):
        page.uploads.uploaded(str(inside))
    inside.unlink()
    with pytest.raises(FaultError, match="The picture is no longer there: upload it again"):
        page.enlarge([LABEL], str(inside), None)


def test_requests_that_cannot_be_served_are_refused_with_a_message(
    page: Page, runs: Path, picture: Path, tmp_path: Path
) -> None:
    (tmp_path / "program.png").write_bytes(b"\x7fELF")
    with pytest.raises(FaultError, match="The picture cannot be read as an image") as error_info:
        page.enlarge([LABEL], str(tmp_path / "program.png"), None)
    assert error_info.value.place is Place.PICTURE
    with pytest.raises(FaultError, match="Choose a picture first, or click an example"):
        page.enlarge([LABEL], None, None)
    unknown: list[Any] = [
        ["../../etc/passwd"],
        [str(runs / LABEL)],
        [""],
        LABEL,
        [["espcn"]],
        [{"path": "x"}],
        [7],
        7,
        {},
    ]
    for labels in unknown:
        for request in (partial(page.enlarge, labels, str(picture), None), partial(page.curves, labels)):
            with pytest.raises(FaultError, match="There is no such model in the list"):
                request()
    with pytest.raises(FaultError, match="There is no such folder in the list") as error_info:
        page.board("/etc")
    assert error_info.value.place is Place.FOLDER
    small = Page(runs, max_pixels=100, device="cpu")
    with pytest.raises(FaultError, match=r"^The picture has 50x40 pixels, more than the 100 allowed\.$"):
        small.enlarge([LABEL], str(picture), None)
    small.close()
    with pytest.raises(UserError, match="no trained model in it"):
        Page(tmp_path / "nothing")


def test_curves_and_leaderboard_come_from_the_report(page: Page, runs: Path) -> None:
    assert f'<img alt="learning curves of {LABEL}" src="data:image/svg+xml;base64,' in page.curves([LABEL])
    table, plots = page.board(str(runs / "grid"))
    assert [row[0] for row in table["data"] if row[1] != "no model"] == ["mae", "mse"]
    assert plots.count("<img") == 1


def test_markup_in_names_is_escaped(runs: Path, picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (runs / LABEL).rename(runs / "grid" / "<b>&")
    page = Page(runs, device="cpu")
    enlarged = page.enlarge(["grid/<b>&"], str(picture), None)
    assert '<th scope="row">grid/&lt;b&gt;&amp;</th>' in enlarged.facts
    assert "<b>" not in enlarged.facts
    assert Path(enlarged.images["grid/<b>&"]).name == "grid_b__x2.png"
    page.close()


def test_a_note_on_the_picture_is_shown(page: Page, tmp_path: Path) -> None:
    frames = [photograph(20, 30, seed) for seed in (1, 2)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert "<p>the first of 2 frames</p>" in page.enlarge([LABEL], str(tmp_path / "a.gif"), None).facts


def test_scores_against_a_target_follow_both_protocols(page: Page, picture: Path, tmp_path: Path) -> None:
    target = photograph(80, 100, seed=3)
    target.save(tmp_path / "target.png")
    enlarged = page.enlarge([LABEL], str(picture), str(tmp_path / "target.png"))
    table = table_of(enlarged.facts)
    for name in ("bicubic", LABEL):
        sr, hr = (
            to_float(from_pil(Image.open(file)))[None] for file in (enlarged.images[name], tmp_path / "target.png")
        )
        expected = []
        for protocol in ("y", "rgb"):
            scores = {key: float(value) for key, value in score(sr, hr, Protocol(protocol), 2).items()}
            expected += [f"{scores['psnr']:.2f}", f"{scores['ssim']:.4f}"]
        assert table[name][1:] == expected


def test_a_gray_target_is_compared_like_the_same_target_in_rgb_and_its_luma_by_its_values(
    page: Page, picture: Path, tmp_path: Path
) -> None:
    photograph(80, 100, seed=3).convert("L").save(tmp_path / "gray.png")
    photograph(80, 100, seed=3).convert("L").convert("RGB").save(tmp_path / "colour.png")
    tables = [
        table_of(page.enlarge([LABEL], str(picture), str(tmp_path / f"{name}.png")).facts)
        for name in ("gray", "colour")
    ]
    for name in ("bicubic", LABEL):
        assert tables[0][name][3:] == tables[1][name][3:]
        of_values, of_luma = (float(table[name][1]) for table in tables)
        assert of_luma - of_values == pytest.approx(20 * math.log10(255 / 219), abs=0.1)  # luma spans 219 levels


def test_the_leaderboard_agrees_with_the_report(page: Page, runs: Path) -> None:
    table, _ = page.board(str(runs / "grid"))
    rows = table["data"]
    (comparison,) = find_comparisons([runs / "grid"]).comparisons
    expected = leaderboard(analyse(comparison))
    assert table["headers"] == ["configuration", "verdict", "PSNR dB", "SSIM", "gain dB", "95 % interval"]
    for cells, row in zip(rows, expected, strict=True):
        assert cells[:2] == [row.name, row.verdict]
        assert cells[2:5] == [f"{row.psnr.mean:.2f}", f"{row.ssim.mean:.4f}", f"{row.gain.mean:+.2f}"]
        assert cells[5] == interval(row.gain.interval)
    assert rows[0][4] == "+0.65"


def test_a_shipped_model_shows_its_training_command_instead_of_curves(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "small.safetensors").touch()
    (tmp_path / "none" / "small.json").write_text('{"scales": [2], "scores": [], "command": "python -m sr.train a<b"}')
    page = Page(runs, device="cpu")
    assert "<code>python -m sr.train a&lt;b</code>" in page.curves(["small"])
    page.close()


@pytest.mark.slow
def test_a_browser_enlarges_a_picture_and_shows_curves_without_other_requests(
    runs: Path,
    picture: Path,
    browser: Browser,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    pytest.importorskip("gradio", reason="needs sr-compare[demo]")
    caplog.set_level(logging.WARNING)
    page = Page(runs, device="cpu")
    settings = ("GRADIO_TEMP_DIR", "GRADIO_ANALYTICS_ENABLED")
    before = [*map(os.environ.get, settings), tempfile.tempdir]
    with launch(page, "127.0.0.1", None) as (_, address):
        tab = browser.page
        tab.goto(address)
        tab.locator("#picture input[type=file]").set_input_files(str(picture))
        tab.locator("#picture img").wait_for()
        tab.locator("#enlarge").click()
        tab.get_by_text("50 x 40 to 100 x 80, on cpu").wait_for()
        tab.locator("#slider img").first.wait_for()
        image_sizes = [(size["w"], size["h"]) for size in tab.evaluate(
            "[...document.querySelectorAll('#slider img')].map(i => ({w: i.naturalWidth, h: i.naturalHeight}))"
        )]  # fmt: skip
        assert image_sizes
        assert set(image_sizes) == {(100, 80)}
        with tab.expect_download() as download:
            tab.locator("#result a").first.click()
        download.value.save_as(tmp_path / "result.png")
        expected = Enlarger(find_model(str(runs / "grid/espcn_mae_adam")), device="cpu")(
            np.asarray(Image.open(picture))
        )
        assert Image.open(tmp_path / "result.png").size == (100, 80)
        assert np.array_equal(np.asarray(Image.open(tmp_path / "result.png")), expected)
        tab.locator("#metrics").click()
        tab.locator("#curves img").wait_for()
        assert tab.evaluate("document.querySelector('#curves img').naturalWidth") > 100
        assert [url for url in browser.requests if not url.startswith((address, "data:", "blob:"))] == []
    assert [*map(os.environ.get, settings), tempfile.tempdir] == before
    page.close()


@pytest.mark.slow
@pytest.mark.parametrize(("width", "colours"), [(1366, "light"), (1366, "dark"), (390, "light"), (390, "dark")])
def test_axe_finds_nothing_serious_in_the_demo(runs: Path, browser: Browser, width: int, colours: str) -> None:
    pytest.importorskip("gradio", reason="needs sr-compare[demo]")
    page, tab = Page(runs, device="cpu"), browser.page
    tab.set_viewport_size({"width": width, "height": 844})
    tab.emulate_media(color_scheme=colours)
    with launch(page, "127.0.0.1", None) as (_, address):
        tab.goto(address)
        tab.locator("#enlarge").click()
        tab.get_by_text("Choose a picture first, or click an example.").wait_for()
        assert axe_findings(tab) == []
        tab.locator("#example_cat").click()
        tab.locator("#picture img").wait_for()
        tab.locator("#enlarge").click()
        tab.locator("#facts table").wait_for()
        tab.locator("#slider img").first.wait_for()
        assert axe_findings(tab) == []
        assert not tab.get_by_text("Choose a picture first").is_visible()
        if width == 390:  # the result is on the screen
            tab.wait_for_function("document.querySelector('#slider').getBoundingClientRect().bottom <= innerHeight")
            assert tab.evaluate("document.documentElement.scrollWidth") <= width
        tab.get_by_role("tab", name="Leaderboard").click()
        tab.locator("#folder input").click()
        tab.get_by_role("option").first.click()
        tab.locator("#heat img").wait_for()
        assert axe_findings(tab) == []
    page.close()
