"""Pictures of verdicts: differences from the best with groups that cannot be told apart, and a matrix of all pairs."""

from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from sr.report.analysis import Analysis
from sr.report.figures import HALF, STYLE, as_svg
from sr.report.labels import wrapped
from sr.report.verdicts import Verdict

_COLOURS = {  # of Okabe & Ito, pale enough for black signs
    Verdict.BETTER: "#7fc8b0",
    Verdict.WORSE: "#f0a37e",
    Verdict.EQUIVALENT: "#a9d3ee",
    Verdict.UNDECIDED: "#e6e6e6",
}
_SIGNS = {Verdict.BETTER: "+", Verdict.WORSE: "−", Verdict.EQUIVALENT: "=", Verdict.UNDECIDED: "?"}  # noqa: RUF001
_MAY_BE_BEST, _OTHER = "#0072B2", "#777777"


def differences(analysis: Analysis) -> str:
    """Differences from the best configuration with 95 % intervals; bars join groups that cannot be told apart."""
    order = list(analysis.order)
    shown = analysis.shown(analysis.against(analysis.best, analysis.score))
    groups = indistinct_groups(analysis)
    with mpl.rc_context(STYLE):
        names = [wrapped(analysis.names[number]) for number in order]
        figure = Figure((HALF, 0.9 + _height(names)), layout="constrained")
        axes, side = figure.subplots(1, 2, sharey=True, width_ratios=(6, 0.35 + 0.12 * len(groups)))
        axes.axvspan(-analysis.rope, analysis.rope, color="#0072B2", alpha=0.10, linewidth=0)
        axes.axvline(0, color="black", linewidth=0.8)
        for height, number in enumerate(order):
            colour = _MAY_BE_BEST if number in analysis.possible_bests else _OTHER
            mean, interval = shown[number]
            axes.plot([*interval], [height, height], color=colour, linewidth=2)
            axes.plot(mean, height, "o", color=colour, markersize=4)
        axes.set_yticks(range(len(order)), names)
        axes.set_ylim(len(order) - 0.5, -0.5)
        unit = analysis.metric.of
        axes.set_xlabel(f"difference from the {analysis.extreme} mean ({unit})\nshaded: too small to matter")
        for column, (first, last) in enumerate(groups):
            side.plot([column, column], [first - 0.2, last + 0.2], color="black", linewidth=2, solid_capstyle="butt")
        side.set_xlim(-0.7, max(0.7, len(groups) - 0.3))
        side.axis("off")
        return as_svg(figure)


def indistinct_groups(analysis: Analysis) -> list[tuple[int, int]]:
    """Places in the ranking, first and last, of the longest groups in which no configuration is worse than another."""
    order = analysis.order
    groups: list[tuple[int, int]] = []
    for first in range(len(order)):
        last = first
        while last + 1 < len(order) and not any(
            _is_told_apart(analysis, order[place], order[last + 1]) for place in range(first, last + 1)
        ):
            last += 1
        if last > first and (not groups or last > groups[-1][1]):
            groups.append((first, last))
    return groups


def _is_told_apart(analysis: Analysis, first: int, second: int) -> bool:
    return analysis.pairs[first, second].verdict in (Verdict.BETTER, Verdict.WORSE)


def matrix(analysis: Analysis) -> str:
    """The verdict on the configuration of each row beside that of each column."""
    order = list(analysis.order)
    size = len(order)
    names = [wrapped(f"{rank}  {analysis.names[number]}") for rank, number in enumerate(order, 1)]
    with mpl.rc_context(STYLE | {"axes.grid": False}):
        figure = Figure((HALF, 0.9 + _height(names)), layout="constrained")
        axes = figure.subplots()
        for row, first in enumerate(order):
            for column, second in enumerate(order):
                if first == second:
                    continue
                verdict = analysis.pairs[first, second].verdict
                cell = Rectangle((column - 0.48, row - 0.46), 0.96, 0.92, color=_COLOURS[verdict], linewidth=0)
                axes.add_patch(cell)
                axes.text(column, row, _SIGNS[verdict], ha="center", va="center", fontsize=9)
        axes.set_xlim(-0.5, size - 0.5)
        axes.set_ylim(size - 0.5, -0.5)
        axes.set_xticks(range(size), [str(rank) for rank in range(1, size + 1)])
        axes.set_yticks(range(size), names)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_xlabel("    ".join(f"{_SIGNS[kind]} {kind}" for kind in _COLOURS), labelpad=8)
        return as_svg(figure)


def _height(names: Sequence[str]) -> float:
    """Inches for a row of each name."""
    return len(names) * max(0.27, 0.17 * max(name.count("\n") + 1 for name in names))
