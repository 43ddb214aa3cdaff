import csv
import html
import json
import re
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sr
from sr.cli import main
from sr.errors import UserError
from sr.io.atomic import write_text
from sr.io.run_folder import RunFolder
from sr.io.samples import Crops, Square, write_samples
from sr.report import figures, verdict_figures
from sr.report.analysis import analyse
from sr.report.board import leaderboard
from sr.report.comparison import find_comparisons
from sr.report.effects import main_effects
from sr.report.page import FILES, write_report
from sr.report.statistics import Scope
from sr.report.svgs import inline_svg
from sr.runs.schema import Status
from tests.support.browser import Browser
from tests.support.run_folders import FINGERPRINT, RunFolders, data

HTML, MARKDOWN, CSV = FILES


def write_grid(root: Path) -> None:
    """A grid of 2 x 2 x 2 cells, trained three times each, of which one diverged and two lose to their input."""
    run_folders = RunFolders(root)
    for model, model_gain in (("espcn", 0.0), ("vdsr", 0.5)):
        for loss, loss_penalty in (("mse", 0.0), ("mae", 0.01)):
            for optimizer, optimizer_penalty in (("adam", 0.0), ("sgd", 0.7)):
                gain = 0.5 + model_gain - loss_penalty - optimizer_penalty
                changes: dict[str, Any] = {}
                if (model, loss, optimizer) == ("vdsr", "mae", "sgd"):
                    changes = {"status": Status.DIVERGED, "reason": "the loss is not finite at step 7"}
                for seed, shift in enumerate((-0.01, 0.0, 0.01)):
                    gains = [gain + shift + more for more in (0.0, 0.1, 0.2, -0.1)]
                    name = f"{model}_{loss}_{optimizer}_seed{seed}"
                    run_folders(name, gains, folds=None, seed=seed, output_gray=110, **changes)


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
    write_report([root], figure_folder=root / "figures", json_file=root / "numbers.json")
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


DOUBT = ", not clearly better than input"
BOARD = [
    # Inputs 26, 28, 30 and 27; gains are 0.05 above the first; trainings differ by 0.01.
    ["1", "vdsr, mse, adam", "best, as others are", "28.80 ± 0.01", "0.8105 ± 0.0001", "+1.05"],
    ["2", "vdsr, mae, adam", "equivalent to vdsr, mse, adam", "28.79 ± 0.01", "0.8104 ± 0.0001", "+1.04"],
    ["3", "espcn, mse, adam", f"worse than vdsr, mse, adam{DOUBT}", "28.30 ± 0.01", "0.8055 ± 0.0001", "+0.55"],
    ["4", "espcn, mae, adam", f"worse than vdsr, mse, adam{DOUBT}", "28.29 ± 0.01", "0.8054 ± 0.0001", "+0.54"],
    ["5", "vdsr, mse, sgd", f"worse than vdsr, mse, adam{DOUBT}", "28.10 ± 0.01", "0.8035 ± 0.0001", "+0.35"],
    ["", "input", "no model", "27.75", "0.8000", "+0.00"],
    ["6", "espcn, mse, sgd", "LOSES TO ITS INPUT", "27.60 ± 0.01", "0.7985 ± 0.0001", "-0.15"],
    ["7", "espcn, mae, sgd", "LOSES TO ITS INPUT", "27.59 ± 0.01", "0.7984 ± 0.0001", "-0.16"],
]
HEADLINE = (
    "2 of 7 configurations are the best, and equivalent, on photographs like these: vdsr, mse, adam; vdsr, mae, adam."
)


def test_html_and_markdown_show_the_same_leaderboard(report: Path) -> None:
    header, *html_table = [texts for _, texts in html_rows((report / HTML).read_text())][:9]
    columns = [header.index(name) for name in ("rank", "configuration", "verdict", "PSNR dB", "SSIM", "gain dB")]
    assert header[:4] == ["rank", "configuration", "gain dB", "verdict"]  # what a phone shows without scrolling
    shown = [[row[column] for column in columns] for row in html_table]
    assert [[*row[:5], row[5].partition(" ")[0]] for row in shown] == BOARD
    assert [row[header.index("trainings")] for row in html_table] == ["3"] * 5 + ["", "3", "3"]
    header_md, _, *markdown_table = markdown_rows((report / MARKDOWN).read_text())[:10]
    assert header_md == header
    assert markdown_table == html_table
    with (report / CSV).open() as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows[:8]] == [row[1] for row in BOARD]
    assert [f"{float(row['gain']):+.2f}" for row in rows[:8]] == [row[5] for row in BOARD]
    assert [row["status"] for row in rows[8:]] == ["diverged"] * 3


