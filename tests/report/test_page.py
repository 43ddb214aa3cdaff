import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest

from sr.cli import main
from sr.errors import UserError
from sr.io.atomic import write_text
from sr.report.page import FILES, write_report
from tests.support.browser import Browser
from tests.support.run_folders import RunFolders


@pytest.fixture
def grid(run_folders: RunFolders) -> Path:
    """A grid of 2 x 2 x 2 cells, one of them diverged, one losing to its input."""
    for model, better in (("espcn", 0.0), ("vdsr", 0.5)):
        for loss, worse in (("mse", 0.0), ("mae", 0.1)):
            for optimizer, much_worse in (("adam", 0.0), ("sgd", 0.7)):
                gain = 0.5 + better - worse - much_worse
                gains = [gain, gain + 0.1, gain + 0.2, gain - 0.1]
                changes: dict[str, Any] = {}
                if (model, loss, optimizer) == ("vdsr", "mae", "sgd"):
                    changes = {"status": "diverged", "reason": "fold 1: the loss is not finite at step 7"}
                run_folders(f"{model}_{loss}_{optimizer}", gains, samples=True, **changes)
    return run_folders.root


def test_a_report_is_three_files_that_agree(grid: Path) -> None:
    write_report(grid)
    page, text = ((grid / name).read_text() for name in FILES[:2])
    rows = list(csv.DictReader((grid / FILES[2]).open()))
    assert [row["name"] for row in rows[:2]] == ["vdsr_mse_adam", "vdsr_mae_adam"]
    assert float(rows[0]["gain"]) == pytest.approx(1.05)  # (1.05 + 1.05) / 2 over two folds
    assert rows[-1]["name"] == "vdsr_mae_sgd"
    assert rows[-1]["status"] == "diverged"
    for written in (page, text):
        assert "+1.05" in written
        assert "not finite at step 7" in written
        assert "LOSES TO ITS INPUT" in written
        assert "input, untouched" in written
        assert "python -m sr.train model=vdsr loss=mse optimizer=adam" in written
        assert "ffffffffff" in written


def test_markdown_tables_have_as_many_cells_in_every_row(grid: Path) -> None:
    write_report(grid)
    tables = re.findall(r"(?:^\|.*\|\n)+", (grid / FILES[1]).read_text(), re.MULTILINE)
    assert len(tables) == 2
    for table in tables:
        assert len({line.count("|") for line in table.splitlines()}) == 1


def test_the_page_needs_nothing_from_elsewhere(grid: Path) -> None:
    write_report(grid)
    page = (grid / FILES[0]).read_text()
    assert not re.findall(r"(?:src|href)=\"(?!data:)", page)
    assert "url(" not in page
    assert page.count("data:image/svg+xml") == 4  # heat map, effects, curves, cost
    assert page.count("data:image/png") > 10


def test_a_report_is_the_same_when_it_is_written_again_and_figures_go_where_they_are_asked(
    grid: Path, tmp_path: Path
) -> None:
    write_report(grid, tmp_path / "figures")
    before = [(grid / name).read_bytes() for name in FILES]
    write_report(grid)
    assert [(grid / name).read_bytes() for name in FILES] == before
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert names == {"1_heat_map.svg", "1_effects.svg", "1_curves.svg", "1_cost.svg"}


def test_names_with_markup_are_text(run_folders: RunFolders) -> None:
    run_folders("a<b>|c_mse_adam", [0.1] * 4)
    write_report(run_folders.root)
    assert "a<b>" not in (run_folders.root / FILES[0]).read_text()
    assert "a<b>\\|c_mse_adam" in (run_folders.root / FILES[1]).read_text()


def test_scores_on_other_images_have_a_table_for_each_set(run_folders: RunFolders) -> None:
    for model, psnr in (("espcn", 36.5), ("vdsr", 37.5)):
        folder = run_folders(f"{model}_mse_adam", [0.1] * 4) / "evaluations"
        folder.mkdir()
        about = {"data": "Set5", "scale": 2, "protocol": "y", "ssim": 0.9, "images": 5}
        rows = [{**about, "model": name, "psnr": value} for name, value in ((model, psnr), ("bicubic", 33.7))]
        write_text(folder / "set5.json", json.dumps(rows))
    write_report(run_folders.root)
    text = (run_folders.root / FILES[1]).read_text().partition("## On other images: Set5, scale 2, protocol y")[2]
    assert re.findall(r"^\| (\w+) \| ([\d.]+)", text, re.MULTILINE) == [
        ("vdsr_mse_adam", "37.50"),
        ("espcn_mse_adam", "36.50"),
        ("bicubic", "33.70"),
    ]


def test_damaged_squares_are_named_and_the_rest_reported(grid: Path) -> None:
    path = grid / "espcn_mse_adam" / "samples.png"
    path.write_bytes(path.read_bytes()[:60])
    found = write_report(grid)
    assert len(found.problems) == 1
    assert "espcn_mse_adam/samples.png: left out" in found.problems[0]


def test_the_command_says_what_it_wrote_and_what_it_left_out(grid: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["report", str(grid)])
    out = capsys.readouterr().out
    assert "7 runs on 4 images, scale 1, protocol rgb" in out
    assert f"{grid / 'report.html'}" in out
    (grid / "espcn_mse_sgd" / "result.json").write_text("{")
    with pytest.raises(SystemExit) as end:
        main(["report", str(grid)])
    assert end.value.code == 1
    captured = capsys.readouterr()
    assert "6 runs on 4 images" in captured.out
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1


def test_a_folder_without_runs_ends_with_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["report", str(tmp_path)])
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith(f"error: {tmp_path}: no run in it is done")
    with pytest.raises(UserError, match="no such folder"):
        write_report(tmp_path / "none")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_chromium_opens_the_page_asks_for_nothing_and_sorts_the_table(grid: Path, browser: Browser) -> None:
    write_report(grid)
    page, page_uri = browser.page, (grid / FILES[0]).as_uri()
    page.goto(page_uri)
    page.wait_for_load_state("networkidle")
    drawn = page.evaluate("[...document.images].map(image => image.complete && image.naturalWidth > 0)")
    first = page.locator("table.leaderboard tbody tr").first
    assert "vdsr_mse_adam" in first.inner_text()
    page.locator("table.leaderboard th", has_text="gain dB").click(click_count=2)  # down, then up
    assert "espcn_mae_sgd" in first.inner_text()
    losers = page.locator("tr.loses").count()
    assert [url for url in browser.asked if not url.startswith("data:")] == [page_uri]
    assert not browser.complaints
    assert len(drawn) > 10
    assert all(drawn)
    assert losers == 2
