"""The Optuna sweeper on functions with known optima: samplers, pruners, failures, kills and shared studies."""

import importlib
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import optuna
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from hydra_plugins.sr_optuna import errors
from hydra_plugins.sr_optuna._space import grid_points, parse_space
from hydra_plugins.sr_optuna._study import JOURNAL, make_sampler, open_study, study_config
from hydra_plugins.sr_optuna.errors import SearchError
from tests.support import postgres, search_app
from tests.support.searches import study_of

ROOT = Path(__file__).parents[2]
RunSearch = Callable[..., tuple[int, str]]


@pytest.fixture
def search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> RunSearch:
    """Run a search of the test app in this process; returns the exit code and the output."""

    def run(*overrides: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["search_app", *_arguments(tmp_path, overrides)])
        code = 0
        try:
            search_app.task()
        except SystemExit as error:
            code = int(error.code or 0)
        captured = capfd.readouterr()
        return code, captured.out + captured.err

    return run


def _arguments(folder: Path, overrides: Sequence[str]) -> list[str]:
    return ["-m", "hydra/sweeper=optuna", f"hydra.sweep.dir={folder / 'search'}", *overrides]


def _start(folder: Path, *overrides: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.support.search_app", *_arguments(folder, overrides)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def calls_of(folder: Path) -> Counter[str]:
    """How often each trial began and ended."""
    return Counter((folder / "search" / "calls").read_text().splitlines())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x=interval(0,1)", FloatDistribution(0.0, 1.0)),
        ("x=tag(log,interval(1e-5,1e-2))", FloatDistribution(1e-5, 1e-2, log=True)),
        ("x=interval(1,2.5)", FloatDistribution(1.0, 2.5)),
        ("x=interval(0.5,2)", FloatDistribution(0.5, 2.0)),
        ("x=int(interval(1,9))", IntDistribution(1, 9)),
        ("x=tag(log,int(interval(1,64)))", IntDistribution(1, 64, log=True)),
        ("x=range(1,8,step=2)", IntDistribution(1, 7, step=2)),
        ("x=range(3)", IntDistribution(0, 2)),
        ("x=range(0,1,step=0.25)", FloatDistribution(0.0, 0.75, step=0.25)),
        ("x=choice(2,3,4)", CategoricalDistribution([2, 3, 4])),
        ("x=a,b", CategoricalDistribution(["a", "b"])),
        ("x=true,null,'a b',[1,2]", CategoricalDistribution([True, None, "'a b'", "[1,2]"])),
    ],
)
def test_hydra_sweeps_become_distributions(text: str, expected: object) -> None:
    space = parse_space(OverridesParser.create().parse_overrides(["z=1", text]))
    assert dict(space.distributions) == {"x": expected}
    assert space.fixed == ["z=1"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x=range(3,3)", "empty"),
        ("x=interval(2,1)", "low <= high"),
        ("x=tag(log,interval(0,1))", "low > 0"),
        ("x=tag(log,range(1,9))", "cannot be logarithmic"),
    ],
)
def test_an_invalid_space_raises_an_error_that_names_it(text: str, message: str) -> None:
    with pytest.raises(SearchError, match=message) as error:
        parse_space(OverridesParser.create().parse_overrides([text]))
    assert text in str(error.value)


def test_a_grid_is_the_product_of_choices_and_ranges() -> None:
    space = parse_space(OverridesParser.create().parse_overrides(["a=x,y", "b=range(1,4)", "c=range(0,1,step=0.5)"]))
    points = grid_points(space.distributions)
    assert len(points) == 2 * 3 * 2
    assert points[0] == {"a": "x", "b": 1, "c": 0.0}
    assert points[-1] == {"a": "y", "b": 3, "c": 0.5}


