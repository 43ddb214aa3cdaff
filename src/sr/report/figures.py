"""The plots of a report, each as the text of an SVG file."""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from sr.report.analysis import Analysis
from sr.report.board import Row
from sr.report.budgets import budget
from sr.report.effects import FACTORS, FactorLevel
from sr.report.labels import Point, label_points, wrapped
from sr.report.run import Configuration
from sr.report.statistics import pareto_front
from sr.runs.scores import over_trainings_by_epoch

# The palette of Okabe & Ito, whose colours colour-blind readers can tell apart.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
_ABOVE, _BELOW = "#0072B2", "#D55E00"
_GAIN = "gain over the input (dB)"
_MOST_COLUMNS = 6  # of a heat map on half of a page
_STRONGEST = 0.6  # opacity of the colour of the largest gain
HALF, WHOLE = 6.4, 12.9  # inches: half of a page, and all of it, whose scale is 96 CSS pixels an inch
STYLE: Any = {  # Any: matplotlib types its parameters by name
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "sr",  # the same numbers give the same file
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.25,
}


def heat_map(analysis: Analysis) -> str:
    """Mean gain of each configuration: one panel per model, losses as rows, optimizers as columns."""
    gains = _gains(analysis)
    models, losses, optimizers = _levels(analysis.configurations)
    # As for the cost: what is further below the input than the best is above it does not pale the rest.
    reach = (
        max(0.05, *gains.values()) if max(gains.values()) > 0 else max(0.05, *(abs(value) for value in gains.values()))
    )
    is_wide = len(models) * len(optimizers) > _MOST_COLUMNS
    with mpl.rc_context(STYLE | {"axes.grid": False}):
        figure = Figure((WHOLE if is_wide else HALF, 1.3 + 0.45 * len(losses)), layout="constrained")
        panels = figure.subplots(1, len(models), squeeze=False, sharey=True)[0]
        for panel, model in zip(panels, models, strict=True):
            grid = [[gains.get((model, loss, optimizer), math.nan) for optimizer in optimizers] for loss in losses]
            panel.set_title(wrapped(model), fontsize=9)
            panel.set_xticks(range(len(optimizers)), [wrapped(name, 14) for name in optimizers])
            panel.set_yticks(range(len(losses)), [wrapped(name) for name in losses])
            panel.set_xlim(-0.5, len(optimizers) - 0.5)
            panel.set_ylim(len(losses) - 0.5, -0.5)
            panel.tick_params(length=0)
            panel.spines[:].set_visible(False)
            for row, values in enumerate(grid):
                for column, value in enumerate(values):
                    _heat_cell(panel, column, row, value, reach)
        figure.supxlabel(_GAIN, fontsize=9)
        return as_svg(figure)


def _heat_cell(panel: Axes, column: int, row: int, value: float, reach: float) -> None:
    """Draw a gain and its colour, which is pale enough for ink on any paper; a dash for none."""
    if not math.isnan(value):
        colour, strength = _ABOVE if value >= 0 else _BELOW, _STRONGEST * min(1.0, abs(value) / reach)
        panel.add_patch(Rectangle((column - 0.48, row - 0.46), 0.96, 0.92, color=colour, alpha=strength, linewidth=0))
    text = "–" if math.isnan(value) else f"{value:+.2f}"  # noqa: RUF001
    panel.text(column, row, text, ha="center", va="center", color="black")


def main_effects(effects: Sequence[FactorLevel], unit: str) -> str:
    """Main effects of model, loss and optimizer with 95 % intervals."""
    lines = list(reversed(effects))  # the first one goes to the top
    with mpl.rc_context(STYLE):
        figure = Figure((HALF, 0.6 + 0.28 * len(lines)), layout="constrained")
        axes = figure.subplots()
        for height, effect in enumerate(lines):
            colour = _COLOURS[FACTORS.index(effect.factor)]
            axes.plot(effect.interval, [height, height], color=colour, linewidth=2)
            axes.plot(effect.mean, height, "o", color=colour)
        axes.set_yticks(range(len(lines)), [wrapped(f"{effect.factor}: {effect.level}") for effect in lines])
        axes.axvline(0, color="black", linewidth=0.8)
        axes.set_xlabel(f"difference from the mean of all choices ({unit})")
        return as_svg(figure)


def curves(configurations: Sequence[Configuration]) -> str:
    """Validation gain over epochs: one panel per model and loss, one line per configuration, coloured by optimizer.

    The band around a line is one standard deviation over its trainings, or over the folds of a single one.
    """
    models, losses, optimizers = _levels(configurations)
    with mpl.rc_context(STYLE):
        figure = Figure((WHOLE, 0.9 + 1.9 * len(losses)), layout="constrained")
        panels = figure.subplots(len(losses), len(models), squeeze=False, sharex=True, sharey=True)
        lines: list[list[float]] = []
        for configuration in configurations:
            model, loss, optimizer = configuration.cell
            axes = panels[losses.index(loss)][models.index(model)]
            colour = _COLOURS[optimizers.index(optimizer) % len(_COLOURS)]
            lines.append(_curve(axes, configuration, colour, optimizer))
        # Early epochs may lie far below the input; the comparison is about where the curves end.
        low = min([0.0, *(line[-1] for line in lines if line)])
        high = max([0.0, *(max(line) for line in lines if line)])
        panels[0][0].xaxis.set_major_locator(MaxNLocator(integer=True))
        panels[0][0].set_ylim(low - max(0.1, 0.25 * (high - low)), high + max(0.05, 0.1 * (high - low)))
        for row, loss in enumerate(losses):
            for column, model in enumerate(models):
                panels[row][column].axhline(0, color="black", linewidth=0.8, linestyle="--")
                panels[row][column].set_title(wrapped(f"{model}, {loss}"), fontsize=9)
        handles = {str(line.get_label()): line for row in panels for axes in row for line in axes.get_lines()}
        legend = {label: line for label, line in handles.items() if not label.startswith("_")}
        figure.legend(list(legend.values()), list(legend), loc="outside upper center", ncols=len(legend), frameon=False)
        figure.supxlabel("epoch", fontsize=9)
        figure.supylabel(_GAIN, fontsize=9)
        return as_svg(figure)