def test_the_result_comes_first(report: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert f'<p class="headline">{HEADLINE}</p>' in (report / HTML).read_text()
    assert f"**{HEADLINE}**" in (report / MARKDOWN).read_text()


def test_rows_are_marked_and_sorted_by_exact_values(report: Path) -> None:
    page = (report / HTML).read_text()
    kinds = ["best", "equivalent", "run", "run", "run", "baseline", "loses", "loses"]
    assert [name for name, _ in html_rows(page)[1:9]] == kinds
    (first, *_) = re.findall(r"<tr class=\"\w+\">.*?</tr>", page, re.DOTALL)[:8]
    numbers = [float(value) for value in re.findall(r"data-value=\"(.*?)\"", first)]
    assert numbers == pytest.approx([1.05, 28.8, 0.8105, 0, 1.05, -1])


def test_budgets_have_a_table_of_their_own(report: Path) -> None:
    budgets = html_rows((report / HTML).read_text().partition('id="s1-costs"')[2])
    header, first = budgets[0][1], budgets[1][1]
    row = dict(zip(header, first, strict=True))
    assert row["configuration"] == "vdsr, mse, adam"
    assert (row["parameters"], row["multiply-adds"], row["training s"]) == ("24.2 k", "1.58 G", "60.0")
    assert row["ms/image"] == "12.5 *"  # nobody looked whether the machine was quiet
    assert row["NTIRE score"] == "7.39"


def test_notes_unfinished_runs_and_commands_are_in_both_pages(report: Path) -> None:
    page, text = html.unescape((report / HTML).read_text()), (report / MARKDOWN).read_text()
    for document, bullet in ((page, "<li>"), (text, "- ")):
        assert f"{bullet}2 of 7 configurations do not beat their input" in document
        assert document.index("Unfinished runs") < document.index("the loss is not finite at step 7")
        commands = document[document.index("How to repeat each run") :]
        assert re.findall(r"model=(\w+) loss=(\w+) optimizer=(\w+)", commands) == [
            tuple(row[1].split(", ")) for row in BOARD if row[0] for _ in range(3)
        ]
        assert "ffffffffff" in commands
        assert "f" * 11 not in commands
        assert "torch 2.13.0" in commands
        assert FINGERPRINT in commands
    assert "- vdsr_mae_sgd_seed0: diverged: the loss is not finite at step 7" in text
    assert "<li>vdsr_mae_sgd_seed0: <strong>diverged</strong>: the loss is not finite at step 7</li>" in page
    assert "torch 2.13.0, lightning 2.6.6, Python 3.11.2" in page
    assert page.startswith("<!doctype html>")
    assert ">4 images, scale 1, protocol rgb, data 01234567</h2>" in page
    assert "separate tables" not in page


def test_the_effects_of_choices_are_in_the_markdown_report(report: Path) -> None:
    rows = markdown_rows((report / MARKDOWN).read_text().partition("### Effect of each choice\n")[2])
    effects = {row[0]: row[1:] for row in rows}
    # Cells with both models: mse_adam, mse_sgd and mae_adam, each 0.5 apart.
    assert effects["model: espcn"][0] == "-0.25"
    assert effects["model: vdsr"][0] == "+0.25"
    assert effects["optimizer: sgd"][0] == "-0.35"
    low, high = (float(end) for end in effects["model: vdsr"][1].split(" to "))
    assert 0.2 < low < 0.25 < high < 0.3
    assert len(rows) == 2 + 6


def test_every_number_of_the_page_is_in_the_json_file(report: Path) -> None:
    numbers = json.loads((report / "numbers.json").read_text())
    (table,) = numbers["tables"]
    assert {(cell["name"], cell["reason"]) for cell in numbers["unfinished"]} == {
        (f"vdsr_mae_sgd_seed{seed}", "the loss is not finite at step 7") for seed in range(3)
    }
    assert numbers["repeats"] == numbers["problems"] == []
    assert table["budgets"]["vdsr, mse, adam"]["steps"] == 100
    assert table["budgets"]["vdsr, mse, adam"]["ntire"] == pytest.approx(np.e**2)
    assert table["crops"][0]["psnr"].keys() >= {"input", "vdsr, mse, adam"}
    assert (table["scope"], table["other_scope"]["scope"]) == (Scope.LIKE_THESE, Scope.THESE)
    assert table["other_scope"]["sentence"] in html.unescape((report / HTML).read_text())
    assert table["headline"] == HEADLINE
    assert table["possible_bests"] == ["vdsr, mse, adam", "vdsr, mae, adam"]
    assert [row["name"] for row in table["rows"]] == [row[1] for row in BOARD]
    verdicts = {(pair["first"], pair["second"]): pair["verdict"] for pair in table["pairs"]}
    assert verdicts["espcn, mse, adam", "vdsr, mse, adam"] == "worse"
    assert verdicts["vdsr, mse, adam", "espcn, mse, adam"] == "better"
    assert verdicts["vdsr, mse, adam", "vdsr, mae, adam"] == "equivalent"
    assert len(verdicts) == 7 * 6 + 2 * 7
    assert table["components"]["between trainings of a configuration"] == pytest.approx(0.01)


def test_all_rows_of_a_markdown_table_have_the_same_number_of_cells(report: Path) -> None:
    tables = re.findall(r"(?:^\|.*\|\n)+", (report / MARKDOWN).read_text(), re.MULTILINE)
    assert len(tables) == 3
    for table in tables:
        assert len({line.count("|") for line in table.splitlines()}) == 1


def test_the_page_is_self_contained(report: Path) -> None:
    page = (report / HTML).read_text()
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)", page)
    assert not re.findall(r"url\((?!#)", page)