@pytest.mark.parametrize("sampler", ["tpe", "random", "cmaes", "nsgaii"])
def test_points_depend_only_on_seed_and_trial_number(sampler: str) -> None:
    space: dict[str, BaseDistribution] = {"x": FloatDistribution(0.0, 1.0), "y": FloatDistribution(0.0, 1.0)}

    def points(seed: int) -> list[tuple[float, ...]]:
        study = optuna.create_study()
        sampled = []
        for number in range(40):
            study.sampler = make_sampler(sampler, None, seed, number)
            trial = study.ask(space)
            study.tell(trial, (trial.params["x"] - 0.3) ** 2 + (trial.params["y"] - 0.7) ** 2)
            sampled.append(tuple(trial.params.values()))
        return sampled

    first = points(0)
    assert len(set(first)) == 40
    assert points(0) == first
    assert not set(points(1)) & set(first)


@pytest.mark.slow
@pytest.mark.parametrize(("sampler", "tolerance"), [("tpe", 0.5), ("random", 2.0), ("cmaes", 0.5), ("nsgaii", 2.0)])
def test_each_sampler_approaches_the_optimum(search: RunSearch, tmp_path: Path, sampler: str, tolerance: float) -> None:
    space = ["x=interval(-8,8)", "y=int(interval(0,6))"]
    options = ["hydra.sweeper.sampler_options={population_size: 8}"] if sampler == "nsgaii" else []
    code, text = search(
        f"hydra.sweeper.sampler={sampler}",
        "hydra.sweeper.n_trials=40",
        *options,
        *space,
    )
    assert code == 0, text
    study = study_of(tmp_path)
    assert len(study.trials) == 40
    assert study.best_value > -(tolerance**2) - 1
    assert f"best: trial {study.best_trial.number}" in text


def test_direction_minimize(search: RunSearch, tmp_path: Path) -> None:
    code, text = search("hydra.sweeper.direction=minimize", "hydra.sweeper.n_trials=10", "x=interval(2,8)")
    assert code == 0, text
    assert study_of(tmp_path).best_value == min(value for trial in study_of(tmp_path).trials for value in trial.values)


def test_a_grid_visits_every_point_once_even_if_rerun(search: RunSearch, tmp_path: Path) -> None:
    overrides = ["hydra.sweeper.sampler=grid", "x=choice(0,2)", "y=range(2,4)", "kind=a,b"]
    code, text = search(*overrides)
    assert code == 0, text
    trials = study_of(tmp_path).trials
    assert len(trials) == len({tuple(trial.params.values()) for trial in trials}) == 8
    best = study_of(tmp_path).best_trial
    assert best.params == {"x": 2, "y": 3, "kind": "a"}
    code, text = search(*overrides)
    assert code == 0, text
    assert "8 of 8 trials: 8 complete" in text
    assert sum(calls_of(tmp_path).values()) == 16


@pytest.mark.slow
def test_a_search_space_function_can_be_conditional(search: RunSearch, tmp_path: Path) -> None:
    target = "hydra.sweeper.search_space={_target_: tests.support.search_app.conditional}"
    code, text = search("hydra.sweeper.n_trials=12", target, "x=interval(0,1)")
    assert code == 0, text
    trials = study_of(tmp_path).trials
    assert {("y" in trial.params) == (trial.params["kind"] == "deep") for trial in trials} == {True}
    assert {trial.params["kind"] for trial in trials} == {"flat", "deep"}
    flat_trial = next(trial for trial in trials if trial.params["kind"] == "flat")
    assert flat_trial.user_attrs["overrides"][-1] == "x=7.0"
    assert flat_trial.value == pytest.approx(-25 - 9)


