from itertools import combinations

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sr.report.figures import STYLE, as_svg
from sr.report.labels import Point, label_points
from sr.report.svgs import inline_svg


def labels_of(points: list[Point]) -> tuple[Figure, list[str]]:
    figure = Figure((4, 3), layout="constrained")
    axes = figure.subplots()
    axes.scatter([point.x for point in points], [point.y for point in points])
    label_points(figure, axes, points)
    return figure, [text.get_text() for text in axes.texts]


def test_crowded_labels_cover_neither_each_other_nor_the_border() -> None:
    points = [Point(x, x**2 / 10, (f"a configuration with a long name {x}", f"#{x}")) for x in range(8)]
    figure, texts = labels_of(points)
    assert 4 <= len(texts) <= 8
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    (axes,) = figure.axes
    boxes = [text.get_window_extent(renderer) for text in axes.texts]
    assert not any(first.overlaps(second) for first, second in combinations(boxes, 2))
    assert all(axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1 for box in boxes)


def test_a_name_that_has_no_place_becomes_a_rank() -> None:
    _, texts = labels_of([Point(0, 0, ("x" * 200, "#1")), Point(1, 1, ("b", "#2"))])
    assert texts == ["#1", "b"]


def test_only_the_line_that_is_drawn_is_avoided() -> None:
    """Three points whose joining line would cover every place beside the middle one."""
    points = [Point(0, 0, ("",)), Point(1, 1, ("b" * 30,)), Point(0, 2, ("",)), Point(2, 0, ("",)), Point(2, 2, ("",))]
    figure = Figure((4, 3), layout="constrained")
    axes = figure.subplots()
    axes.set_xlim(-1, 3)
    assert label_points(figure, axes, points, points[:1])[1] == "b" * 30


def test_plots_of_a_page_share_no_id_and_keep_text_that_looks_like_markup() -> None:
    with mpl.rc_context(STYLE):
        figure, _ = labels_of([Point(0, 0, ("colour: #000000",)), Point(1, 0, ("b",))])
        element = inline_svg(as_svg(figure), "s1-cost", 'a "title"')
    assert element.startswith('<svg role="img" aria-label="a &quot;title&quot;"')
    assert element.count('id="') == element.count('id="s1-cost-') > 0
    assert ">colour: #000000</text>" in element
    assert "fill: var(--paper, #ffffff)" in element
    assert "#000000;" not in element
