"""The plots of a report, each as the text of an SVG file."""

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from sr.report.board import Row
from sr.report.run import Run
from sr.report.statistics import Values, main_effects, pareto_front

FACTORS = ("model", "loss", "optimizer")

Cells: TypeAlias = Mapping[tuple[str, ...], Sequence[Run]]  # runs by their levels of the factors

# The palette of Okabe & Ito, whose colours colour-blind readers can tell apart.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
_GAIN = "gain over the input (dB)"
_STYLE: Any = {  # Any: matplotlib types its parameters by name
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "sr",  # the same numbers give the same file
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
}


def cells_of(runs: Sequence[Run]) -> dict[tuple[str, ...], list[Run]]:
    """Group runs by their model, loss and optimizer, in order of appearance."""
    cells: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        cells.setdefault(run.levels, []).append(run)
    return cells


def gains(cells: Cells) -> dict[tuple[str, ...], Values]:
    """Gain of each image in each cell, averaged over the runs of the cell."""
    return {key: np.mean([run.column("gain") for run in runs], axis=0) for key, runs in cells.items()}


def heat_map(cells: Cells) -> str:
    """Mean gain of each combination: one panel per model, losses as rows, optimizers as columns."""
    means = {key: float(values.mean()) for key, values in gains(cells).items()}
    models, losses, optimizers = _levels(cells)
    reach = max(0.05, *(abs(value) for value in means.values()))
    with mpl.rc_context(_STYLE | {"axes.grid": False}):
        figure = Figure((2.2 + 0.8 * len(models) * len(optimizers), 1.1 + 0.55 * len(losses)), layout="constrained")
        panels = figure.subplots(1, len(models), squeeze=False)[0]
        for panel, model in zip(panels, models, strict=True):
            grid = [[means.get((model, loss, optimizer), math.nan) for optimizer in optimizers] for loss in losses]
            image = panel.imshow(grid, cmap="RdBu", vmin=-reach, vmax=reach, aspect="auto")
            panel.set_title(model)
            panel.set_xticks(range(len(optimizers)), optimizers)
            panel.set_yticks(range(len(losses)), losses if panel is panels[0] else [""] * len(losses))
            panel.spines[:].set_visible(False)
            for row, values in enumerate(grid):
                for column, value in enumerate(values):
                    text = "–" if math.isnan(value) else f"{value:+.2f}"  # noqa: RUF001
                    colour = "white" if abs(value) > 0.6 * reach else "black"
                    panel.text(column, row, text, ha="center", va="center", color=colour)
        figure.colorbar(image, ax=panels, label=_GAIN, shrink=0.9)
        return _svg(figure)


def effects(cells: Cells) -> str | None:
    """Main effects of model, loss and optimizer with 95 % intervals; None if no factor has several levels."""
    values = gains(cells)
    lines = [
        (factor, level, effect)
        for position, factor in enumerate(FACTORS)
        for level, effect in main_effects(values, position).items()
    ]
    if not lines:
        return None
    lines.reverse()  # the first line goes to the top
    with mpl.rc_context(_STYLE):
        figure = Figure((6.4, 0.6 + 0.28 * len(lines)), layout="constrained")
        axes = figure.subplots()
        for height, (factor, _, effect) in enumerate(lines):
            colour = _COLOURS[FACTORS.index(factor)]
            axes.plot(effect.interval, [height, height], color=colour, linewidth=2)
            axes.plot(effect.mean, height, "o", color=colour)
        axes.set_yticks(range(len(lines)), [f"{factor}: {level}" for factor, level, _ in lines])
        axes.axvline(0, color="black", linewidth=0.8)
        axes.set_xlabel("difference from the mean of all choices (dB)")
        return _svg(figure)


