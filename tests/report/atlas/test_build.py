"""The atlas in the page of a report: what it shows, links to, and says is missing."""

import html
import math
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from sr.io.atomic import write_text
from sr.report.page import FILES, Report, write_report
from sr.terms import DEFAULT_METRICS
from tests.support.browser import Browser, axe_findings
from tests.support.evaluations import write_evaluation
from tests.support.run_folders import RunFolders

NAMES = list("abcdefgh")
MEANS = {  # gain by what was trained on and scored on; the first loses under jpeg
    "bicubic": {"bicubic": 1.0, "blur": 0.6, "jpeg": -1.2},
    "jpeg": {"bicubic": 0.4, "blur": 0.3, "jpeg": 0.5},
}


def write_scores(run_folders: RunFolders) -> None:
    """Two trainings of each of two networks, scored under three degradations on two images each of four photographs."""
    for trained_on, by_degradation in MEANS.items():
        for seed in range(2):
            run = run_folders(
                f"espcn_mse_{trained_on}_{seed}", [0.5, 0.7, 0.2, 0.9], folds=None, seed=seed, output_gray=110
            )
            for degradation, gain in by_degradation.items():
                write_evaluation(
                    run,
                    "Set5",
                    {".": gain + 0.01 * seed},
                    names=NAMES,
                    groups=[name.translate(str.maketrans("efgh", "abcd")) for name in NAMES],
                    data=f"Set5 ({degradation})",
                    fingerprint=f"{degradation}-0123456789abcdef",
                    data_set="Set5",
                    degradation=degradation,
                    degraded_by=f"{degradation}()",
                    trained_on=f"{trained_on}()",
                )


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The report of these scores, shared read-only."""
    run_folders = RunFolders(tmp_path_factory.mktemp("atlas") / "runs")
    write_scores(run_folders)
    return write_report([run_folders.root])


@pytest.fixture
def page(report: Report) -> str:
    return report.files[FILES.index("report.html")].read_text()


def test_the_matrix_marks_the_degradation_of_the_training(page: str) -> None:
    (table,) = re.findall(r"<table class=\"matrix\">(.*?)</table>", page, re.DOTALL)
    lines = re.findall("<tr>.*?</tr>", table, re.DOTALL)
    rows = [re.findall(r"<t[dh].*?>(.*?)</t[dh]>", line, re.DOTALL) for line in lines]
    texts = [[re.sub("<span.*?</span>|<.*?>", "", cell).strip() for cell in row] for row in rows]
    assert texts == [
        ["configuration", "trained on", "trainings", "bicubic", "blur", "jpeg"],
        [
            "bicubic, degrade=bicubic",
            "bicubic",
            "2",
            "◆ +1.01",
            "+0.61",
            "-1.19",
        ],  # 0.001 dB more for each image, 0.005 for the second seed
        ["jpeg, degrade=jpeg", "jpeg", "2", "+0.41", "+0.31", "◆ +0.51"],
    ]


def test_no_table_averages_over_degradations(report: Report) -> None:
    tables = [board.comparison for board in report.benchmarks[0].boards]
    assert [table.label for table in tables] == ["Set5 (bicubic)", "Set5 (blur)", "Set5 (jpeg)"]
    assert {(len(table.groups), table.photographs) for table in tables} == {(8, 4)}


def test_every_link_has_a_target(page: str) -> None:
    ids = set(re.findall(r"\bid=\"([^\"]+)\"", page))
    links = {html.unescape(link) for link in re.findall(r"href=\"#([^\"]+)\"", page)}
    assert {link for link in links if "-difficulty-photo" in link}
    assert {link for link in links if "-crops-photo" in link}
    assert not links - ids


def test_what_is_missing_is_said_with_the_command_that_fills_it(run_folders: RunFolders) -> None:
    run_folders("espcn_mse_adam", [0.5, 0.6, 0.7, 0.8], folds=None)
    report = write_report([run_folders.root])
    run = (run_folders.root / "espcn_mse_adam").as_posix()
    assert [line.command for line in report.atlas.missing] == [
        f"sr evaluate {run} --data DIR --degrade bicubic,blur,noise,jpeg",
        f"sr evaluate {run} --data DIR --metrics vif",
        f"sr evaluate {run} --data DIR --save outputs/",
    ]
    text = (run_folders.root / "report.md").read_text()
    assert "## Not shown" in text
    assert all(f"`{line.command}`" in text for line in report.atlas.missing)


def commands_of(folder: Path) -> list[str]:
    return [line.command.partition(" --")[0] for line in write_report([folder]).atlas.missing]


def test_the_commands_name_the_runs_that_were_found(run_folders: RunFolders) -> None:
    run = run_folders("espcn_mse_adam", [0.5] * 4, folds=None)
    assert set(commands_of(run)) == {f"sr evaluate {run.as_posix()}"}
    run_folders("vdsr_mse_adam", [0.5] * 4, folds=None)
    deep = RunFolders(run_folders.root / "more runs")("edsr_mse_adam", [0.5] * 4, folds=None)
    assert set(commands_of(run_folders.root)) == {
        f"sr evaluate {run_folders.root.as_posix()}/* '{deep.as_posix()}'",
    }


def test_a_set_without_a_configuration_under_all_degradations_is_named(run_folders: RunFolders) -> None:
    for model, degradation in (("espcn", "blur"), ("vdsr", "jpeg")):
        run = run_folders(f"{model}_mse_adam", [0.5] * 4, folds=None)
        write_evaluation(
            run,
            "Urban",
            {".": 1.0},
            fingerprint=f"{degradation}-0123456789abcdef",
            **{"data": f"Urban ({degradation})", "data_set": "Urban"},
            **{"degradation": degradation, "degraded_by": f"{degradation}()"},
        )
    line = write_report([run_folders.root]).atlas.missing[0]
    assert line.text.startswith("Urban, scale 1, protocol y: no configuration has the same trainings scored under all")
    assert line.command == f"sr evaluate {run_folders.root.as_posix()}/* --data DIR --degrade blur,jpeg"


def write_sets(run_folders: RunFolders, contents: Sequence[Sequence[str]], **changes: object) -> None:
    """One network on sets of one name, whose images have some contents."""
    run = run_folders("espcn_mse_adam", [0.5] * 4, folds=None)
    for number, of_set in enumerate(contents):
        names = [f"image{place}" for place in range(len(of_set))]
        about = {"data_set": "test", "degradation": "blur", "degraded_by": "blur()"} | changes
        about |= {"fingerprint": f"{number}" * 16, "contents": list(of_set)}
        write_evaluation(run, "test", {".": 1.0}, names=names, **about)


@pytest.mark.parametrize(
    ("contents", "changes"),
    [
        (["abc", "abcd"], {}),  # a folder that grew
        (["abc", "def"], {}),  # two folders of one name
        (["abc", "abc"], {"degradation": "", "degraded_by": ""}),  # two kinds of stored low resolution
    ],
    ids=["grown", "other", "stored"],
)
def test_sets_of_one_name_have_sections_of_their_own(
    run_folders: RunFolders, contents: list[str], changes: dict[str, object]
) -> None:
    write_sets(run_folders, contents, **changes)
    sections = [entry for entry in write_report([run_folders.root]).atlas.sections if not entry.panel.is_validation]
    assert [entry.panel.title for entry in sections] == [
        f"test, scale 1, protocol y [{digit * 8}]" for digit in ("0", "1")
    ]
    assert [len(entry.panel.photographs) for entry in sections] == [len(of_set) for of_set in contents]


@pytest.mark.parametrize(("contents", "photographs"), [(["abc", "def"], 6), (["abc", "abcd"], 4), (["abc", "abc"], 3)])
def test_photographs_are_counted_by_their_content(
    run_folders: RunFolders, contents: list[str], photographs: int
) -> None:
    write_sets(run_folders, contents)
    run = run_folders("vdsr_mse_adam", [0.5] * 4, folds=None)
    for path in (run_folders.root / "espcn_mse_adam" / "evaluations").iterdir():
        (run / "evaluations").mkdir(exist_ok=True)
        write_text(run / "evaluations" / path.name, path.read_text())
    joint = write_report([run_folders.root]).benchmarks[0].boards[0].comparison
    assert joint.photographs == photographs


def test_a_score_that_is_not_a_number_is_left_out_and_named(run_folders: RunFolders) -> None:
    vif = {"label": "VIF", "unit": "", "digits": 3, "higher_is_better": True, "rope": 0.005, "range": [0, None]}
    metrics = {name: asdict(info) for name, info in DEFAULT_METRICS.items()} | {"vif": vif}
    for model, value in (("espcn", 0.5), ("vdsr", math.nan)):
        run = run_folders(f"{model}_mse_adam", [0.5] * 4, folds=None)
        scores = {"psnr": [31.0, 32.0, 33.0], "ssim": [0.9] * 3, "vif": [0.5, value, 0.6]}
        base = {"psnr": [30.0, 31.0, 32.0], "ssim": [0.8] * 3, "vif": [0.4] * 3}
        write_evaluation(
            run,
            "Urban",
            {".": 1.0},
            trainings={".": scores},
            baselines={"input": base},
            metrics=metrics,
        )
    report = write_report([run_folders.root])
    (problem,) = report.contents.problems
    assert problem.endswith("Urban: not compared by it, VIF is not a number for 1 of 3 images")
    (board,) = report.benchmarks[0].boards
    assert [mean and mean.mean for mean in board.analysis.means("vif")[:2]] == [pytest.approx(1.6 / 3), None]


def test_a_training_without_psnr_is_left_out_and_named(run_folders: RunFolders) -> None:
    for model, gains in (("espcn", {"seed_0": 1.0, "seed_1": math.nan}), ("vdsr", {".": math.nan})):
        write_evaluation(run_folders(f"{model}_mse_adam", [0.5] * 4, folds=None), "Urban", gains)
    report = write_report([run_folders.root])
    (board,) = report.benchmarks[0].boards
    assert [(entry.name, len(entry.runs)) for entry in board.comparison.configurations] == [("espcn, mse, adam", 1)]
    assert any("Urban, seed_1: left out, PSNR is not a number for 3 of 3 images" in p for p in report.contents.problems)
    assert any("vdsr" in p and "Urban: left out, PSNR" in p for p in report.contents.problems)


def test_the_atlas_is_in_the_markdown_report(report: Report) -> None:
    text = report.files[FILES.index("report.md")].read_text()
    assert "| bicubic, degrade=bicubic | bicubic | 2 | ◆ +1.01 (" in text
    assert "case" in text.partition("## Weak points")[2].partition("##")[0]


def test_chromium_follows_a_point_to_its_photograph(report: Report, browser: Browser) -> None:
    browser.page.goto(report.files[FILES.index("report.html")].as_uri())
    link = browser.page.locator("a[*|href*='-difficulty-photo']").first
    target = str(link.evaluate("link => link.href.baseVal"))
    link.locator("use, path").first.dispatch_event("click")
    browser.page.wait_for_timeout(200)
    assert browser.page.locator(f"tr{target}").is_visible()
    assert np.isclose(browser.page.evaluate("document.documentElement.scrollWidth - innerWidth"), 0, atol=1)
    assert not browser.errors


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1366])
def test_axe_finds_nothing_serious_in_an_atlas(browser: Browser, report: Report, width: int, scheme: str) -> None:
    browser.page.set_viewport_size({"width": width, "height": 800})
    browser.page.emulate_media(color_scheme=scheme)
    browser.page.goto(report.files[FILES.index("report.html")].as_uri())
    browser.page.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")
    assert browser.page.locator("[id*='-difficulty']").count() > 0
    assert axe_findings(browser.page) == []
