"""The plots of a search: its trials in order, their curves, which option matters, and where the good values lie."""

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.importance import get_param_importances
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from sr.report.figures import HALF, STYLE, WHOLE, as_svg
from sr.report.labels import wrapped
from sr.report.sections import Plot
from sr.terms import MetricInfo

_BLUE, _ORANGE, _GRAY = "#0072B2", "#E69F00", "#777777"
_COLUMNS = 4  # of slices
_MOST_WORSE = 4  # times as far from the median as the best, further values are cut off


@dataclass(frozen=True)
class Objective:
    """What a search improves.

    Attributes:
        number: among the objectives, from 0.
        name: as in the config.
        info: how to show it; its direction is that of the search.
        is_monitored: whether it is the score that trials report after each epoch.
    """

    number: int
    name: str
    info: MetricInfo
    is_monitored: bool = True

    def of(self, trial: FrozenTrial) -> float:
        """Its value in a complete trial."""
        return float(trial.values[self.number])

    def text(self, trial: FrozenTrial) -> str:
        """Its value in a complete trial, with its unit."""
        return self.info.text(self.of(trial))

    def digits(self, trial: FrozenTrial) -> str:
        """Its value in a complete trial, without its unit."""
        return f"{self.of(trial):.{self.info.digits}f}"

    def best(self, trials: Sequence[FrozenTrial]) -> FrozenTrial:
        """The first of the best of some complete trials."""
        return max(trials, key=lambda trial: self.of(trial) * (1 if self.info.higher_is_better else -1))


def search_plots(study: Study, objectives: Sequence[Objective]) -> list[Plot]:
    """The plots of a study; those that need more complete trials, or a finite value at an epoch, are left out."""
    trials = study.get_trials(deepcopy=False)
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    plots = [_pareto(study, objectives, complete)] if len(objectives) > 1 and complete else []
    for objective in objectives:
        if complete:
            plots.append(_history(objective, complete))
        if len(objectives) == 1 and objective.is_monitored and _reported(trials):
            plots.append(_curves(objective, trials, complete))
        if shares := importances(study, objective):
            plots.append(_importances(objective, shares))
        if complete and (varied := varied_options(complete)):
            plots.append(_slices(objective, complete, varied))
    return plots


def importances(study: Study, objective: Objective) -> dict[str, float]:
    """The share of each option in the variation of an objective, the largest first; empty with too few trials."""
    # Optuna computes the importances for low values, whatever the direction.
    sign = -1 if objective.info.higher_is_better else 1
    try:
        shares = get_param_importances(study, target=lambda trial: sign * objective.of(trial))
    except (ValueError, RuntimeError):  # a single trial, equal values
        return {}
    return shares if sum(shares.values()) > 0 else {}


def varied_options(trials: Sequence[FrozenTrial]) -> list[str]:
    """Names of the options that have several values, sorted."""
    names = sorted({name for trial in trials for name in trial.params})
    return [name for name in names if len({str(trial.params.get(name)) for trial in trials}) > 1]


def _reported(trials: Sequence[FrozenTrial]) -> list[float]:
    """The finite values of all epochs."""
    return [value for trial in trials for value in trial.intermediate_values.values() if math.isfinite(value)]


def _kind(objective: Objective, kind: str) -> str:
    return f"{kind}-{objective.number}" if objective.number else kind


def _limit(axes: Axes, objective: Objective, values: Sequence[float]) -> None:
    """Cut off values that are not finite, or so bad that they would squeeze the others."""
    sign = 1 if objective.info.higher_is_better else -1
    goodness = [sign * value for value in values if math.isfinite(value)]
    if not goodness:
        return
    median, best, worst = statistics.median(goodness), max(goodness), min(goodness)
    worst = max(worst, median - _MOST_WORSE * (best - median)) if best > median else worst
    margin = 0.06 * (best - worst) or 0.5
    axes.set_ylim(*sorted((sign * (worst - margin), sign * (best + margin))))


def _history(objective: Objective, complete: Sequence[FrozenTrial]) -> Plot:
    best_yet = [objective.best(complete[: number + 1]) for number in range(len(complete))]
    values = [objective.of(trial) for trial in complete]
    with mpl.rc_context(STYLE):
        figure = Figure((HALF, 3.4), layout="constrained")
        axes = figure.subplots()
        numbers = [trial.number for trial in complete]
        axes.plot(numbers, values, "o", color=_GRAY, markersize=4, label="complete trial")
        axes.step(numbers, [objective.of(trial) for trial in best_yet], where="post", color=_BLUE, label="best so far")
        _limit(axes, objective, values)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("trial")
        axes.set_ylabel(objective.info.heading)
        figure.legend(loc="outside upper center", ncols=2, frameon=False)
        svg = as_svg(figure)
    last = best_yet[-1]
    return Plot(
        _kind(objective, "history"),
        svg,
        f"{objective.info.label} of the trials in order",
        f"Trial {last.number} set the best value, {objective.text(last)}; {len(complete) - 1 - complete.index(last)} "
        "complete trials since have not improved it. Values far from the rest are cut off.",
    )


