"""The report on a search: Optuna's plots of its study, and a table of all trials."""

import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import optuna
from optuna import visualization
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState
from plotly.graph_objects import Figure

from hydra_plugins.sr_optuna.errors import SearchError
from hydra_plugins.sr_optuna.reading import open_search
from sr.errors import UserError
from sr.io.atomic import write_text
from sr.report.formats import templates

FILE = "search.html"

_PLOTS: tuple[Callable[..., Figure], ...] = (
    visualization.plot_optimization_history,
    visualization.plot_param_importances,
    visualization.plot_slice,
    visualization.plot_parallel_coordinate,
)


@dataclass(frozen=True)
class SearchSummary:
    """The state of a search.

    Attributes:
        counts: number of trials by state.
        best: the best trial, or the trials on the Pareto front; empty if none is complete.
        hours: total duration of all trials.
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
            summary = _summary(study)
            page = (
                templates()
                .get_template("search.html")
                .render(
                    title=folder.resolve().name,
                    summary=summary,
                    figures=_figures(study),
                    directions=[direction.name.lower() for direction in study.directions],
                    parameters=sorted({name for trial in study.trials for name in trial.params}),
                    trials=sorted(study.trials, key=_sort_key(study)),
                )
            )
    except SearchError as error:
        raise UserError(str(error)) from error
    write_text(folder / FILE, page)
    return summary


def _summary(study: Study) -> SearchSummary:
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
        hours=sum(trial.duration.total_seconds() for trial in trials if trial.duration) / 3600,
        saved=1 - steps / steps_without_pruning if steps_without_pruning and pruned else 0.0,
    )


def _sort_key(study: Study) -> Callable[[FrozenTrial], tuple[float, int]]:
    """Sort key: complete trials first, the best by the first objective on top, then the others by number."""
    sign = -1 if study.directions[0] == StudyDirection.MAXIMIZE else 1

    def key(trial: FrozenTrial) -> tuple[float, int]:
        complete = trial.state == TrialState.COMPLETE
        return (sign * trial.values[0] if complete else float("inf"), trial.number)

    return key


def _figures(study: Study) -> list[str]:
    """Plots as HTML, the first including plotly.js; plots that need more trials are left out."""
    figures: list[str] = []
    for plot in _plots(study):
        try:
            figure = plot()
        except (ValueError, RuntimeError):  # a constant parameter, a single trial
            continue
        if figure.data:
            include_plotlyjs = not figures
            html = figure.to_html(full_html=False, include_plotlyjs=include_plotlyjs, config={"displaylogo": False})
            figures.append(html)
    return figures


def _plots(study: Study) -> Iterator[Callable[[], Figure]]:
    is_multi_objective = len(study.directions) > 1
    first_plot = visualization.plot_pareto_front if is_multi_objective else visualization.plot_intermediate_values
    yield partial(first_plot, study)
    for index, direction in enumerate(study.directions):
        for plot in _PLOTS:
            # Optuna computes the importances for low values, whatever the direction.
            is_negated = plot is visualization.plot_param_importances and direction == StudyDirection.MAXIMIZE
            target = partial(_value, index, -1 if is_negated else 1)
            options = {"target": target, "target_name": f"value {index}"} if is_multi_objective else {}
            yield partial(plot, study, **options)


def _value(index: int, sign: int, trial: FrozenTrial) -> float:
    """The value of an objective, times ``sign``."""
    return float(sign * trial.values[index])


@contextmanager
def _quiet_optuna() -> Iterator[None]:
    """Silence Optuna's messages about plots that need more trials and about the direction of importances."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="PedAnovaImportanceEvaluator computes")  # see `_plots`
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)