@pytest.mark.slow
def test_two_objectives_give_the_pareto_front(search: RunSearch, tmp_path: Path) -> None:
    code, text = search(
        "hydra.sweeper.direction=[maximize,minimize]", "hydra.sweeper.n_trials=10", "x=interval(0,2)", "objectives=2"
    )
    assert code == 0, text
    study = study_of(tmp_path)
    front = {trial.number for trial in study.best_trials}
    points = {trial.number: trial.values for trial in study.trials}
    dominated = {
        number
        for number, (gain, cost) in points.items()
        for other_gain, other_cost in points.values()
        if (other_gain >= gain and other_cost <= cost) and (other_gain, other_cost) != (gain, cost)
    }
    assert front == set(points) - dominated
    assert text.count("Pareto front: trial") == len(front)
    assert text.count("train it: python -m ") == len(front)


@pytest.mark.slow
@pytest.mark.parametrize("pruner", ["median", "halving", "hyperband"])
def test_a_pruner_stops_unpromising_trials_early(search: RunSearch, tmp_path: Path, pruner: str) -> None:
    options = {"median": "n_startup_trials: 3", "halving": "min_resource: 1", "hyperband": "max_resource: 9"}[pruner]
    code, text = search(
        f"hydra.sweeper.pruner={pruner}",
        f"hydra.sweeper.pruner_options={{{options}}}",
        "hydra.sweeper.n_trials=20",
        "x=interval(2,8)",
        "steps=9",
    )
    assert code == 0, text
    pruned = [trial for trial in study_of(tmp_path).trials if trial.state == TrialState.PRUNED]
    assert pruned
    assert all(trial.intermediate_values for trial in pruned)
    assert min(len(trial.intermediate_values) for trial in pruned) < 9
    assert "pruned at step" in text


@pytest.mark.parametrize(
    ("failure", "reason"), [("raise", "ValueError: injected failure"), ("infinite", "inf"), ("none", "None")]
)
def test_a_failed_trial_is_recorded_with_its_reason_and_the_search_continues(
    search: RunSearch, tmp_path: Path, failure: str, reason: str
) -> None:
    code, text = search("hydra.sweeper.n_trials=5", "x=interval(0,4)", "failing_trials=[1,3]", f"failure={failure}")
    assert code == 0, text
    trials = study_of(tmp_path).trials
    assert [trial.state.name for trial in trials] == ["COMPLETE", "FAIL", "COMPLETE", "FAIL", "COMPLETE"]
    assert reason in trials[1].user_attrs["reason"]
    assert f"trial 1 failed: {trials[1].user_attrs['reason']}" in text
    assert "5 of 5 trials: 3 complete, 2 fail" in text


def test_consecutive_failures_end_the_search(search: RunSearch, tmp_path: Path) -> None:
    code, text = search(
        "hydra.sweeper.n_trials=9", "hydra.sweeper.max_failures=3", "x=interval(0,4)", "failing_trials=[1,2,3,4,5]"
    )
    assert code == 1
    assert "error: the last 3 trials failed, most recently with ValueError: injected failure" in text
    assert len(study_of(tmp_path).trials) == 4


@pytest.mark.slow
def test_a_completed_trial_resets_the_failure_count(search: RunSearch, tmp_path: Path) -> None:
    code, text = search(
        "hydra.sweeper.n_trials=10",
        "hydra.sweeper.max_failures=5",
        "x=interval(0,4)",
        "failing_trials=[0,1,2,3,5,6,7,8]",
    )
    assert code == 0, text
    states = [trial.state.name for trial in study_of(tmp_path).trials]
    assert states == ["FAIL"] * 4 + ["COMPLETE"] + ["FAIL"] * 4 + ["COMPLETE"]


def test_the_search_stops_at_the_failure_that_reaches_the_limit(search: RunSearch, tmp_path: Path) -> None:
    code, _ = search(
        "hydra.sweeper.n_trials=9", "hydra.sweeper.max_failures=1", "x=interval(0,4)", "failing_trials=[1]"
    )
    assert code == 1
    assert [trial.state.name for trial in study_of(tmp_path).trials] == ["COMPLETE", "FAIL"]


def test_error_classes_survive_a_reload_of_the_plugin() -> None:
    class_before = errors.SearchError
    assert importlib.reload(errors).SearchError is class_before
    with pytest.raises(errors.SearchError):
        make_sampler("no", None, 0)