def curves(cells: Cells) -> str:
    """Validation gain over epochs: one panel per model and loss, one line per run, coloured by optimizer.

    The band around a line is one standard deviation over folds.
    """
    models, losses, optimizers = _levels(cells)
    with mpl.rc_context(_STYLE):
        figure = Figure((1 + 2.5 * len(models), 0.7 + 1.7 * len(losses)), layout="constrained")
        panels = figure.subplots(len(losses), len(models), squeeze=False, sharex=True, sharey=True)
        lines: list[list[float]] = []
        for (model, loss, optimizer), runs in cells.items():
            axes = panels[losses.index(loss)][models.index(model)]
            colour = _COLOURS[optimizers.index(optimizer) % len(_COLOURS)]
            lines += [_curve(axes, run, colour, optimizer) for run in runs]
        # Early epochs may lie far below the input; the comparison is about where the curves end.
        low = min([0.0, *(line[-1] for line in lines if line)])
        high = max([0.0, *(max(line) for line in lines if line)])
        panels[0][0].set_ylim(low - max(0.1, 0.25 * (high - low)), high + max(0.05, 0.1 * (high - low)))
        for row, loss in enumerate(losses):
            for column, model in enumerate(models):
                panels[row][column].axhline(0, color="black", linewidth=0.8, linestyle="--")
                panels[row][column].set_title(f"{model}, {loss}", fontsize=9)
        handles = {str(line.get_label()): line for row in panels for axes in row for line in axes.get_lines()}
        legend = {label: line for label, line in handles.items() if not label.startswith("_")}
        figure.legend(list(legend.values()), list(legend), loc="outside upper center", ncols=len(legend), frameon=False)
        figure.supxlabel("epoch", fontsize=9)
        figure.supylabel(_GAIN, fontsize=9)
        return _svg(figure)


def _curve(axes: Axes, run: Run, colour: str, label: str) -> list[float]:
    """Draw the curve of a run; returns its gains."""
    points = [
        (row["epoch"] + 1, row["val/gain"], row.get("val/gain_sd", 0.0)) for row in run.curve if "val/gain" in row
    ]
    if not points:
        return []
    epochs, means, spreads = (np.array(column) for column in zip(*points, strict=True))
    axes.plot(epochs, means, color=colour, label=label, marker="o", markersize=3)
    axes.fill_between(epochs, means - spreads, means + spreads, color=colour, alpha=0.18, linewidth=0)
    return [float(value) for value in means]


def cost(rows: Sequence[Row]) -> str:
    """Gain against milliseconds per image and against training time; a line joins the runs on the Pareto front."""
    runs = [(row, row.run) for row in rows if row.run is not None]
    seconds = [(run.result.train_seconds, row.gain.mean, run) for row, run in runs]
    milliseconds = [(run.result.ms_per_image, row.gain.mean, run) for row, run in runs]
    with mpl.rc_context(_STYLE):
        figure = Figure((9.5, 3.4), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        _cost_panel(left, milliseconds, "milliseconds per 256x256 image")
        _cost_panel(right, seconds, "training seconds")
        means = [row.gain.mean for row, _ in runs]
        reach = max(0.2, *means)
        left.set_ylim(max(min(0.0, *means), -reach) - 0.1 * reach, 1.1 * reach)
        left.set_ylabel(_GAIN)
        labels = {
            label: handle
            for axes in (left, right)
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        figure.legend(list(labels.values()), list(labels), loc="outside upper center", ncols=7, frameon=False)
        return _svg(figure)


def _cost_panel(axes: Axes, points: Sequence[tuple[float | None, float, Run]], label: str) -> None:
    """Draw the gains of runs against one cost; runs whose cost is unknown are left out."""
    known = [(value, gain, run) for value, gain, run in points if value]
    costs = [value for value, *_ in known]
    models = list(dict.fromkeys(run.levels[0] for *_, run in points))
    for number, model in enumerate(models):
        colour = _COLOURS[number % len(_COLOURS)]
        of_model = [(value, gain) for value, gain, run in known if run.levels[0] == model]
        if of_model:
            values, gains_of_model = zip(*of_model, strict=True)
            axes.scatter(values, gains_of_model, s=22, color=colour, label=model)
    on_front = pareto_front(costs, [gain for _, gain, _ in known])
    front = sorted((value, gain, run.name) for (value, gain, run), best in zip(known, on_front, strict=True) if best)
    axes.plot([value for value, *_ in front], [gain for _, gain, _ in front], color="black", linewidth=0.8)
    for value, gain, name in front:
        folder = name.rpartition("/")[2]
        axes.annotate(folder, (value, gain), fontsize=7, xytext=(4, 4), textcoords="offset points")
    if costs and max(costs) > 10 * min(costs):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(label)
    axes.axhline(0, color="black", linewidth=0.8, linestyle="--")


def _levels(cells: Cells) -> list[list[str]]:
    """The levels of each factor, in order of appearance."""
    return [list(dict.fromkeys(key[position] for key in cells)) for position in range(len(FACTORS))]


def _svg(figure: Figure) -> str:
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()