def test_the_page_shows_the_plots_of_its_runs(report: Path) -> None:
    page = (report / HTML).read_text()
    plots = re.findall(
        r"<figure class=\"plot[ \w]*\" id=\"s1-(\w+)\">.*?(<svg.*?</svg>).*?<strong>(.*?)</strong>", page, re.DOTALL
    )
    names = ["differences", "matrix", "heat_map", "effects", "curves", "cost"]
    assert [name for name, _, _ in plots] == names
    assert [title for _, _, title in plots] == [
        "Distance from the best mean.",
        "Who beats whom.",
        "Gain of each combination.",
        "What each choice is worth.",
        "Learning curves.",
        "What a gain costs.",
    ]
    (comparison,) = find_comparisons([report]).comparisons
    analysis = analyse(comparison)
    svgs = [
        verdict_figures.differences(analysis),
        verdict_figures.matrix(analysis),
        figures.heat_map(analysis),
        figures.main_effects(main_effects(analysis), "dB"),
        figures.curves(comparison.configurations),
        figures.cost(leaderboard(analysis)),
    ]
    for (name, element, title), svg in zip(plots, svgs, strict=True):
        assert element == inline_svg(svg, f"s1-{name}", title.removesuffix(".")).strip()
    files = {path.name: path.read_text() for path in (report / "figures").iterdir() if path.name[0] == "1"}
    assert files == {f"1_{name}.svg": svg for name, svg in zip(names, svgs, strict=True)}


def test_crops_are_shown_with_their_error_and_psnr(report: Path) -> None:
    page = (report / HTML).read_text()
    reasons = re.findall(r"<h4>(\w)</h4>\s*<p>.*?([\d.]+) dB between the best and the worst configuration", page)
    assert sorted(reasons) == [(name, "1.21") for name in "abcd"]
    strip = page[page.index("<h4>a</h4>") :].partition("</article>")[0]
    tiles = re.findall(r"<figure>(.*?)<figcaption>(.*?)</figcaption>", strip)
    assert [caption for _, caption in tiles] == [
        "input<br>26.00 dB",
        "vdsr, mse, adam<br>26.99 dB",
        "espcn, mse, adam<br>26.49 dB",
        "espcn, mae, sgd<br>25.78 dB",
        "target",
    ]
    assert [images.count("data:image/png") for images, _ in tiles] == [2, 2, 2, 2, 1]
    assert 'alt="error of vdsr, mse, adam"' in tiles[1][0]
    assert "amplified 4x" in page
    assert [*re.findall(r'<dialog class="(\w+)"', page)] == ["enlarged"]


def test_reports_are_reproducible(grid: Path) -> None:
    write_report([grid])
    before = [(grid / name).read_bytes() for name in FILES]
    write_report([grid])
    assert [(grid / name).read_bytes() for name in FILES] == before


def test_each_data_set_has_a_section_and_sweeps_share_it(run_folders: RunFolders, tmp_path: Path) -> None:
    run_folders("a/b/espcn_mse_adam", [0.1] * 4)
    run_folders("c/vdsr_mse_adam", [0.2] * 4)
    run_folders("c/vdsr_mae_adam", [0.2] * 4, scale=2)
    figure_folder = tmp_path / "new" / "figures"
    write_report([run_folders.root], figure_folder=figure_folder)
    names = ["1_cost", "1_curves", "1_differences", "1_effects", "1_heat_map", "1_matrix", "2_cost", "2_curves"]
    names += ["atlas1_difficulty", "atlas2_difficulty"]
    assert sorted(path.stem for path in figure_folder.iterdir()) == names
    page = (run_folders.root / HTML).read_text()
    assert "compared in separate tables" in page
    assert page.count('<p class="headline">') == 2  # the first stands at the head of the page


