"""The page of a search: what Optuna's own plots say of its study, and every trial."""

import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import optuna
from optuna import visualization
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from plotly.graph_objects import Figure

from hydra_plugins.sr_optuna.errors import SearchError
from hydra_plugins.sr_optuna.reading import open_search
from sr.errors import UserError
from sr.io.atomic import write_text
from sr.report.page import templates

FILE = "search.html"

_PLOTS: tuple[Callable[..., Figure], ...] = (
    visualization.plot_optimization_history,
    visualization.plot_param_importances,
    visualization.plot_slice,
    visualization.plot_parallel_coordinate,
)


@dataclass(frozen=True)
class Standing:
    """How a search stands.

    Attributes:
        counts: trials by state.
        best: the best trial, or the Pareto front; none before one is complete.
        hours: that all trials took together.
        saved: share of the epochs that pruning spared, from 0 to 1; 0 without pruning.
    """

    counts: dict[str, int]
    best: list[FrozenTrial]
    hours: float
    saved: float


def write_search(folder: Path) -> Standing:
    """Write ``search.html`` into the folder of a search: one file, nothing fetched.

    Raises:
        UserError: if the folder holds no search, or its study cannot be read.
    """
    try:
        with open_search(folder) as study:
            standing = _standing(study)
            page = (
                templates()
                .get_template("search.html")
                .render(
                    title=folder.resolve().name,
                    study=study,
                    standing=standing,
                    figures=_figures(study),
                    names=sorted({name for trial in study.trials for name in trial.params}),
                    trials=sorted(study.trials, key=_order(study)),
                )
            )
    except SearchError as error:
        raise UserError(str(error)) from error
    write_text(folder / FILE, page)
    return standing


def _standing(study: Study) -> Standing:
    trials = study.get_trials(deepcopy=False)
    done = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    pruned = [trial for trial in trials if trial.state == TrialState.PRUNED]
    whole = max((trial.last_step or 0 for trial in done), default=0)
    spent = sum(min(trial.last_step or 0, whole) for trial in [*done, *pruned])
    possible = whole * (len(done) + len(pruned))
    several = len(study.directions) > 1
    return Standing(
        counts=dict(Counter(trial.state.name.lower() for trial in trials)),
        best=study.best_trials if several else [study.best_trial] if done else [],
        hours=sum(trial.duration.total_seconds() for trial in trials if trial.duration) / 3600,
        saved=1 - spent / possible if possible and pruned else 0.0,
    )


def _order(study: Study) -> Callable[[FrozenTrial], tuple[float, int]]:
    """Complete ones first, best first by the first objective; then the others by number."""
    sign = -1 if study.directions[0].name == "MAXIMIZE" else 1

    def key(trial: FrozenTrial) -> tuple[float, int]:
        complete = trial.state == TrialState.COMPLETE
        return (sign * trial.values[0] if complete else float("inf"), trial.number)

    return key


def _figures(study: Study) -> list[str]:
    """Plots as HTML, the first with plotly's code; those that need more trials than there are stay away."""
    several = len(study.directions) > 1
    plots: list[Callable[[], Figure]]
    plots = [partial(visualization.plot_pareto_front if several else visualization.plot_intermediate_values, study)]
    for number in range(len(study.directions)):
        for plot in _PLOTS:
            turned = plot is visualization.plot_param_importances and study.directions[number].name == "MAXIMIZE"
            target = partial(_value, number, -1 if turned else 1)
            plots.append(
                partial(plot, study, **({"target": target, "target_name": f"value {number}"} if several else {}))
            )
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", message="PedAnovaImportanceEvaluator computes")  # _value knows
    pages: list[str] = []
    for plot in plots:
        try:
            figure = plot()
        except (ValueError, RuntimeError):  # a parameter that never varied, a single trial
            continue
        if not figure.data:
            continue
        code = not pages
        pages.append(figure.to_html(full_html=False, include_plotlyjs=code, config={"displaylogo": False}))
    return pages


def _value(number: int, sign: int, trial: FrozenTrial) -> float:
    """An objective as a plot wants it: importances are those for a low value, whatever the direction."""
    return float(sign * trial.values[number])
