import base64
import csv
import html
import json
import re
from pathlib import Path
from typing import Any

import pytest

from sr.cli import main
from sr.errors import UserError
from sr.io.atomic import write_text
from sr.io.run_folder import RunFolder
from sr.report import figures
from sr.report.board import leaderboard
from sr.report.comparison import find_comparisons
from sr.report.page import FILES, write_report
from sr.runs.schema import Status
from tests.support.browser import Browser
from tests.support.run_folders import FINGERPRINT, RunFolders

HTML, MARKDOWN, CSV = FILES
BEST = "vdsr_mse_adam"


def write_grid(root: Path) -> None:
    """A grid of 2 x 2 x 2 cells, of which one diverged and two lose to their input."""
    run_folders = RunFolders(root)
    for model, model_gain in (("espcn", 0.0), ("vdsr", 0.5)):
        for loss, loss_penalty in (("mse", 0.0), ("mae", 0.1)):
            for optimizer, optimizer_penalty in (("adam", 0.0), ("sgd", 0.7)):
                gain = 0.5 + model_gain - loss_penalty - optimizer_penalty
                gains = [gain, gain + 0.1, gain + 0.2, gain - 0.1]
                changes: dict[str, Any] = {}
                if (model, loss, optimizer) == ("vdsr", "mae", "sgd"):
                    changes = {"status": Status.DIVERGED, "reason": "fold 1: the loss is not finite at step 7"}
                run_folders(f"{model}_{loss}_{optimizer}", gains, output_gray=110, **changes)


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    """A grid without a report."""
    write_grid(tmp_path / "runs")
    return tmp_path / "runs"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A grid with its report, shared read-only by the tests; its plots are in ``figures``."""
    root = tmp_path_factory.mktemp("report") / "runs"
    write_grid(root)
    write_report(root, root / "figures")
    return root


def html_rows(page: str) -> list[tuple[str, list[str]]]:
    """The class and cell texts of each row of all tables."""
    rows = re.findall(r"<tr(?: class=\"(\w+)\")?>(.*?)</tr>", page, re.DOTALL)
    return [(name, [html.unescape(re.sub("<.*?>", "", cell)) for cell in cells(row)]) for name, row in rows]


def cells(row: str) -> list[str]:
    return re.findall(r"<t[dh].*?>(.*?)</t[dh]>", row, re.DOTALL)


def markdown_rows(text: str) -> list[list[str]]:
    lines = re.findall(r"^\| ?(.*?) ?\|$", text, re.MULTILINE)
    return [[cell.strip() for cell in line.split("|")] for line in lines]


BOARD = [
    # gain: 1.05 in both folds, since (0 + 0.1) / 2 = (0.2 - 0.1) / 2; inputs 27.0 and 28.5, sd 1.5 / sqrt(2)
    ["1", "vdsr_mse_adam", "28.80 ± 1.06", "0.8105 ± 0.0000", "+1.05 ± 0.00", "best"],
    ["2", "vdsr_mae_adam", "28.70 ± 1.06", "0.8095 ± 0.0000", "+0.95 ± 0.00", "tie with the best"],
    ["3", "espcn_mse_adam", "28.30 ± 1.06", "0.8055 ± 0.0000", "+0.55 ± 0.00", "tie with the best"],
    ["4", "espcn_mae_adam", "28.20 ± 1.06", "0.8045 ± 0.0000", "+0.45 ± 0.00", "tie with the best"],
    ["5", "vdsr_mse_sgd", "28.10 ± 1.06", "0.8035 ± 0.0000", "+0.35 ± 0.00", "tie with the best"],
    ["", "unprocessed input", "27.75 ± 1.06", "0.8000 ± 0.0000", "+0.00", "no model"],
    ["6", "espcn_mse_sgd", "27.60 ± 1.06", "0.7985 ± 0.0000", "-0.15 ± 0.00", "LOSES TO ITS INPUT"],
    ["7", "espcn_mae_sgd", "27.50 ± 1.06", "0.7975 ± 0.0000", "-0.25 ± 0.00", "LOSES TO ITS INPUT"],
]


def test_html_and_markdown_show_the_same_leaderboard(report: Path) -> None:
    header, *html_table = [texts for _, texts in html_rows((report / HTML).read_text())][:9]
    columns = [header.index(name) for name in ("rank", "run", "PSNR dB", "SSIM", "gain dB", "verdict")]
    assert [[row[column] for column in columns] for row in html_table] == BOARD
    costs = [header.index(name) for name in ("parameters", "multiply-adds", "ms/image", "training s")]
    assert {tuple(row[column] for column in costs) for row in html_table} == {
        ("24.2 k", "1.58 G", "12.5", "60.0"),
        ("", "", "", ""),
    }
    intervals = [
        f"{row.interval.low:+.2f} to {row.interval.high:+.2f}"
        for row in leaderboard(find_comparisons(report).comparisons[0])
    ]
    assert [row[header.index("95 % interval")] for row in html_table] == intervals
    header_md, _, *markdown_table = markdown_rows((report / MARKDOWN).read_text())[:10]
    assert header_md == [name for name in header if name != "p"]
    assert markdown_table == [
        [text for name, text in zip(header, row, strict=True) if name != "p"] for row in html_table
    ]
    with (report / CSV).open() as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [row[1] for row in BOARD] + ["vdsr_mae_sgd"]
    assert [f"{float(row['gain']):+.2f}" for row in rows[:-1]] == [row[4][:5] for row in BOARD]


def test_rows_are_marked_and_sorted_by_exact_values(report: Path) -> None:
    page = (report / HTML).read_text()
    assert [name for name, _ in html_rows(page)[1:9]] == ["best", *["tie"] * 4, "baseline", "loses", "loses"]
    (first, *_, last) = re.findall(r"<tr class=\"\w+\">.*?</tr>", page, re.DOTALL)[:8]
    numbers = [float(value) for value in re.findall(r"data-value=\"(.*?)\"", first)]
    assert numbers[:3] == pytest.approx([28.8, 0.8105, 1.05])
    assert numbers[4:] == [2, 24_195, 1_579_155_456, 12.5, 60]  # the best run has no p and is sorted last
    assert 0.05 <= float(re.findall(r"data-value=\"(.*?)\"", last)[4]) <= 1


def test_p_values_have_two_digits(report: Path) -> None:
    header, *rows = [texts for _, texts in html_rows((report / HTML).read_text())][:9]
    # Six comparisons of four pairs: 6 * 2 / 2**4
    assert [row[header.index("p")] for row in rows] == ["", "0.75", "0.75", "0.75", "0.75", "", "0.75", "0.75"]


def test_notes_unfinished_runs_and_commands_are_in_both_pages(report: Path) -> None:
    page, text = html.unescape((report / HTML).read_text()), (report / MARKDOWN).read_text()
    for document, bullet in ((page, "<li>"), (text, "- ")):
        assert f"{bullet}2 of 7 runs do not beat their input" in document
        assert document.index("Unfinished runs") < document.index("fold 1: the loss is not finite at step 7")
        commands = document[document.index("How to repeat each run") :]
        assert re.findall(r"model=(\w+) loss=(\w+) optimizer=(\w+)", commands) == [
            tuple(row[1].split("_")) for row in BOARD if row[0]
        ]
        assert "ffffffffff" in commands
        assert "f" * 11 not in commands
        assert "torch 2.13.0" in commands
        assert FINGERPRINT in commands
    assert "- vdsr_mae_sgd: diverged: fold 1: the loss is not finite at step 7" in text
    assert "<li>vdsr_mae_sgd: <strong>diverged</strong>: fold 1: the loss is not finite at step 7</li>" in page
    assert "torch 2.13.0, lightning 2.6.6, Python 3.11.2" in page
    assert html_rows(page)[-1][1][-1] == "100"  # steps
    assert page.startswith("<!doctype html>")
    assert "<h2>4 images, scale 1, protocol rgb, data 01234567</h2>" in page
    assert "separate tables" not in page


def test_the_effects_of_choices_are_in_the_markdown_report(report: Path) -> None:
    rows = markdown_rows((report / MARKDOWN).read_text().partition("### Effect of each choice\n")[2])
    effects = {row[0]: row[1:] for row in rows}
    # Cells with both models: mse_adam, mse_sgd and mae_adam, each 0.5 apart. The images differ alike in all cells.
    assert effects["model: espcn"] == ["-0.25", "-0.25 to -0.25"]
    assert effects["model: vdsr"] == ["+0.25", "+0.25 to +0.25"]
    assert effects["loss: mse"] == ["+0.05", "+0.05 to +0.05"]
    assert effects["optimizer: sgd"] == ["-0.35", "-0.35 to -0.35"]
    assert len(rows) == 2 + 6


def test_all_rows_of_a_markdown_table_have_the_same_number_of_cells(report: Path) -> None:
    tables = re.findall(r"(?:^\|.*\|\n)+", (report / MARKDOWN).read_text(), re.MULTILINE)
    assert len(tables) == 2
    for table in tables:
        assert len({line.count("|") for line in table.splitlines()}) == 1


def test_the_page_is_self_contained(report: Path) -> None:
    page = (report / HTML).read_text()
    assert not re.findall(r"(?:src|href)=\"(?!data:)", page)
    assert "url(" not in page


def test_the_page_shows_the_plots_of_its_runs(report: Path) -> None:
    page = (report / HTML).read_text()
    plots = re.findall(r"<img alt=\"(\w+)\" src=\"data:image/svg\+xml;base64,(.*?)\">\s*<figcaption>(.*?)<", page)
    names = ["heat_map", "effects", "curves", "cost"]
    assert [name for name, _, _ in plots] == names
    assert [caption.partition(";")[0].partition(",")[0] for _, _, caption in plots] == [
        "Mean gain of each combination",
        "Effect of each choice",
        "Validation gain over epochs",
        "Gain against cost",
    ]
    svgs = [base64.b64decode(content).decode() for _, content, _ in plots]
    (comparison,) = find_comparisons(report).comparisons
    group = figures.cells_of(comparison.runs)
    assert svgs == [
        figures.heat_map(group),
        figures.effects(group),
        figures.curves(group),
        figures.cost(leaderboard(comparison)),
    ]
    files = {path.name: path.read_text() for path in (report / "figures").iterdir()}
    assert files == {f"1_{name}.svg": svg for name, svg in zip(names, svgs, strict=True)}


def test_crops_are_shown_with_their_error_and_psnr(report: Path) -> None:
    page = (report / HTML).read_text()
    titles = re.findall(r"<p>(\w): ([\d.]+) dB between the best and the worst run</p>", page)
    assert titles == [(name, "1.30") for name in "abcd"]
    strip = page[page.index("<p>a: 1.30") : page.index("<p>b: 1.30")]
    tiles = re.findall(r"<figure>(.*?)<figcaption>(.*?)</figcaption>", strip)
    assert [caption for _, caption in tiles] == [
        "input<br>26.00 dB",
        "vdsr_mse_adam<br>27.00 dB",
        "espcn_mse_adam<br>26.50 dB",
        "espcn_mae_sgd<br>25.70 dB",
        "target",
    ]
    assert [images.count("data:image/png") for images, _ in tiles] == [2, 2, 2, 2, 1]
    assert 'alt="error of vdsr_mse_adam"' in tiles[1][0]
    assert "amplified 4x" in page


def test_reports_are_reproducible(grid: Path) -> None:
    write_report(grid)
    before = [(grid / name).read_bytes() for name in FILES]
    write_report(grid)
    assert [(grid / name).read_bytes() for name in FILES] == before


def test_each_sweep_has_its_own_plots(run_folders: RunFolders, tmp_path: Path) -> None:
    run_folders("a/b/espcn_mse_adam", [0.1] * 4)
    run_folders("a/b/vdsr_mse_adam", [0.3] * 4)
    run_folders("c/vdsr_mse_adam", [0.2] * 4)
    run_folders("c/vdsr_mae_adam", [0.2] * 4, scale=2)
    write_report(run_folders.root, tmp_path / "new" / "figures")
    assert {path.name for path in (tmp_path / "new" / "figures").iterdir()} == {
        "1_heat_map_a_b.svg",
        "1_effects_a_b.svg",
        "1_curves_a_b.svg",
        "1_curves_c.svg",
        "1_cost.svg",
        "2_curves_c.svg",
        "2_cost.svg",
    }
    page, text = ((run_folders.root / name).read_text() for name in FILES[:2])
    assert "<figcaption>Mean gain of each combination (a/b)</figcaption>" in page
    assert "compared in separate tables" in page
    (effects,) = re.findall(r"### Effect of each choice: (.*)\n", text)
    assert effects == "a/b"
    rows = markdown_rows(text.partition("### Effect of each choice: a/b\n")[2])
    assert rows[2:4] == [["model: espcn", "-0.10", "-0.10 to -0.10"], ["model: vdsr", "+0.10", "+0.10 to +0.10"]]


def test_markup_in_names_is_escaped(run_folders: RunFolders) -> None:
    run_folders("a<b>|c_mse_adam", [0.1] * 4, command="train 'a<b>'")
    write_report(run_folders.root)
    page = (run_folders.root / HTML).read_text()
    assert "a<b>" not in page
    assert "a&lt;b&gt;|c_mse_adam" in page
    assert "a<b>\\|c_mse_adam" in (run_folders.root / MARKDOWN).read_text()


def test_runs_without_versions_or_cost_have_a_report(run_folders: RunFolders) -> None:
    run_folders("espcn_mse_adam", [0.1] * 4, versions={}, ms_per_image=None, git_commit=None, command=None)
    write_report(run_folders.root)
    page, text = ((run_folders.root / name).read_text() for name in FILES[:2])
    assert "torch unknown, lightning unknown, Python unknown" in page
    assert "(commit unknown, torch unknown" in text


def test_scores_on_other_data_sets_have_a_table_each(run_folders: RunFolders) -> None:
    for model, psnr in (("espcn", 36.5), ("vdsr", 37.5)):
        folder = RunFolder(run_folders(f"{model}_mse_adam", [0.1] * 4)).evaluations
        folder.mkdir()
        scores = {"data": "Set5", "scale": 2, "protocol": "y", "ssim": 0.9, "images": 5}
        rows = [{**scores, "model": name, "psnr": value} for name, value in ((model, psnr), ("bicubic", 33.7))]
        rows.append({**scores, "model": "lanczos", "psnr": 36.9, "ssim": 0.95})
        write_text(folder / "set5.json", json.dumps(rows))
        write_text(folder / "rgb.json", json.dumps([rows[0] | {"protocol": "rgb", "images": 4}]))
    write_report(run_folders.root)
    page, text = ((run_folders.root / name).read_text() for name in FILES[:2])
    titles = ["Set5, scale 2, protocol rgb", "Set5, scale 2, protocol y"]
    assert re.findall(r"## Other data sets: (.*)", text) == titles
    assert re.findall(r"<h2>Other data sets: (.*)</h2>", page) == titles
    expected = [
        ["vdsr_mse_adam", "37.50", "0.9000", "5"],
        ["lanczos", "36.90", "0.9500", "5"],
        ["espcn_mse_adam", "36.50", "0.9000", "5"],
        ["bicubic", "33.70", "0.9000", "5"],
    ]
    assert markdown_rows(text.partition("Other data sets: Set5, scale 2, protocol y")[2])[2:6] == expected
    html_table = html_rows(page.partition("Other data sets: Set5, scale 2, protocol y")[2])[1:5]
    assert [texts for _, texts in html_table] == expected
    assert [name for name, _ in html_table] == ["run", "baseline", "run", "baseline"]


def test_damaged_samples_are_listed_and_the_rest_is_reported(grid: Path) -> None:
    path = RunFolder(grid / "espcn_mse_adam").samples
    path.write_bytes(path.read_bytes()[:60])
    (problem,) = write_report(grid).problems
    assert "espcn_mse_adam/samples.png: left out" in problem
    assert f'<p class="problem">⚠ {grid}' in (grid / HTML).read_text()
    assert "## Left out\n\n- " in (grid / MARKDOWN).read_text()


def test_the_command_prints_what_it_wrote_and_left_out(grid: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["report", str(grid)])
    out = capsys.readouterr().out
    assert "7 runs on 4 images, scale 1, protocol rgb" in out
    assert f"{grid / 'report.html'}" in out
    RunFolder(grid / "espcn_mse_sgd").result.write_text("{")
    with pytest.raises(SystemExit) as exit_info:
        main(["report", str(grid)])
    assert exit_info.value.code == 1
    captured = capsys.readouterr()
    assert "6 runs on 4 images" in captured.out
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1


def test_a_folder_without_runs_is_refused_in_one_line_and_gets_no_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main(["report", str(tmp_path)])
    assert exit_info.value.code == 2
    assert capsys.readouterr().err.startswith(f"error: {tmp_path}: no finished run in it")
    with pytest.raises(UserError, match="no such folder"):
        write_report(tmp_path / "none")
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_is_named_in_the_error(run_folders: RunFolders) -> None:
    run_folders("espcn_mse_adam", [0.1] * 4)
    (run_folders.root / MARKDOWN).mkdir()
    with pytest.raises(UserError, match=rf"{MARKDOWN}.*: cannot be written \("):
        write_report(run_folders.root)


@pytest.mark.slow
def test_chromium_shows_the_page_without_requests_and_sorts_the_table(report: Path, browser: Browser) -> None:
    page, page_uri = browser.page, (report / HTML).as_uri()
    page.goto(page_uri)
    page.wait_for_load_state("networkidle")
    loaded = page.evaluate("[...document.images].map(image => image.complete && image.naturalWidth > 0)")
    assert len(loaded) == 4 + 4 * 9
    assert all(loaded)
    rows = page.locator("table.leaderboard tbody tr")

    def names() -> list[str]:
        return [row.split("\t")[1] for row in rows.all_inner_texts()]

    board = [row[1] for row in BOARD]
    assert names() == board
    gain = page.locator("table.leaderboard th", has_text="gain dB")
    gain.click()
    assert names() == board
    gain.click()
    assert names() == board[::-1]
    page.locator("table.leaderboard th", has_text="run").click()
    assert names() == sorted(board, reverse=True)
    assert [url for url in browser.requests if not url.startswith("data:")] == [page_uri]
    assert not browser.errors