def _curve(axes: Axes, configuration: Configuration, colour: str, label: str) -> list[float]:
    """Draw the curve of a configuration; returns its gains."""
    curves = [run.curve for run in configuration.runs]
    curve = curves[0] if len(curves) == 1 else over_trainings_by_epoch(curves)
    points = [(row["epoch"], row["val/gain"], row.get("val/gain_sd", 0.0)) for row in curve if "val/gain" in row]
    if not points:
        return []
    epochs, means, spreads = (np.array(column) for column in zip(*points, strict=True))
    axes.plot(epochs, means, color=colour, label=label, marker="o", markersize=3)
    axes.fill_between(epochs, means - spreads, means + spreads, color=colour, alpha=0.18, linewidth=0)
    return [float(value) for value in means]


def cost(rows: Sequence[Row]) -> str:
    """Gain against milliseconds per image and against training time; a line joins those on the Pareto front.

    Times that were measured on a busy machine are drawn hollow and kept out of the front.
    """
    points = [(budget(row.configuration), row) for row in rows if row.configuration is not None]
    speeds = [_Point(row, of_row.ms_per_image, of_row.is_quiet) for of_row, row in points]
    trainings = [_Point(row, of_row.train_seconds) for of_row, row in points]
    with mpl.rc_context(STYLE):
        figure = Figure((WHOLE, 4.2), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        fronts = [
            _cost_panel(left, speeds, "milliseconds per 256x256 image"),
            _cost_panel(right, trainings, "training seconds"),
        ]
        means = [row.gain.mean for _, row in points]
        reach = max(0.2, *means)
        left.set_ylim(min([0.0, *(mean for mean in means if mean >= -reach)]) - 0.1 * reach, 1.1 * reach)
        left.set_ylabel(_GAIN)
        labels = {
            label: handle
            for axes in (left, right)
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        figure.legend(list(labels.values()), list(labels), loc="outside upper center", ncols=7, frameon=False)
        for axes, (named, front) in zip((left, right), fronts, strict=True):
            label_points(figure, axes, named, front)
        return as_svg(figure)


@dataclass(frozen=True)
class _Point:
    """A row, one of its costs, and whether that cost is reliable."""

    row: Row
    cost: float | None
    is_reliable: bool = True

    @property
    def model(self) -> str:
        assert self.row.configuration is not None
        return self.row.configuration.cell[0]


def _cost_panel(axes: Axes, points: Sequence[_Point], label: str) -> tuple[list[Point], list[Point]]:
    """Draw gains against one cost; configurations of unknown cost are left out.

    Returns:
        The points to name, and the Pareto front: the same, or all points where no cost is reliable and there is none.
    """
    known = [(point.cost, point.row.gain.mean, point) for point in points if point.cost]
    models = list(dict.fromkeys(point.model for point in points))
    for number, model in enumerate(models):
        colour = _COLOURS[number % len(_COLOURS)]
        for reliable in (True, False):
            chosen = [(c, gain) for c, gain, point in known if point.model == model and point.is_reliable is reliable]
            if chosen:
                face = colour if reliable else "none"
                shown = model if reliable else f"{model} (busy machine)"
                costs, gains = zip(*chosen, strict=True)
                axes.scatter(costs, gains, s=22, facecolors=face, edgecolors=colour, label=shown)
    reliable_points = [entry for entry in known if entry[2].is_reliable]
    on_front = pareto_front([c for c, *_ in reliable_points], [gain for _, gain, _ in reliable_points])
    chosen_front = [entry for entry, best in zip(reliable_points, on_front, strict=True) if best]
    front, everything = (
        sorted(Point(c, gain, (point.row.name, f"#{point.row.rank}")) for c, gain, point in entries)
        for entries in (chosen_front, known)
    )
    axes.plot([point.x for point in front], [point.y for point in front], color="black", linewidth=0.8)
    values = [c for c, *_ in known]
    if values and max(values) > 10 * min(values):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(label)
    axes.axhline(0, color="black", linewidth=0.8, linestyle="--")
    return front or everything, front


def _gains(analysis: Analysis) -> dict[tuple[str, ...], float]:
    """Mean gain of each configuration by its place."""
    means = analysis.parts["psnr"].means
    of_input = means[len(analysis.configurations)]
    return {
        configuration.cell: float(mean - of_input)
        for configuration, mean in zip(analysis.configurations, means, strict=False)
    }


def _levels(configurations: Sequence[Configuration]) -> list[list[str]]:
    """The levels of each factor, in order of appearance."""
    return [list(dict.fromkeys(entry.cell[position] for entry in configurations)) for position in range(len(FACTORS))]


def as_svg(figure: Figure) -> str:
    """The text of a figure's SVG file; equal figures give equal text."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()
