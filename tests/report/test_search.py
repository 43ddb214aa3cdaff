"""The page of a search, for studies written by Optuna."""

import html
import re
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna import Trial, TrialPruned
from optuna.trial import FrozenTrial, TrialState

from hydra_plugins.sr_optuna._study import open_study, study_config
from sr.cli import main
from sr.errors import UserError
from sr.report import search_figures
from sr.report.search import FILE, write_search
from sr.runs.schema import Monitor, RunResult, Status, write_result
from tests.support.browser import Browser, axe_findings


def hill(trial: Trial) -> float:
    """Reports its height at four steps; trials 4 and 5 are pruned at the second, trial 3 fails."""
    x, kind = trial.suggest_float("x", 0, 4), trial.suggest_categorical("kind", ["a", "b"])
    value = -((x - 2) ** 2) - (kind == "b")
    for step in range(1, 5):
        trial.report(value, step)
        if step == 2 and trial.number in (4, 5):
            raise TrialPruned
    if trial.number == 3:
        trial.set_user_attr("reason", "DivergedError: the loss is not finite at step 7")
        raise ValueError
    return float(value)


def height_and_cost(trial: Trial) -> tuple[float, float]:
    """Two conflicting objectives."""
    x = trial.suggest_float("x", 0, 1)
    return x, x**2


def make_study(folder: Path, objective: Callable[[Trial], float | tuple[float, ...]], *directions: str) -> Path:
    """A search folder as written by the sweeper."""
    folder.mkdir()
    (folder / "multirun.yaml").write_text("hydra: {sweeper: {storage: null, study_name: null}}")
    with open_study(study_config(folder, None, None), directions=list(directions)) as (study, _):
        study.sampler = optuna.samplers.RandomSampler(seed=0)
        study.optimize(objective, n_trials=10, catch=ValueError)
    return folder


def trial_rows(page: str) -> list[tuple[str, str]]:
    """Number and state of each row of the table of trials."""
    return re.findall(r"<tr(?: class=\"\w+\")?><td>(\d+)</td><td class=\"text\">([\w ]+)</td>", page)


