"""The atlas in the page of a report: what it shows, links to, and says is missing."""

import html
import re

import numpy as np
import pytest

from sr.report.page import FILES, Report, write_report
from tests.support.browser import Browser
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
        ["configuration", "trained on", "bicubic", "blur", "jpeg"],
        ["bicubic", "bicubic", "◆ +1.01", "+0.61", "-1.19"],  # 0.001 dB more for each image, 0.005 for the second seed
        ["jpeg", "jpeg", "+0.41", "+0.31", "◆ +0.51"],
    ]


def test_a_photograph_counts_once_under_all_degradations(report: Report) -> None:
    joint = report.benchmarks[0].boards[0].comparison
    assert joint.label == "Set5 (bicubic), Set5 (blur), Set5 (jpeg)"
    assert (len(joint.groups), joint.photographs) == (24, 4)


def test_every_link_has_a_target(page: str) -> None:
    ids = set(re.findall(r"\bid=\"([^\"]+)\"", page))
    links = {html.unescape(link) for link in re.findall(r"href=\"#([^\"]+)\"", page)}
    assert {link for link in links if "-difficulty-photo" in link}
    assert {link for link in links if "-crops-photo" in link}
    assert not links - ids


def test_what_is_missing_is_said_with_the_command_that_fills_it(run_folders: RunFolders) -> None:
    run_folders("espcn_mse_adam", [0.5, 0.6, 0.7, 0.8], folds=None)
    report = write_report([run_folders.root])
    root = run_folders.root.as_posix()
    assert [line.command for line in report.atlas.missing] == [
        f"sr evaluate {root}/* --data DIR --degrade bicubic,blur,noise,jpeg",
        f"sr evaluate {root}/* --data DIR --metrics vif",
        f"sr evaluate {root}/* --data DIR --save outputs/",
    ]
    text = (run_folders.root / "report.md").read_text()
    assert "## Not shown" in text
    assert all(f"`{line.command}`" in text for line in report.atlas.missing)


def test_the_atlas_is_in_the_markdown_report(report: Report) -> None:
    text = report.files[FILES.index("report.md")].read_text()
    assert "| bicubic | bicubic | ◆ +1.01 (" in text
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
