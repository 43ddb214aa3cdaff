"""The report on a search: what was found, plots of the trials, and a table of all of them."""

import statistics
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from hydra_plugins.sr_optuna.errors import SearchError
from hydra_plugins.sr_optuna.reading import open_search
from sr.errors import UserError
from sr.io.atomic import write_text
from sr.report.formats import short, templates
from sr.report.outline import Outline
from sr.report.search_figures import Objective, distributions_text, importances, search_plots
from sr.runs.schema import RunResult, read_result
from sr.terms import MetricInfo, metrics_of

FILE = "search.html"
_TRIAL = "trial_"  # folders, by the number of the trial

_WORDS = {
    "complete": "complete",
    "pruned": "stopped early",
    "fail": "failed",
    "running": "running",
    "waiting": "waiting",
}


@dataclass(frozen=True)
class SearchSummary:
    """The state of a search.

    Attributes:
        counts: number of trials by state.
        best: the best trial, or the trials on the Pareto front; empty if none is complete.
        hours: that all trials trained.
        saved: fraction of the epochs saved by pruning; 0 without pruning.
    """

    counts: dict[str, int]
    best: list[FrozenTrial]
    hours: float
    saved: float


def write_search(folder: Path) -> SearchSummary:
    """Write ``search.html``, a self-contained page, into the folder of a search.

    Raises:
        UserError: if the folder does not contain a search, or its study cannot be read.
    """
    try:
        with open_search(folder) as study, _quiet_optuna():
            seconds = _seconds(folder, study)
            summary = _summary(study, seconds)
            objectives = _objectives(folder, study)
            trials = sorted(study.trials, key=_sort_key(study))
            values = {
                "title": folder.resolve().name,
                "headline": _headline(study, summary, objectives),
                "about": list(_facts(study, summary, objectives)),
                "plots": search_plots(study, objectives),
                "objectives": objectives,
                "space": list(distributions_text(trials)),
                "parameters": sorted({name for trial in trials for name in trial.params}),
                "trials": trials,
                "seconds": seconds,
                "best": {trial.number for trial in summary.best},
                "words": _WORDS,
                "reasons": any(trial.user_attrs.get("reason") for trial in trials),
            }
            page = templates().get_template("search.html").render(values, outline=Outline())
    except SearchError as error:
        raise UserError(str(error)) from error
    write_text(folder / FILE, page)
    return summary


def _seconds(folder: Path, study: Study) -> dict[int, float]:
    """How long each trial trained, by its record; without one, from its beginning to its end."""
    results = {int(path.name.removeprefix(_TRIAL)): result for path, result in _results(folder)}
    seconds = {}
    for trial in study.get_trials(deepcopy=False):
        result = results.get(trial.number)
        if result and result.seconds:  # the time of the study counts waiting in a queue, and nights between two starts
            seconds[trial.number] = result.seconds
        elif trial.duration:
            seconds[trial.number] = trial.duration.total_seconds()
    return seconds


def _summary(study: Study, seconds: Mapping[int, float]) -> SearchSummary:
    trials = study.get_trials(deepcopy=False)
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    pruned = [trial for trial in trials if trial.state == TrialState.PRUNED]
    last_step = max((trial.last_step or 0 for trial in complete), default=0)
    steps = sum(min(trial.last_step or 0, last_step) for trial in [*complete, *pruned])
    steps_without_pruning = last_step * (len(complete) + len(pruned))
    is_multi_objective = len(study.directions) > 1
    return SearchSummary(
        counts=dict(Counter(trial.state.name.lower() for trial in trials)),
        best=study.best_trials if is_multi_objective else [study.best_trial] if complete else [],
        hours=sum(seconds.values()) / 3600,
        saved=1 - steps / steps_without_pruning if steps_without_pruning and pruned else 0.0,
    )


def _sort_key(study: Study) -> Callable[[FrozenTrial], tuple[float, int]]:
    """Sort key: complete trials first, the best by the first objective on top, then the others by number."""
    sign = -1 if study.directions[0] == StudyDirection.MAXIMIZE else 1

    def key(trial: FrozenTrial) -> tuple[float, int]:
        complete = trial.state == TrialState.COMPLETE
        return (sign * trial.values[0] if complete else float("inf"), trial.number)

    return key


def _objectives(folder: Path, study: Study) -> list[Objective]:
    """The objectives of a search, named by the record of any of its trials; without one, by their numbers."""
    result = next((result for _, result in _results(folder)), None)
    known = metrics_of(result.config) if result else {}
    count = len(study.directions)
    names = [f"objective {number + 1}" for number in range(count)] if count > 1 else ["value"]
    monitor = result.monitor.name if result and result.monitor else ""
    if result:
        named = list(result.config.get("objectives") or [monitor])
        names = named if len(named) == count and all(named) else names
    found = []
    for number, (name, direction) in enumerate(zip(names, study.directions, strict=True)):
        info = known.get(name.rpartition("/")[2], MetricInfo(name))
        higher = direction == StudyDirection.MAXIMIZE
        info = MetricInfo(info.label, info.unit, info.digits, higher, info.rope)
        found.append(Objective(number, name, info, is_monitored=not monitor or name == monitor))
    return found


def _results(folder: Path) -> Iterator[tuple[Path, RunResult]]:
    for path in sorted(folder.glob(f"{_TRIAL}*")):
        if not path.name.removeprefix(_TRIAL).isdecimal():  # a seed that was added to a trial
            continue
        try:
            result = read_result(path)
        except UserError:  # the trial is a row of the table all the same
            continue
        if result is not None:
            yield path, result


def _headline(study: Study, summary: SearchSummary, objectives: Sequence[Objective]) -> str:
    """What was found, in a sentence or two."""
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if not complete:
        return f"No trial is complete: {_counts(summary)}."
    if len(objectives) > 1:
        names = " and ".join(objective.info.label for objective in objectives)
        return (
            f"{len(summary.best)} of {len(complete)} complete trials are on the Pareto front: no other is better in "
            f"{names} at once."
        )
    (objective,), (best,) = objectives, summary.best
    median = objective.info.text(statistics.median(objective.of(trial) for trial in complete))
    options = ", ".join(f"{name}={short(value)}" for name, value in best.params.items())
    text = (
        f"Trial {best.number} is the best of {len(complete)} complete trials: {objective.info.label} "
        f"{objective.text(best)} with {options}; the median trial has {median}."
    )
    shares = importances(study, objective)
    return f"{text} {next(iter(shares))} matters most." if shares else text


def _facts(study: Study, summary: SearchSummary, objectives: Sequence[Objective]) -> Iterator[tuple[str, str]]:
    yield "trials", _counts(summary)
    yield (
        "objective" + "s" * (len(objectives) > 1),
        "; ".join(
            f"{entry.name}, {'higher' if entry.info.higher_is_better else 'lower'} is better" for entry in objectives
        ),
    )
    days = sorted({trial.datetime_start.date().isoformat() for trial in study.trials if trial.datetime_start})
    if days:
        yield "trained", days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    saved = f"; stopping early saved {100 * summary.saved:.0f} % of the epochs" if summary.saved else ""
    yield "time of all trials", f"{summary.hours:.2f} hours{saved}"


def _counts(summary: SearchSummary) -> str:
    return ", ".join(f"{count} {_WORDS.get(state, state)}" for state, count in summary.counts.items())


@contextmanager
def _quiet_optuna() -> Iterator[None]:
    """Silence Optuna's messages about plots that need more trials and about the direction of importances."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="PedAnovaImportanceEvaluator computes")  # see `importances`
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)