def test_a_job_that_changes_the_working_directory_finds_its_study(
    search: RunSearch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, text = search("hydra.sweeper.n_trials=2", "x=interval(0,1)", "hydra.sweep.dir=search", "hydra.job.chdir=true")
    assert code == 0, text
    assert [trial.state.name for trial in study_of(tmp_path).trials] == ["COMPLETE", "COMPLETE"]
    assert [path.relative_to(tmp_path) for path in tmp_path.rglob("*.journal")] == [Path("search/study.journal")]


def test_a_job_that_cannot_be_composed_fails_only_its_trial(search: RunSearch, tmp_path: Path) -> None:
    code, text = search("hydra.sweeper.sampler=grid", "x=choice(1,'${nosuch:}',2)", "y=${x}")
    assert code == 0, text
    states = [trial.state.name for trial in study_of(tmp_path).trials]
    assert states == ["COMPLETE", "FAIL", "COMPLETE"]
    assert "nosuch" in study_of(tmp_path).trials[1].user_attrs["reason"]


def test_a_grid_has_no_duplicate_points(search: RunSearch, tmp_path: Path) -> None:
    code, text = search("hydra.sweeper.sampler=grid", "x=choice(1,1,2)")
    assert code == 0, text
    assert "2 of 2 trials" in text


@pytest.mark.slow
def test_a_process_without_trials_left_to_run_exits_normally(search: RunSearch, tmp_path: Path) -> None:
    first_process = _start(tmp_path, "hydra.sweeper.n_trials=1", "x=interval(0,1)", "seconds=3")
    _wait_for(tmp_path / "search" / "calls", "begin 0", first_process)
    code, text = search("hydra.sweeper.n_trials=1", "x=interval(0,1)", "seconds=3")
    assert code == 0, text
    assert "1 of 1 trials: 1 running" in text
    assert first_process.wait(timeout=60) == 0


def test_a_partial_journal_line_is_removed_before_the_next_write(tmp_path: Path) -> None:
    config = study_config(tmp_path, None, None)
    with open_study(config, directions=["maximize"]) as (study, _):
        study.ask()
        with (tmp_path / JOURNAL).open("ab") as file:
            file.write(b'{"op_code": 4, "wor')
        assert study.ask().number == 1
    with open_study(config) as (study, _):
        assert len(study.trials) == 2


@pytest.mark.slow
def test_a_trial_that_always_kills_its_process_eventually_fails(tmp_path: Path) -> None:
    overrides = ["hydra.sweeper.n_trials=2", "x=interval(0,4)", "failing_trials=[0]", "failure=kill"]
    codes: list[int] = []
    while len(codes) < 9:
        codes.append(_start(tmp_path, *overrides).wait(timeout=60))
        if codes[-1] == 0:
            break
    assert codes == [-signal.SIGKILL] * 5 + [0]
    first, second = study_of(tmp_path).trials
    assert first.user_attrs["reason"] == "its process died 5 times without a report"
    assert second.state == TrialState.COMPLETE


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["x=1"], "nothing to search"),
        (["x=interval(0,1)", "hydra.sweeper.sampler=grid"], "needs choice() or range(): x is an interval"),
        (["x=interval(0,1)", "hydra.sweeper.sampler=best"], "must be one of tpe, random, cmaes, nsgaii, grid"),
        (["x=interval(0,1)", "hydra.sweeper.sampler_options={no: 1}"], "sampler_options: tpe: "),
        (["x=interval(0,1)", "hydra.sweeper.pruner=no"], "must be one of none, median, halving, hyperband"),
        (["x=interval(0,1)", "hydra.sweeper.n_trials=0"], "n_trials must be at least 1"),
        (["x=interval(0,1)", "hydra.sweeper.n_jobs=0"], "n_jobs must be at least 1"),
        (["x=interval(0,1)", "hydra.sweeper.direction=up"], "must be maximize or minimize"),
        (
            ["x=interval(0,1)", "hydra.sweeper.direction=[maximize,minimize]", "hydra.sweeper.pruner=median"],
            "one objective",
        ),
        (["x=interval(0,1)", "hydra.sweeper.storage=study.txt"], "*.journal file or a database URL"),
        (["x=interval(0,1)", "hydra.sweeper.storage='postgresql://me:secret@127.0.0.1:1/no'"], "127.0.0.1"),
        (
            ["x=interval(0,1)", "hydra.sweeper.storage='nosuch://x'"],
            "use a *.journal file, sqlite:///FILE or PostgreSQL",
        ),
        (
            ["x=interval(0,1)", "hydra.sweeper.storage='postgresql://me:p@se:secret@h/x'"],
            "not a database URL",
        ),
        (["x=interval(0,1)", "hydra.sweeper.storage='postgresql://127.0.0.1:1/x?password=secret'"], "127.0.0.1"),
        (
            ["x=interval(0,1)", "hydra.sweeper.storage=$NO_SUCH_VARIABLE"],
            "this environment variable is not set",
        ),
        (["x=interval(0,1)", "hydra.sweeper.direction=null"], "must be maximize or minimize"),
        (["x=interval(0,1)", "hydra.sweeper.seed=-1"], "seed must be at least 0"),
        (["x=interval(0,1)", "hydra.sweeper.sampler_options=[a]"], "must be a mapping"),
        (["xx=interval(0,1)"], "Could not override 'xx'"),
        (["hydra.sweeper.search_space={_target_: tests.support.search_app.no}"], "tests.support.search_app.no"),
    ],
)
def test_an_invalid_option_prints_one_line(search: RunSearch, options: list[str], message: str) -> None:
    code, text = search(*options)
    assert code == 2, text
    assert message in text
    assert "Traceback" not in text
    assert "secret" not in text
    assert text.count("\n") == 1


