"""The plots of a report, each as the text of an SVG file."""

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from sr.report.board import Row
from sr.report.folders import Run
from sr.report.statistics import main_effects, pareto_front

FACTORS = ("model", "loss", "optimizer")

# Okabe & Ito's palette, which the colour-blind can tell apart.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
_GAIN = "gain over the input (dB)"
_STYLE: Any = {  # Any: matplotlib types its parameters by name
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "sr",  # the same file from the same numbers
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
}


def sweeps(runs: Sequence[Run]) -> dict[str, dict[tuple[str, ...], list[Run]]]:
    """Runs by folder and by their model, loss and optimizer, in the order they come."""
    found: dict[str, dict[tuple[str, ...], list[Run]]] = {}
    for run in runs:
        found.setdefault(run.sweep, {}).setdefault(run.levels, []).append(run)
    return found


def gains(cells: Mapping[tuple[str, ...], Sequence[Run]]) -> dict[tuple[str, ...], np.ndarray[Any, Any]]:
    """Gains of the images in every cell, averaged over the runs of the same choices."""
    return {key: np.mean([run.column("gain") for run in runs], axis=0) for key, runs in cells.items()}


def heat_map(cells: Mapping[tuple[str, ...], Sequence[Run]]) -> str:
    """Mean gain of every model x loss x optimizer: a panel a model, losses down, optimizers across."""
    means = {key: float(values.mean()) for key, values in gains(cells).items()}
    models, losses, optimizers = (list(dict.fromkeys(key[place] for key in cells)) for place in range(3))
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


def effects(cells: Mapping[tuple[str, ...], Sequence[Run]]) -> str | None:
    """What the choice of model, loss and optimizer is worth, with 95 % intervals; None if there was no choice."""
    values = gains(cells)
    found = {name: main_effects(values, place) for place, name in enumerate(FACTORS)}
    lines = [(name, level, *effect) for name, levels in found.items() for level, effect in levels.items()]
    if not lines:
        return None
    with mpl.rc_context(_STYLE):
        figure = Figure((6.4, 0.6 + 0.28 * len(lines)), layout="constrained")
        axes = figure.subplots()
        for height, (name, _, effect, low, high) in enumerate(reversed(lines)):
            colour = _COLOURS[FACTORS.index(name)]
            axes.plot([low, high], [height, height], color=colour, linewidth=2)
            axes.plot(effect, height, "o", color=colour)
        axes.set_yticks(range(len(lines)), [f"{name}: {level}" for name, level, *_ in reversed(lines)])
        axes.axvline(0, color="black", linewidth=0.8)
        axes.set_xlabel("difference from the mean of the choices (dB)")
        return _svg(figure)


def curves(cells: Mapping[tuple[str, ...], Sequence[Run]]) -> str:
    """Validation gain over epochs: a panel a model and loss, a line an optimizer, the band one sd over folds."""
    models, losses, optimizers = (list(dict.fromkeys(key[place] for key in cells)) for place in range(3))
    with mpl.rc_context(_STYLE):
        figure = Figure((1 + 2.5 * len(models), 0.7 + 1.7 * len(losses)), layout="constrained")
        panels = figure.subplots(len(losses), len(models), squeeze=False, sharex=True, sharey=True)
        drawn: list[list[float]] = []
        for (model, loss, optimizer), runs in cells.items():
            axes = panels[losses.index(loss)][models.index(model)]
            for number, run in enumerate(runs):
                colour = _COLOURS[optimizers.index(optimizer) % len(_COLOURS)]
                drawn.append(_curve(axes, run, colour, "_" if number else optimizer))
        # Early epochs may lie far below the input: what is compared is where the curves end.
        low = min([0.0, *(line[-1] for line in drawn if line)])
        high = max([0.0, *(max(line) for line in drawn if line)])
        panels[0][0].set_ylim(low - max(0.1, 0.25 * (high - low)), high + max(0.05, 0.1 * (high - low)))
        for row, loss in enumerate(losses):
            for column, model in enumerate(models):
                panels[row][column].axhline(0, color="black", linewidth=0.8, linestyle="--")
                panels[row][column].set_title(f"{model}, {loss}", fontsize=9)
        handles = {line.get_label(): line for row in panels for axes in row for line in axes.get_lines()}
        named = {str(label): line for label, line in handles.items() if not str(label).startswith("_")}
        figure.legend(list(named.values()), list(named), loc="outside upper center", ncols=len(named), frameon=False)
        figure.supxlabel("epoch", fontsize=9)
        figure.supylabel(_GAIN, fontsize=9)
        return _svg(figure)


def _curve(axes: Axes, run: Run, colour: str, label: str) -> list[float]:
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
    """Gain against milliseconds per image, and against training time, with the runs that no other beats joined."""
    runs = [(row, row.run) for row in rows if row.run is not None]
    models = list(dict.fromkeys(run.levels[0] for _, run in runs))
    measures = (("ms_per_image", "milliseconds per 256x256 image"), ("train_seconds", "training seconds"))
    with mpl.rc_context(_STYLE):
        figure = Figure((9.5, 3.4), layout="constrained")
        for axes, (measure, label) in zip(figure.subplots(1, 2, sharey=True), measures, strict=True):
            points = [(getattr(run.result, measure), row, run) for row, run in runs]
            known = [(float(value), row.gain[0], run) for value, row, run in points if value]
            spent = [value for value, *_ in known]
            for model in models:
                own = [(value, gain) for value, gain, run in known if run.levels[0] == model]
                if own:
                    axes.scatter(*zip(*own, strict=True), s=22, color=_COLOURS[models.index(model) % 7], label=model)
            front = pareto_front(spent, [gain for _, gain, _ in known])
            best = sorted(
                (value, gain, run.name) for (value, gain, run), keep in zip(known, front, strict=True) if keep
            )
            axes.plot([value for value, *_ in best], [gain for _, gain, _ in best], color="black", linewidth=0.8)
            for value, gain, name in best:
                end = name.rpartition("/")[2]
                axes.annotate(end, (value, gain), fontsize=7, xytext=(4, 4), textcoords="offset points")
            if spent and max(spent) > 10 * min(spent):
                axes.set_xscale("log")
                axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                axes.xaxis.set_major_formatter("{x:g}")
                axes.xaxis.set_minor_formatter(NullFormatter())
            axes.set_xlabel(label)
            axes.axhline(0, color="black", linewidth=0.8, linestyle="--")
        gains = [row.gain[0] for row, _ in runs]
        reach = max(0.2, *gains)
        figure.axes[0].set_ylim(max(min(0.0, *gains), -reach) - 0.1 * reach, 1.1 * reach)
        figure.axes[0].set_ylabel(_GAIN)
        figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=7, frameon=False)
        return _svg(figure)


def _svg(figure: Figure) -> str:
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()
