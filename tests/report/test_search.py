"""The page of a search, for studies written by Optuna."""

import re
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna import Trial, TrialPruned
from optuna.trial import FrozenTrial, TrialState
from plotly.graph_objects import Figure

from hydra_plugins.sr_optuna._study import open_study, study_config
from sr.cli import main
from sr.errors import UserError
from sr.report import search
from sr.report.search import FILE, write_search
from tests.support.browser import Browser


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


def test_the_page_lists_every_trial_and_the_command_the_best(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_study(tmp_path / "search", hill, "maximize")
    summary = write_search(folder)
    assert summary.counts == {"complete": 7, "fail": 1, "pruned": 2}
    assert summary.saved == pytest.approx(1 - (7 * 4 + 2 * 2) / (9 * 4))
    (best,) = summary.best
    page = (folder / FILE).read_text()
    rows = re.findall(r"<tr><td>(\d+)</td><td>(\w+)</td>", page)
    assert {number: state for number, state in rows if state != "complete"} == {
        "3": "fail",
        "4": "pruned",
        "5": "pruned",
    }
    assert rows[0] == (str(best.number), "complete")
    assert "DivergedError: the loss is not finite at step 7" in page
    main(["search", str(folder)])
    assert f"best: trial {best.number}, {best.value:.6g}, x=" in capsys.readouterr().out


def test_several_objectives_show_a_pareto_front(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "search", height_and_cost, "maximize", "minimize")
    assert {trial.number for trial in write_search(folder).best} == set(range(10))
    assert "Pareto-front Plot" in (folder / FILE).read_text()


@pytest.mark.parametrize(("direction", "sign"), [("maximize", -1), ("minimize", 1)])
def test_complete_trials_are_sorted_from_the_best_and_precede_the_others(
    tmp_path: Path, direction: str, sign: int
) -> None:
    folder = make_study(tmp_path / "search", hill, direction)
    write_search(folder)
    with open_study(study_config(folder, None, None)) as (study, _):
        complete = [trial for trial in study.trials if trial.state == TrialState.COMPLETE]
    expected = [trial.number for trial in sorted(complete, key=lambda trial: sign * trial.values[0])] + [3, 4, 5]
    rows = re.findall(r"<tr><td>(\d+)</td><td>\w+</td>", (folder / FILE).read_text())
    assert [int(number) for number in rows] == expected


def test_hours_are_the_sum_of_all_trials(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "search", hill, "maximize")
    with open_study(study_config(folder, None, None)) as (study, _):
        seconds = [trial.duration.total_seconds() for trial in study.trials if trial.duration]
    assert len(seconds) == 10
    assert write_search(folder).hours == pytest.approx(sum(seconds) / 3600)


def test_no_compute_is_saved_without_pruning(tmp_path: Path) -> None:
    def reports(trial: Trial) -> float:
        trial.report(1.0, trial.number)
        return trial.suggest_float("x", 0, 1)

    assert write_search(make_study(tmp_path / "search", reports, "maximize")).saved == 0


def test_importances_of_a_maximised_objective_use_its_negative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    targets = []

    def importances(study: optuna.Study, **options: Callable[[FrozenTrial], float]) -> Figure:
        if "target" in options:
            targets.append(options["target"](study.trials[1]))
        return Figure()

    monkeypatch.setattr("sr.report.search.visualization.plot_param_importances", importances)
    monkeypatch.setattr(search, "_PLOTS", (importances,))
    folder = make_study(tmp_path / "search", height_and_cost, "maximize", "minimize")
    write_search(folder)
    with open_study(study_config(folder, None, None)) as (study, _):
        height, cost = study.trials[1].values
    assert targets == [-height, cost]


@pytest.mark.slow
def test_chromium_draws_every_plot_without_requests(tmp_path: Path, browser: Browser) -> None:
    folder = make_study(tmp_path / "search", hill, "maximize")
    write_search(folder)
    uri = (folder / FILE).as_uri()
    browser.page.goto(uri)
    browser.page.wait_for_function("document.querySelectorAll('.gtitle').length == 5")
    assert browser.page.locator(".gtitle").all_text_contents() == [
        "Intermediate Values Plot",
        "Optimization History Plot",
        "Hyperparameter Importances",
        "Slice Plot",
        "Parallel Coordinate Plot",
    ]
    assert browser.requests == [uri]
    assert not browser.errors


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