def test_a_folder_with_a_different_search_is_rejected(search: RunSearch) -> None:
    assert search("hydra.sweeper.n_trials=2", "x=interval(0,1)")[0] == 0
    code, text = search("hydra.sweeper.n_trials=2", "x=interval(0,2)")
    assert code == 2
    assert "holds a different search, with space" in text
    code, text = search("hydra.sweeper.n_trials=2", "x=interval(0,1)", "y=1")
    assert code == 2
    assert "holds a different search, with fixed [] instead of ['y=1']" in text
    code, text = search("hydra.sweeper.n_trials=2", "x=interval(0,1)", "hydra.sweeper.direction=minimize")
    assert code == 2
    assert "holds a different search, with direction ['maximize'] instead of ['minimize']" in text
    code, text = search("hydra.sweeper.n_trials=3", "x=interval(0,1)")
    assert code == 0
    assert "3 of 3 trials" in text


def test_a_journal_with_a_partial_last_line_is_readable(search: RunSearch, tmp_path: Path) -> None:
    assert search("hydra.sweeper.n_trials=3", "x=interval(0,1)")[0] == 0
    with (tmp_path / "search" / JOURNAL).open("ab") as file:
        file.write(b'{"op_code": 4, "wor')
    code, text = search("hydra.sweeper.n_trials=4", "x=interval(0,1)")
    assert code == 0, text
    assert len(study_of(tmp_path).trials) == 4


@pytest.mark.slow
def test_an_interrupted_search_equals_an_uninterrupted_one(search: RunSearch, tmp_path: Path) -> None:
    assert search("hydra.sweeper.n_trials=14", "x=interval(0,9)")[0] == 0
    expected = [trial.params for trial in study_of(tmp_path).trials]
    (tmp_path / "search").rename(tmp_path / "uninterrupted")
    for count in (5, 6, 14):
        assert search(f"hydra.sweeper.n_trials={count}", "x=interval(0,9)")[0] == 0
    assert [trial.params for trial in study_of(tmp_path).trials] == expected


