"""Pictures of verdicts: differences from the best with groups that cannot be told apart, and a matrix of all pairs."""

import matplotlib as mpl
import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from sr.report.analysis import Analysis
from sr.report.figures import STYLE, as_svg
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
        figure = Figure((7.5 + 0.12 * len(groups), 0.9 + 0.27 * len(order)), layout="constrained")
        axes, side = figure.subplots(1, 2, sharey=True, width_ratios=(6, 0.35 + 0.12 * len(groups)))
        axes.axvspan(-analysis.rope, analysis.rope, color="#0072B2", alpha=0.10, linewidth=0)
        axes.axvline(0, color="black", linewidth=0.8)
        for height, number in enumerate(order):
            colour = _MAY_BE_BEST if number in analysis.possible_bests else _OTHER
            mean, interval = shown[number]
            axes.plot([*interval], [height, height], color=colour, linewidth=2)
            axes.plot(mean, height, "o", color=colour, markersize=4)
        axes.set_yticks(range(len(order)), [analysis.names[number] for number in order])
        axes.set_ylim(len(order) - 0.5, -0.5)
        unit = analysis.metric.of
        axes.set_xlabel(f"difference from the {analysis.extreme} mean ({unit}); shaded: too small to matter")
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
    order, kinds = list(analysis.order), list(_COLOURS)
    size = len(order)
    grid = np.full((size, size), np.nan)
    for row, first in enumerate(order):
        for column, second in enumerate(order):
            if first != second:
                grid[row, column] = kinds.index(analysis.pairs[first, second].verdict)
    with mpl.rc_context(STYLE | {"axes.grid": False}):
        figure = Figure((3.2 + 0.27 * size, 1.0 + 0.27 * size), layout="constrained")
        axes = figure.subplots()
        axes.imshow(grid, cmap=ListedColormap([_COLOURS[kind] for kind in kinds]), vmin=-0.5, vmax=len(kinds) - 0.5)
        for row in range(size):
            for column in range(size):
                if row != column:
                    axes.text(column, row, _SIGNS[kinds[int(grid[row, column])]], ha="center", va="center", fontsize=8)
        axes.set_xticks(range(size), [str(rank) for rank in range(1, size + 1)])
        axes.set_yticks(range(size), [f"{analysis.names[number]}  {rank}" for rank, number in enumerate(order, 1)])
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_xlabel("  ".join(f"{_SIGNS[kind]} {kind}" for kind in kinds), labelpad=8)
        return as_svg(figure)
