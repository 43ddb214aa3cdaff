"""Labels of a plot: wrapped where they are long, and beside points where they cover nothing."""

import textwrap
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

_WIDTH = 32  # characters of a line
_FONT = 8
_SAMPLES = 60  # of a line
_GAP, _MARKER = 5, 3  # points between a point and its label; radius of a point
_PLACES = (  # beside a point: in units of the gap, and the alignment of the text
    (1, 1, "left", "bottom"),
    (-1, 1, "right", "bottom"),
    (1, -1, "left", "top"),
    (-1, -1, "right", "top"),
    (0, 1, "center", "bottom"),
    (0, -1, "center", "top"),
)


class Point(NamedTuple):
    """A point in the data's units, and its possible labels, the preferred one first."""

    x: float
    y: float
    labels: tuple[str, ...]


def wrapped(text: str, width: int = _WIDTH) -> str:
    r"""A text in lines of at most ``width`` characters where it has spaces.

    >>> wrapped("espcn, mae", 7)
    'espcn,\nmae'
    """
    return "\n".join(textwrap.wrap(text, width, break_long_words=False)) or text


def label_points(figure: Figure, axes: Axes, points: Sequence[Point], line: Sequence[Point] | None = None) -> list[str]:
    """Write a label beside each point, inside the axes, over no other label or point of the axes.

    Nor does a label cover the line through ``line``, by default through all points.

    Returns:
        The label of each point; empty where every place would cover something, and none is written.
    """
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    figure.draw(renderer)  # places the axes
    radius = _MARKER * figure.dpi / 72
    drawn = [axes.transData.transform(entry) for group in axes.collections for entry in np.asarray(group.get_offsets())]
    taken = [Bbox.from_extents(x - radius, y - radius, x + radius, y + radius) for x, y in drawn]
    ends = [axes.transData.transform((point.x, point.y)) for point in (points if line is None else line)]
    written = []
    for start, end in pairwise(ends):
        taken += [Bbox.from_bounds(x, y, 1, 1) for x, y in np.linspace(start, end, _SAMPLES)]
    for point in points:
        written.append("")
        for text, place in ((text, place) for text in point.labels for place in _PLACES):
            across, up, side, height = place
            label = axes.annotate(
                text,
                (point.x, point.y),
                xytext=(across * _GAP, up * _GAP),
                textcoords="offset points",
                fontsize=_FONT,
                ha=side,
                va=height,
            )
            label.set_in_layout(False)
            box = label.get_window_extent(renderer)
            inside = (
                axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1 and axes.bbox.y0 <= box.y0 <= box.y1 <= axes.bbox.y1
            )
            if inside and not any(box.overlaps(other) for other in taken):
                taken.append(box)
                written[-1] = text
                break
            label.remove()
    return written