def _wait_for(path: Path, text: str, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 60
    while not (path.is_file() and text in path.read_text()):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["tpe", "grid"])
def test_a_killed_search_resumes_and_runs_the_exact_total(tmp_path: Path, sampler: str) -> None:
    overrides = [f"hydra.sweeper.sampler={sampler}", "hydra.sweeper.n_trials=8", "x=range(0,20)", "seconds=0.3"]
    killed = _start(tmp_path, *overrides)
    _wait_for(tmp_path / "search" / "calls", "begin 3", killed)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert [trial.state for trial in study_of(tmp_path).trials].count(TrialState.RUNNING) == 1

    resumed = _start(tmp_path, *overrides)
    text, _ = resumed.communicate(timeout=100)
    assert resumed.returncode == 0, text
    assert [trial.state for trial in study_of(tmp_path).trials] == [TrialState.COMPLETE] * 8
    calls = calls_of(tmp_path)
    assert [calls[f"end {number}"] for number in range(8)] == [1] * 8
    assert calls["begin 3"] == 2
    assert sum(count for call, count in calls.items() if call.startswith("begin")) == 9


def _run_two_processes(folder: Path, *options: str) -> None:
    """Run a search in two processes that share its study; each trial must run exactly once."""
    overrides = ["hydra.sweeper.n_trials=12", "x=range(0,40)", "seconds=0.1", *options]
    processes = [_start(folder, *overrides) for _ in range(2)]
    for process in processes:
        text, _ = process.communicate(timeout=150)
        assert process.returncode == 0, text
    calls = calls_of(folder)
    assert [calls[f"{event} {number}"] for number in range(12) for event in ("begin", "end")] == [1] * 24
    assert sum(calls.values()) == 24


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["random", "grid"])
def test_two_processes_share_a_journal(tmp_path: Path, sampler: str) -> None:
    _run_two_processes(tmp_path, f"hydra.sweeper.sampler={sampler}")
    study = study_of(tmp_path)
    assert len(study.trials) == 12
    assert len({trial.user_attrs["sweeper"] for trial in study.trials}) == 2
    if sampler == "grid":
        assert sorted(trial.params["x"] for trial in study.trials) == list(range(12))


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_launchers_run_trials_in_other_processes(tmp_path: Path, launcher: str) -> None:
    options = ["hydra.launcher.n_jobs=2"] if launcher == "joblib" else []
    pytest.importorskip(f"hydra_plugins.hydra_{launcher.removesuffix('_local')}_launcher")
    process = _start(
        tmp_path, f"hydra/launcher={launcher}", *options, "hydra.sweeper.n_jobs=2", "hydra.sweeper.n_trials=4",
        "x=interval(0,4)", "failing_trials=[1]",
    )  # fmt: skip
    text, _ = process.communicate(timeout=150)
    assert process.returncode == 0, text
    states = [trial.state.name for trial in study_of(tmp_path).trials]
    assert states == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    assert "trial 1 failed: ValueError: injected failure" in text


@pytest.mark.slow
def test_a_trial_whose_process_dies_does_not_affect_others(tmp_path: Path) -> None:
    process = _start(
        tmp_path, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "hydra.sweeper.n_trials=4", "x=interval(0,4)",
        "failing_trials=[1]", "failure=kill", "seconds=0.3",
    )  # fmt: skip
    text, _ = process.communicate(timeout=150)
    assert process.returncode == 0, text
    trials = study_of(tmp_path).trials
    assert [trial.state.name for trial in trials] == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    assert trials[1].user_attrs["reason"].startswith("its process died: TerminatedWorkerError")