def _curves(objective: Objective, trials: Sequence[FrozenTrial], complete: Sequence[FrozenTrial]) -> Plot:
    best = objective.best(complete) if complete else None
    pruned = [trial for trial in trials if trial.state == TrialState.PRUNED]
    with mpl.rc_context(STYLE):
        figure = Figure((HALF, 3.4), layout="constrained")
        axes = figure.subplots()
        for label, group, colour, width in (
            ("stopped early", pruned, _ORANGE, 1.0),
            ("complete", [trial for trial in complete if trial is not best], _GRAY, 1.0),
            ("best", [best] if best else [], _BLUE, 2.2),
        ):
            for number, trial in enumerate(group):
                reported = sorted(trial.intermediate_values.items())
                steps, values = [step for step, _ in reported], [value for _, value in reported]
                shown = label if number == 0 else None
                axes.plot(steps, values, color=colour, linewidth=width, marker="o", markersize=2.5, label=shown)
        _limit(axes, objective, _reported(trials))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("epoch")
        axes.set_ylabel(objective.info.heading)
        if axes.get_legend_handles_labels()[0]:
            figure.legend(loc="outside upper center", ncols=3, frameon=False)
        svg = as_svg(figure)
    stopped = f"{len(pruned)} of {len(trials)} trials were stopped early." if pruned else "No trial was stopped early."
    return Plot("curves", svg, "Learning curves", f"{stopped} Where curves still cross at the end, so may the ranking.")


def _importances(objective: Objective, shares: dict[str, float]) -> Plot:
    names = list(reversed(shares))
    with mpl.rc_context(STYLE):
        figure = Figure((HALF, 0.8 + 0.32 * len(names)), layout="constrained")
        axes = figure.subplots()
        axes.barh(range(len(names)), [shares[name] for name in names], color=_BLUE, height=0.6)
        axes.set_yticks(range(len(names)), [wrapped(name) for name in names])
        axes.set_xlabel(f"share of the variation of {objective.info.label}")
        svg = as_svg(figure)
    first = next(iter(shares))
    return Plot(
        _kind(objective, "importances"),
        svg,
        "Which option matters",
        f"{first} matters most ({100 * shares[first]:.0f} % of what the options explain), within the ranges that were "
        "searched. An estimate from few trials is rough.",
    )


def _slices(objective: Objective, complete: Sequence[FrozenTrial], names: Sequence[str]) -> Plot:
    best = objective.best(complete)
    rows = math.ceil(len(names) / _COLUMNS)
    columns = min(len(names), _COLUMNS)
    with mpl.rc_context(STYLE):
        figure = Figure((HALF if columns < 3 else WHOLE, 0.4 + 2.9 * rows), layout="constrained")
        panels = figure.subplots(rows, columns, squeeze=False, sharey=True)
        for axes in panels.flat[len(names) :]:
            axes.set_visible(False)
        for axes, name in zip(panels.flat, names, strict=False):
            _slice(axes, objective, [trial for trial in complete if name in trial.params], name, best)
        _limit(panels[0][0], objective, [objective.of(trial) for trial in complete])
        for row in panels:
            row[0].set_ylabel(objective.info.heading)
        svg = as_svg(figure)
    return Plot(
        _kind(objective, "slices"),
        svg,
        f"{objective.info.label} by option",
        f"Each point is a complete trial; trial {best.number}, the best, is blue. If the best points lie at an end of "
        "a range, widen it.",
    )


def _slice(axes: Axes, objective: Objective, trials: Sequence[FrozenTrial], name: str, best: FrozenTrial) -> None:
    values = [trial.params[name] for trial in trials]
    is_number = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    choices = list(dict.fromkeys(map(str, sorted(values) if is_number else sorted(values, key=str))))
    few = is_number and len(choices) <= 5
    places = [choices.index(str(value)) if few or not is_number else value for value in values]
    for place, trial in sorted(zip(places, trials, strict=True), key=lambda entry: entry[1] is best):
        colour, size = (_BLUE, 7) if trial is best else (_GRAY, 4)
        axes.plot(place, objective.of(trial), "o", color=colour, markersize=size)
    if few or not is_number:
        axes.set_xticks(range(len(choices)), [wrapped(choice, 12) for choice in choices])
        axes.set_xlim(-0.5, len(choices) - 0.5)
    elif getattr(trials[0].distributions[name], "log", False):
        axes.set_xscale("log")
    axes.set_xlabel(wrapped(name))


def _pareto(study: Study, objectives: Sequence[Objective], complete: Sequence[FrozenTrial]) -> Plot:
    first, second = objectives[:2]
    front = sorted((first.of(trial), second.of(trial)) for trial in study.best_trials)
    with mpl.rc_context(STYLE):
        figure = Figure((HALF, 3.4), layout="constrained")
        axes = figure.subplots()
        points = [(first.of(trial), second.of(trial)) for trial in complete]
        axes.plot([x for x, _ in points], [y for _, y in points], "o", color=_GRAY, markersize=4)
        axes.plot([x for x, _ in front], [y for _, y in front], "o-", color=_BLUE, markersize=5, label="Pareto front")
        axes.set_xlabel(first.info.heading)
        axes.set_ylabel(second.info.heading)
        figure.legend(loc="outside upper center", frameon=False)
        svg = as_svg(figure)
    more = "" if len(objectives) == 2 else " Only the first two objectives are drawn."
    return Plot(
        "pareto",
        svg,
        f"{first.info.label} against {second.info.label}",
        f"{len(front)} of {len(complete)} complete trials are on the front (blue): no other is better in every "
        f"objective.{more}",
    )


def distributions_text(trials: Sequence[FrozenTrial]) -> Iterator[tuple[str, str]]:
    """The options that were searched, and the range or the choices of each."""
    known = {name: distribution for trial in trials for name, distribution in trial.distributions.items()}
    for name, distribution in sorted(known.items()):
        if isinstance(distribution, CategoricalDistribution):
            yield name, ", ".join(map(str, distribution.choices))
        elif isinstance(distribution, FloatDistribution | IntDistribution):
            scale = ", logarithmic" if distribution.log else ""
            yield name, f"{distribution.low:g} to {distribution.high:g}{scale}"
