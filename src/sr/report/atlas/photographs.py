"""Gain against the difficulty of the photographs, and the photographs that a configuration does worst on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from scipy import stats

from sr.report.atlas.panels import Panel
from sr.report.components import Values
from sr.report.figures import STYLE, as_svg
from sr.report.statistics import CONFIDENCE, Interval

_MOST = 6  # configurations
_RANKS = ("worst", "second worst", "third worst")  # photographs that are named of each
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
_MARKERS = "os^Dv<>pP*"  # of degradations
_LEAST_FOR_SLOPE = 5  # photographs


@dataclass(frozen=True)
class Photograph:
    """A photograph that is named below the plot.

    Attributes:
        configuration: whose gain is meant.
        name: of the photograph.
        degradation: its name; empty where there is one only.
        difficulty: PSNR of bicubic interpolation, dB; less is harder.
        gain: over it, dB.
        against_mean: the gain less the mean gain of the configuration under that degradation, dB.
        why: it is named.
        anchor: of its row; points of the plot link to it.
    """

    configuration: str
    name: str
    degradation: str
    difficulty: float
    gain: float
    against_mean: float
    why: str
    anchor: str

    @property
    def text(self) -> str:
        """Its numbers in a sentence."""
        against = f"{self.against_mean:+.2f} dB against the mean of {self.configuration}"
        return f"{self.configuration}, {self.why}: a gain of {self.gain:+.2f} dB, {against}."


@dataclass(frozen=True)
class Slope:
    """How the gain of a configuration changes with difficulty: dB for each dB that bicubic interpolation is better."""

    configuration: str
    mean: float
    interval: Interval


@dataclass(frozen=True)
class Difficulty:
    """Gains by difficulty.

    Attributes:
        svg: the plot; its points link to the rows of ``photographs``.
        slopes: of the configurations that are shown, where there are photographs enough.
        photographs: the extremes of the best configuration, and the worst of each configuration.
        left_out: configurations that are not shown.
        degradations_left_out: degradations that are not in the plot, which has no more markers than can be told apart.
    """

    svg: str
    slopes: Sequence[Slope]
    photographs: Sequence[Photograph]
    left_out: Sequence[str]
    degradations_left_out: Sequence[str]


def difficulty_of(panel: Panel) -> Difficulty:
    """Plot the gain of each configuration on each photograph against the PSNR of bicubic interpolation there."""
    inputs = panel.inputs("psnr")
    gains = panel.scores("psnr") - inputs
    means = np.nanmean(gains, axis=(1, 2))
    order = sorted(range(len(panel.names)), key=lambda number: -means[number])
    shown = order if len(order) <= _MOST else [*order[: _MOST - 1], order[-1]]
    named = _named(panel, inputs, gains, shown)
    anchors = {(entry.configuration, entry.degradation, entry.name): entry.anchor for entry in named}
    return Difficulty(
        _draw(panel, inputs, gains, shown, anchors),
        [slope for number in shown if (slope := _slope(panel.names[number], inputs, gains[number]))],
        named,
        [panel.names[number] for number in order if number not in shown],
        panel.degradations[len(_MARKERS) :],
    )


def _named(panel: Panel, inputs: Values, gains: Values, shown: Sequence[int]) -> list[Photograph]:
    """The extremes of the best configuration, then the photographs on which each configuration does worst."""
    best = gains[shown[0]]
    reasons: dict[tuple[int, int, int], list[str]] = {}
    for values, text in ((inputs, "hardest"), (-inputs, "easiest"), (-best, "largest gain"), (best, "smallest gain")):
        degradation, photograph = np.unravel_index(int(np.nanargmin(values)), values.shape)
        reasons.setdefault((shown[0], int(degradation), int(photograph)), []).append(text)
    against = gains - np.nanmean(gains, axis=2, keepdims=True)
    for number in shown:
        flat = np.argsort(np.where(np.isnan(against[number]), np.inf, against[number]), axis=None, kind="stable")
        worst = [np.unravel_index(int(place), against[number].shape) for place in flat[: len(_RANKS)]]
        for rank, (degradation, photograph) in enumerate(worst):
            if against[number, degradation, photograph] < 0:
                reasons.setdefault((number, int(degradation), int(photograph)), []).append(_RANKS[rank])
    return [
        Photograph(
            panel.names[number],
            panel.photographs[photograph],
            panel.degradations[degradation] if len(panel.degradations) > 1 else "",
            float(inputs[degradation, photograph]),
            float(gains[number, degradation, photograph]),
            float(against[number, degradation, photograph]),
            ", ".join(texts),
            f"photo{row}",
        )
        for row, ((number, degradation, photograph), texts) in enumerate(reasons.items(), 1)
    ]


def _slope(name: str, inputs: Values, gains: Values) -> Slope | None:
    """The slope of the means over degradations, with Student's interval over photographs."""
    x, y = np.nanmean(inputs, axis=0), np.nanmean(gains, axis=0)
    if len(x) < _LEAST_FOR_SLOPE or np.ptp(x) == 0:
        return None
    line = stats.linregress(x, y)
    reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(x) - 2)) * float(line.stderr)
    return Slope(name, float(line.slope), Interval(float(line.slope) - reach, float(line.slope) + reach))


def _draw(
    panel: Panel, inputs: Values, gains: Values, shown: Sequence[int], anchors: Mapping[tuple[str, str, str], str]
) -> str:
    several = len(panel.degradations) > 1
    with mpl.rc_context(STYLE):
        figure = Figure((12.9, 4.6), layout="constrained")
        axes = figure.subplots()
        for colour, number in zip(_COLOURS, shown, strict=False):
            name = panel.names[number]
            for d, (marker, degradation) in enumerate(zip(_MARKERS, panel.degradations, strict=False)):
                where = degradation if several else ""
                links = [anchors.get((name, where, photograph), "") for photograph in panel.photographs]
                sizes = [48 if link else 20 for link in links]
                points = axes.scatter(
                    inputs[d],
                    gains[number, d],
                    s=sizes,
                    marker=marker,
                    facecolors=colour,
                    edgecolors=["#000000" if link else colour for link in links],
                    alpha=0.8,
                    label=name if d == 0 else None,
                )
                points.set_urls([f"#{link}" if link else None for link in links])
        if several:
            for marker, degradation in zip(_MARKERS, panel.degradations, strict=False):
                axes.scatter(
                    [], [], marker=marker, facecolors="none", edgecolors="#777777", label=f"under {degradation}"
                )
        axes.axhline(0, color="black", linewidth=0.8, linestyle="--")
        axes.set_xlabel("PSNR of bicubic interpolation (dB): harder to the left")
        axes.set_ylabel("gain over the input (dB)")
        figure.legend(loc="outside upper center", ncols=4, frameon=False, fontsize=8)
        return as_svg(figure)