def test_the_page_lists_every_trial_and_the_command_the_best(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_study(tmp_path / "search", hill, "maximize")
    summary = write_search(folder)
    assert summary.counts == {"complete": 7, "fail": 1, "pruned": 2}
    assert summary.saved == pytest.approx(1 - (7 * 4 + 2 * 2) / (9 * 4))
    (best,) = summary.best
    page = (folder / FILE).read_text()
    rows = trial_rows(page)
    assert {number: state for number, state in rows if state != "complete"} == {
        "3": "failed",
        "4": "stopped early",
        "5": "stopped early",
    }
    assert rows[0] == (str(best.number), "complete")
    assert "DivergedError: the loss is not finite at step 7" in page
    main(["search", str(folder)])
    assert f"best: trial {best.number}, {best.value:.6g}, x=" in capsys.readouterr().out


def test_several_objectives_show_a_pareto_front(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "search", height_and_cost, "maximize", "minimize")
    assert {trial.number for trial in write_search(folder).best} == set(range(10))
    page = html.unescape((folder / FILE).read_text())
    assert "10 of 10 complete trials are on the Pareto front: no other is better in objective 1 and objective 2" in page
    titles = re.findall(r"<figcaption><strong>(.*?)\.</strong>", page)
    assert titles[0] == "objective 1 against objective 2"
    assert "objective 2 by option" in titles


@pytest.mark.parametrize(("direction", "sign"), [("maximize", -1), ("minimize", 1)])
def test_complete_trials_are_sorted_from_the_best_and_precede_the_others(
    tmp_path: Path, direction: str, sign: int
) -> None:
    folder = make_study(tmp_path / "search", hill, direction)
    write_search(folder)
    with open_study(study_config(folder, None, None)) as (study, _):
        complete = [trial for trial in study.trials if trial.state == TrialState.COMPLETE]
    expected = [trial.number for trial in sorted(complete, key=lambda trial: sign * trial.values[0])] + [3, 4, 5]
    rows = trial_rows((folder / FILE).read_text())
    assert [int(number) for number, _ in rows] == expected


def test_values_that_are_not_finite_draw_no_curves_and_no_traceback(tmp_path: Path) -> None:
    def diverges(trial: Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        trial.report(float("nan"), 1)
        trial.report(float("-inf"), 2)
        return float("-inf") if trial.number else x

    write_search(make_study(tmp_path / "search", diverges, "maximize"))
    page = (tmp_path / "search" / FILE).read_text()
    assert "Learning curves" not in page
    assert "of the trials in order" in page


def test_hours_are_the_sum_of_what_all_trials_trained(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "search", hill, "maximize")
    with open_study(study_config(folder, None, None)) as (study, _):
        seconds = [trial.duration.total_seconds() for trial in study.trials if trial.duration]
    assert len(seconds) == 10
    assert write_search(folder).hours == pytest.approx(sum(seconds) / 3600)
    (folder / "trial_0000").mkdir()
    write_result(folder / "trial_0000", RunResult(Status.DONE, {"data": {}}, seconds=7200.0))
    (folder / "trial_0000_seed24").mkdir()  # another training of the same options
    assert write_search(folder).hours == pytest.approx(2 + sum(seconds[1:]) / 3600)
    assert "<td>7200.0</td>" in (folder / FILE).read_text()


def test_no_compute_is_saved_without_pruning(tmp_path: Path) -> None:
    def reports(trial: Trial) -> float:
        trial.report(1.0, trial.number)
        return trial.suggest_float("x", 0, 1)

    assert write_search(make_study(tmp_path / "search", reports, "maximize")).saved == 0


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_importances_are_those_of_the_good_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, direction: str
) -> None:
    """Optuna computes them for low values: the negative of a maximised objective."""
    targets = []

    def shares(study: optuna.Study, target: Callable[[FrozenTrial], float]) -> dict[str, float]:
        targets.append(target(study.trials[0]))
        return {"x": 0.75, "kind": 0.25}

    monkeypatch.setattr(search_figures, "get_param_importances", shares)
    folder = make_study(tmp_path / "search", hill, direction)
    write_search(folder)
    with open_study(study_config(folder, None, None)) as (study, _):
        value = float(study.trials[0].values[0])
    assert set(targets) == {-value if direction == "maximize" else value}
    page = (folder / FILE).read_text()
    assert "x matters most (75 % of what the options explain)" in page
    assert "x matters most.</p>" in page


def test_the_page_begins_with_what_was_found(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "search", hill, "maximize")
    (best,) = write_search(folder).best
    head = (folder / FILE).read_text().partition("<main")[0]
    (headline,) = re.findall(r'<p class="headline">(.*?)</p>', head)
    assert headline.startswith(f"Trial {best.number} is the best of 7 complete trials: value {best.value:.4f} with x=")
    assert "the median trial has" in headline
    assert "<dt>trials</dt><dd>7 complete, 1 failed, 2 stopped early</dd>" in head


def test_objectives_have_the_name_and_unit_of_the_metric(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "search", hill, "maximize")
    record = RunResult(Status.DONE, {"data": {}}, monitor=Monitor("val/psnr", 30.0))
    (folder / "trial_0000").mkdir()
    write_result(folder / "trial_0000", record)
    (best,) = write_search(folder).best
    page = (folder / FILE).read_text()
    assert f"complete trials: PSNR {best.value:.2f} dB with" in page
    assert "<dt>objective</dt><dd>val/psnr, higher is better</dd>" in page
    assert "<strong>PSNR of the trials in order.</strong>" in page


def test_a_single_objective_that_is_not_monitored_has_its_own_name_and_no_curves(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "search", hill, "minimize")
    config = {"data": {}, "objectives": ["ms_per_image"]}
    (folder / "trial_0000").mkdir()
    write_result(folder / "trial_0000", RunResult(Status.DONE, config, monitor=Monitor("val/psnr", 30.0)))
    write_search(folder)
    page = (folder / FILE).read_text()
    assert "<dt>objective</dt><dd>ms_per_image, lower is better</dd>" in page
    assert "Learning curves" not in page


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_chromium_shows_every_plot_without_requests(tmp_path: Path, browser: Browser, scheme: str) -> None:
    folder = make_study(tmp_path / "search", hill, "maximize")
    write_search(folder)
    uri = (folder / FILE).as_uri()
    browser.page.emulate_media(color_scheme=scheme)
    browser.page.set_viewport_size({"width": 390, "height": 844})
    browser.page.goto(uri)
    assert browser.page.locator("figcaption strong").all_text_contents() == [
        "value of the trials in order.",
        "Learning curves.",
        "Which option matters.",
        "value by option.",
    ]
    assert browser.page.evaluate("document.documentElement.scrollWidth") == 390
    assert browser.requests == [uri]
    assert not browser.errors
    assert axe_findings(browser.page) == []


def test_a_search_without_a_complete_trial_has_a_page(tmp_path: Path) -> None:
    def fails(trial: Trial) -> float:
        raise ValueError

    folder = make_study(tmp_path / "search", fails, "maximize")
    summary = write_search(folder)
    assert not summary.best
    assert summary.counts == {TrialState.FAIL.name.lower(): 10}


def test_a_folder_without_a_search_or_a_study_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main(["search", str(tmp_path)])
    assert exit_info.value.code == 2
    assert re.fullmatch(r"error: .*: contains no search: give the hydra.sweep.dir .*\n", capsys.readouterr().err)
    (tmp_path / "multirun.yaml").write_text("hydra: {sweeper: {storage: null, study_name: null}}")
    with pytest.raises(UserError, match="the study of this search is missing"):
        write_search(tmp_path)