def test_several_folders_are_reported_where_all_of_them_lie_or_where_asked(
    run_folders: RunFolders, tmp_path: Path
) -> None:
    folders = [run_folders(f"{model}/x/{model}_mse_adam", [0.1] * 4) for model in ("espcn", "vdsr")]
    assert write_report(folders).files == [run_folders.root / name for name in FILES]
    assert write_report(folders, tmp_path / "out" / "a").files == [tmp_path / "out" / "a" / name for name in FILES]
    assert (tmp_path / "out" / "a" / HTML).read_text() == (run_folders.root / HTML).read_text()


def test_a_reference_that_does_not_exist_is_refused_with_what_does(
    grid: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main(["report", str(grid), "--reference", "srcnn"])
    assert exit_info.value.code == 2
    assert "error: --reference: no 'srcnn' in this report: use " in capsys.readouterr().err
    assert not (grid / HTML).exists()
    main(["report", str(grid), "--reference", "espcn, mse, adam", "--rope", "2"])
    assert "to espcn, mse, adam" in (grid / HTML).read_text()
    assert "7 of 7 configurations are the best, and equivalent," in capsys.readouterr().out


def test_a_reference_that_one_of_two_tables_has_is_used_there(
    run_folders: RunFolders, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    for other, fingerprint in (("vdsr", FINGERPRINT), ("edsr", FINGERPRINT[::-1])):
        for model in ("espcn", other):
            run_folders(f"{other}/{model}_mse_adam", [0.5] * 4, data=data(4, fingerprint=fingerprint))
    main(["report", str(run_folders.root), "--reference", "vdsr"])
    headings = re.findall("to (?:vdsr|input)", (run_folders.root / MARKDOWN).read_text())
    assert {"to vdsr", "to input"} <= set(headings)
    assert caplog.text.count("compared with the strongest baseline, it has no vdsr") == 1
    capsys.readouterr()


def test_markup_in_names_is_escaped(run_folders: RunFolders) -> None:
    run_folders("a<b>|c_mse_adam", [0.1] * 4, command="train 'a<b>'")
    write_report([run_folders.root])
    page = (run_folders.root / HTML).read_text()
    assert "a<b>" not in page
    assert "a&lt;b&gt;|c, mse, adam" in page
    assert "a<b>\\|c, mse, adam" in (run_folders.root / MARKDOWN).read_text()


def test_runs_without_versions_or_cost_have_a_report(run_folders: RunFolders) -> None:
    run_folders("espcn_mse_adam", [0.1] * 4, versions={}, ms_per_image=None, git_commit=None, command=None)
    write_report([run_folders.root])
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
    write_report([run_folders.root])
    page, text = ((run_folders.root / name).read_text() for name in FILES[:2])
    titles = ["Set5, scale 2, protocol rgb", "Set5, scale 2, protocol y"]
    assert re.findall(r"## Other data sets: (.*)", text) == titles
    assert re.findall(r"<h2>Other data sets: (.*)</h2>", page) == titles
    expected = [
        ["vdsr", "37.50", "0.9000", "5"],
        ["lanczos", "36.90", "0.9500", "5"],
        ["espcn", "36.50", "0.9000", "5"],
        ["bicubic", "33.70", "0.9000", "5"],
    ]
    assert markdown_rows(text.partition("Other data sets: Set5, scale 2, protocol y")[2])[2:6] == expected
    html_table = html_rows(page.partition('id="e2"')[2])[1:5]
    assert [texts for _, texts in html_table] == expected
    assert [name for name, _ in html_table] == ["run", "baseline", "run", "baseline"]


def test_damaged_samples_are_listed_and_the_rest_is_reported(grid: Path) -> None:
    path = RunFolder(grid / "espcn_mse_adam_seed0").samples
    path.write_bytes(path.read_bytes()[:60])
    (problem,) = write_report([grid]).contents.problems
    assert "espcn_mse_adam_seed0/samples.png: left out" in problem
    assert f'<p class="problem">⚠ {grid}' in (grid / HTML).read_text()
    assert "## Left out\n\n- " in (grid / MARKDOWN).read_text()


def test_the_command_prints_what_it_wrote_and_left_out(grid: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["report", str(grid)])
    out = capsys.readouterr().out
    assert out.startswith(f"4 images, scale 1, protocol rgb, data 01234567\n{HEADLINE}\n\nrank  configuration ")
    assert [line[6:23].rstrip() for line in out.splitlines()[4:12]] == [row[1] for row in BOARD]
    assert f"{grid / 'report.html'}" in out
    for seed in range(3):
        RunFolder(grid / f"espcn_mse_sgd_seed{seed}").result.write_text("{")
    with pytest.raises(SystemExit) as exit_info:
        main(["report", str(grid)])
    assert exit_info.value.code == 1
    captured = capsys.readouterr()
    assert "espcn, mse, sgd" not in captured.out
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 3


def test_compare_returns_the_leaderboards_of_the_report_and_writes_nothing(grid: Path) -> None:
    before = sorted(grid.rglob("*"))
    (board,) = sr.compare(grid, reference="espcn, mse, adam")
    assert sorted(grid.rglob("*")) == before
    assert board.headline == HEADLINE
    assert [row.name for row in board.rows] == [row[1] for row in BOARD]
    assert board.analysis.names[board.analysis.reference] == "espcn, mse, adam"
    assert str(board).startswith(f"4 images, scale 1, protocol rgb, data 01234567\n{HEADLINE}\n")
    (by_ssim,) = sr.compare(str(grid), score="ssim", rope=0.5)
    assert by_ssim.analysis.all_equivalent
    RunFolder(grid / "espcn_mse_sgd_seed0").result.write_text("{")
    with pytest.raises(UserError, match="espcn_mse_sgd_seed0"):
        sr.compare(grid)


def test_a_folder_without_runs_is_refused_in_one_line_and_gets_no_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main(["report", str(tmp_path)])
    assert exit_info.value.code == 2
    assert capsys.readouterr().err.startswith(f"error: {tmp_path}: no finished run in it")
    with pytest.raises(UserError, match="no such folder"):
        write_report([tmp_path / "none"])
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_is_named_in_the_error(run_folders: RunFolders) -> None:
    run_folders("espcn_mse_adam", [0.1] * 4)
    (run_folders.root / MARKDOWN).mkdir()
    with pytest.raises(UserError, match=rf"{MARKDOWN}.*: cannot be written \("):
        write_report([run_folders.root])


@pytest.mark.slow
def test_the_page_of_27_configurations_is_at_most_5_mb(run_folders: RunFolders) -> None:
    """As large as `experiment=showcase`, with crops of noise, which nothing compresses."""
    noise = np.random.default_rng(0)
    for number, choices in enumerate(
        product(("espcn", "autoencoder", "vdsr"), ("mse", "mae", "vgg"), ("adam", "sgd", "rmsprop"))
    ):
        gains = [1.0 - number / 30 + image / 50 for image in range(4)]
        curve = [{"epoch": epoch, "val/gain": gains[0] * epoch / 8} for epoch in range(1, 9)]
        folder = RunFolder(run_folders("_".join(choices), gains, curve=curve))
        crops = [Crops(*noise.integers(0, 256, (3, 96, 96, 3), np.uint8)) for _ in gains]
        squares = [Square(name, 0, 0, 96) for name in "abcd"]
        write_samples(folder.samples, list(zip(squares, crops, strict=True)))
    report = write_report([run_folders.root])
    assert len(report.sections[0].strips) == 4
    assert report.files[0].stat().st_size < 5e6


@pytest.mark.slow
def test_chromium_shows_the_page_without_requests_and_sorts_the_table(report: Path, browser: Browser) -> None:
    page, page_uri = browser.page, (report / HTML).as_uri()
    page.goto(page_uri)
    page.wait_for_load_state("networkidle")
    loaded = page.evaluate(
        "[...document.querySelectorAll('#s1-crops img')].map(image => image.complete && image.naturalWidth > 0)"
    )
    assert len(loaded) == 4 * (9 + 2)  # crops, errors, and the pair that is compared
    assert all(loaded)
    rows = page.locator("table.leaderboard").first.locator("tbody tr")

    def names() -> list[str]:
        return [row.split("\t")[1] for row in rows.all_inner_texts()]

    board = [row[1] for row in BOARD]
    assert names() == board
    gain = page.locator("table.leaderboard th", has_text="gain dB").first
    gain.click()
    assert names() == board
    gain.click()
    assert names() == board[::-1]
    page.locator("table.leaderboard th", has_text="configuration").first.click()
    assert names() == sorted(board, reverse=True)
    assert [url for url in browser.requests if not url.startswith("data:")] == [page_uri]
    assert not browser.errors
