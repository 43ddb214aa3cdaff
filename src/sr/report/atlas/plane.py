"""The plane of perception and distortion: PSNR against a perceptual measure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sr.report.analysis import Analysis, analyse
from sr.report.atlas.panels import Panel
from sr.report.figures import STYLE, as_svg
from sr.report.labels import Point, label_points
from sr.report.statistics import Interval, Scope, pareto_front
from sr.terms import MetricInfo

PERCEPTUAL = ("lpips", "dists", "vif")  # the first that all have is shown
_COLUMNS = 3
MOST_PLANES = 6  # that are drawn
_COLOUR, _BASELINE = "#0072B2", "#777777"


@dataclass(frozen=True)
class PlanePoint:
    """A configuration or a baseline in the plane; intervals are those of its difference from bicubic interpolation.

    Attributes:
        name: in tables.
        is_baseline: whether it is not a model.
        psnr: mean, dB.
        psnr_interval: of it.
        perceptual: mean of the other measure.
        perceptual_interval: of it.
        on_front: whether no other is at least as good in both, and better in one.
    """

    name: str
    is_baseline: bool
    psnr: float
    psnr_interval: Interval
    perceptual: float
    perceptual_interval: Interval
    on_front: bool


@dataclass(frozen=True)
class Plane:
    """The points of a degradation."""

    degradation: str
    metric: MetricInfo
    points: Sequence[PlanePoint]

    @property
    def front(self) -> list[PlanePoint]:
        """The points on the front, from the least PSNR to the most."""
        return sorted((point for point in self.points if point.on_front), key=lambda point: point.psnr)


def planes_of(panel: Panel) -> list[Plane]:
    """The plane of each degradation of a data set; none without a perceptual measure that all have."""
    metric = next((name for name in PERCEPTUAL if name in panel.metrics), None)
    if metric is None:
        return []
    planes = []
    for comparison, degradation in zip(panel.comparisons, panel.degradations, strict=True):
        analysis = analyse(comparison, scope=Scope.LIKE_THESE)
        if metric in analysis.parts:
            planes.append(Plane(degradation, analysis.metrics[metric], _points(analysis, metric)))
    return planes


def _points(analysis: Analysis, metric: str) -> list[PlanePoint]:
    count = len(analysis.configurations)
    sign = 1 if analysis.metrics[metric].higher_is_better else -1
    psnr, goodness = (analysis.parts[name].means for name in ("psnr", metric))
    half = {name: _halves(analysis, name) for name in ("psnr", metric)}
    on_front = pareto_front([-float(value) for value in psnr], [float(value) for value in goodness])
    return [
        PlanePoint(
            name,
            number >= count,
            float(psnr[number]),
            _interval(float(psnr[number]), half["psnr"][number], analysis.metrics["psnr"]),
            sign * float(goodness[number]),
            _interval(sign * float(goodness[number]), half[metric][number], analysis.metrics[metric]),
            on_front[number],
        )
        for number, name in enumerate(analysis.names)
    ]


def _halves(analysis: Analysis, metric: str) -> list[float]:
    """Half of the width of each interval of the difference from the input."""
    estimates = analysis.against(len(analysis.configurations), metric).with_intervals()
    return [(interval.high - interval.low) / 2 for _, interval in estimates]


def _interval(mean: float, half: float, metric: MetricInfo) -> Interval:
    """An interval that stays in the range of the metric."""
    low, high = metric.range
    return Interval(
        max(mean - half, -math.inf if low is None else low), min(mean + half, math.inf if high is None else high)
    )


def draw(planes: Sequence[Plane]) -> tuple[str, list[str]]:
    """A panel for each degradation, better to the upper right; the line joins the front.

    Returns:
        The text of the SVG file, and what its labels do not say: a line for each panel in which points have numbers
        for want of space, or have none.
    """
    unsaid = []
    shown = planes[:MOST_PLANES]
    columns = min(_COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    with mpl.rc_context(STYLE):
        figure = Figure((12.9 if columns > 1 else 6.4, 0.5 + 3.6 * rows), layout="constrained")
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, plane in zip(panels, shown, strict=False):
            _draw_plane(axes, plane)
            points = [Point(point.psnr, point.perceptual, labels) for point, labels in _labelled(plane)]
            front = [Point(point.psnr, point.perceptual, ()) for point in plane.front]
            unsaid += _unsaid(plane, label_points(figure, axes, points, front), several=len(shown) > 1)
        for axes in panels[len(shown) :]:
            axes.set_visible(False)
        return as_svg(figure), unsaid


def _labelled(plane: Plane) -> list[tuple[PlanePoint, tuple[str, str]]]:
    """The points, the best PSNR first, each with its name and its rank."""
    ranked = sorted(plane.points, key=lambda point: -point.psnr)
    return [(point, (point.name, f"#{rank}")) for rank, point in enumerate(ranked, 1)]


def _unsaid(plane: Plane, written: Sequence[str], *, several: bool) -> list[str]:
    """The names of points that are written as their rank, or not at all."""
    points = [(point.name, rank, label) for (point, (_, rank)), label in zip(_labelled(plane), written, strict=True)]
    numbered = [f"{rank} {name}" for name, rank, label in points if label == rank]
    unlabelled = [name for name, _, label in points if not label]
    parts = [f"numbered by rank of PSNR: {', '.join(numbered)}"] if numbered else []
    parts += [f"without a label: {', '.join(unlabelled)}"] if unlabelled else []
    where = f"under {plane.degradation}, " if several else ""
    return [where + "; ".join(parts)] if parts else []


def _draw_plane(axes: Axes, plane: Plane) -> None:
    front = plane.front
    axes.plot([point.psnr for point in front], [point.perceptual for point in front], color="black", linewidth=0.8)
    for point in plane.points:
        colour = _BASELINE if point.is_baseline else _COLOUR
        if not point.is_baseline and all(map(math.isfinite, (*point.psnr_interval, *point.perceptual_interval))):
            axes.plot(point.psnr_interval, [point.perceptual] * 2, color=colour, linewidth=1, alpha=0.6)
            axes.plot([point.psnr] * 2, point.perceptual_interval, color=colour, linewidth=1, alpha=0.6)
        face = "none" if point.is_baseline else colour
        axes.scatter([point.psnr], [point.perceptual], s=26, facecolors=face, edgecolors=colour, zorder=3)
    axes.margins(0.15)
    if not plane.metric.higher_is_better:
        axes.invert_yaxis()
    if plane.degradation != "as stored":
        axes.set_title(plane.degradation, fontsize=9)
    axes.set_xlabel("PSNR (dB)")
    axes.set_ylabel(f"{plane.metric.heading}{'' if plane.metric.higher_is_better else ' (less is better, upwards)'}")