@pytest.mark.slow
def test_hydra_lists_the_sweeper_and_its_options(search: RunSearch, monkeypatch: pytest.MonkeyPatch) -> None:
    command = [sys.executable, "-m", "tests.support.search_app", "hydra/sweeper=optuna"]
    plugins = subprocess.run([*command, "--info", "plugins"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "OptunaSweeper" in plugins.stdout
    options = subprocess.run([*command, "--cfg", "hydra"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "max_failures: 5" in options.stdout
    code = "import sys, hydra_plugins.sr_optuna.sweeper; assert 'optuna' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_the_study_opens_in_optuna(search: RunSearch, tmp_path: Path) -> None:
    assert search("hydra.sweeper.n_trials=2", "x=interval(0,1)")[0] == 0
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "search" / JOURNAL))
    study = optuna.load_study(study_name="search", storage=optuna.storages.JournalStorage(backend))
    assert len(study.trials) == 2


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """URL of a PostgreSQL server that runs during the tests of this module."""
    with postgres.server() as url:
        yield url


@pytest.mark.slow
def test_two_processes_share_a_study_in_postgresql(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUDY", database)
    _run_two_processes(tmp_path, "hydra.sweeper.storage=$STUDY", "hydra.sweeper.study_name=shared")
    assert all(b"postgresql" not in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    with open_study(study_config(tmp_path / "search", database, "shared")) as (study, _):
        assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 12
        assert len({trial.user_attrs["sweeper"] for trial in study.trials}) == 2


@pytest.mark.slow
def test_a_killed_search_in_postgresql_resumes_from_another_folder(tmp_path: Path, database: str) -> None:
    overrides = [f"hydra.sweeper.storage='{database}'", "hydra.sweeper.study_name=killed", "hydra.sweeper.n_trials=6"]
    overrides += ["x=range(0,20)", "seconds=0.3"]
    killed = _start(tmp_path / "killed", *overrides)
    _wait_for(tmp_path / "killed" / "search" / "calls", "begin 2", killed)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    resumed = _start(tmp_path / "resumed", *overrides)
    text, _ = resumed.communicate(timeout=100)
    assert resumed.returncode == 0, text
    calls = calls_of(tmp_path / "killed") + calls_of(tmp_path / "resumed")
    assert [calls[f"end {number}"] for number in range(6)] == [1] * 6
    with open_study(study_config(tmp_path, database, "killed")) as (study, _):
        assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 6


def test_a_search_logs_each_trial_and_at_the_end_the_best_and_how_to_train_it(
    search: RunSearch, tmp_path: Path
) -> None:
    stale = tmp_path / "search" / "conf" / "experiment" / "best_7.yaml"
    stale.parent.mkdir(parents=True)
    stale.touch()
    code, text = search("hydra.sweeper.sampler=grid", "x=choice(0,2,1)", "y=3")
    assert code == 0, text
    lines = [line.partition("[HYDRA] ")[2] for line in text.splitlines()]
    assert [line for line in lines if not line.startswith(("Launching", "\t"))][:6] == [
        "trial 1 of 3: -4 (best -4, trial 0)",
        "trial 2 of 3: 0 (best 0, trial 1)",
        "trial 3 of 3: -1 (best 0, trial 1)",
        "3 of 3 trials: 3 complete",
        "best: trial 1, 0, x=2",
        "train it: python -m sr.train y=3 x=2 hydra.mode=RUN",
    ]
    assert not stale.exists()


def test_each_trial_of_a_pareto_front_is_listed(search: RunSearch, tmp_path: Path) -> None:
    code, text = search(
        *("hydra.sweeper.sampler=grid", "x=choice(0,1)", "objectives=2"), "hydra.sweeper.direction=[maximize,minimize]"
    )
    assert code == 0, text
    lines = [line.partition("[HYDRA] ")[2] for line in text.splitlines()]
    assert "trial 1 of 2: 0, 1" in lines
    assert [line for line in lines if line.startswith("Pareto front")] == ["Pareto front: trial 1, 1, 0, x=1"]
