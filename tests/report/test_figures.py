"""Plots, checked on the drawn matplotlib figures."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from sr.report import captions, figures
from sr.report.analysis import Analysis, analyse
from sr.report.board import leaderboard
from sr.report.comparison import Comparison, find_comparisons
from sr.report.effects import FactorLevel
from sr.report.statistics import Interval
from sr.terms import Measurement, Speed
from tests.support.run_folders import RunFolders, config

BLUE, ORANGE, GREEN = "#0072b2", "#e69f00", "#009e73"


def comparison_of(run_folders: RunFolders) -> Comparison:
    (comparison,) = find_comparisons([run_folders.root]).comparisons
    return comparison


def analysis_of(run_folders: RunFolders) -> Analysis:
    return analyse(comparison_of(run_folders))


def line_data(line: Line2D) -> list[list[float]]:
    return np.asarray(line.get_xydata()).tolist()  # type: ignore[no-any-return]


def heights(line: Line2D) -> list[float]:
    return [y for _, y in line_data(line)]


def labels(ticks: Sequence[Any]) -> list[str]:
    return [tick.get_text() for tick in ticks]


def rectangles(axes: Axes) -> list[Rectangle]:
    return [patch for patch in axes.patches if isinstance(patch, Rectangle)]


def colour(line: Line2D) -> str:
    return to_hex(line.get_color())


def test_heat_map_shows_the_mean_gain_of_each_cell_in_its_place(
    run_folders: RunFolders, drawn_figures: list[Figure]
) -> None:
    expected = {
        "espcn": {"mse": {"adam": 0.11, "sgd": -0.22}, "mae": {"adam": 0.33, "sgd": 0.44}},
        "vdsr": {"mse": {"adam": 0.55, "sgd": 0.66}, "mae": {"adam": 1.05}},  # one cell is missing
    }
    for model, model_gains in expected.items():
        for loss, loss_gains in model_gains.items():
            for optimizer, gain in loss_gains.items():
                run_folders(f"{model}_{loss}_{optimizer}", [gain - 0.1, gain + 0.1, gain, gain])
    svg = figures.heat_map(analysis_of(run_folders))
    panels = drawn_figures[0].axes
    assert [panel.get_title() for panel in panels] == ["espcn", "vdsr"]
    assert labels(panels[0].get_yticklabels()) == ["mae", "mse"]
    assert not any(tick.get_visible() for tick in panels[1].get_yticklabels())
    for panel in panels:
        model_gains = expected[panel.get_title()]
        optimizers = labels(panel.get_xticklabels())
        assert optimizers == ["adam", "sgd"]
        texts = {text.get_position(): text for text in panel.texts}
        cells = {tuple(np.add(patch.get_xy(), (0.48, 0.46)).round(6)): patch for patch in rectangles(panel)}
        for row, loss in enumerate(["mae", "mse"]):
            for column, optimizer in enumerate(optimizers):
                value = model_gains[loss].get(optimizer)
                text = texts.pop((column, row))
                assert text.get_text() == ("–" if value is None else f"{value:+.2f}")  # noqa: RUF001
                assert text.get_color() == "black"  # ink, whatever the paper
                cell = cells.pop((column, row), None)
                assert (cell is None) == (value is None)
                if cell is not None and value is not None:
                    assert to_hex(cell.get_facecolor()) == ("#0072b2" if value > 0 else "#d55e00")
                    assert cell.get_alpha() == pytest.approx(0.6 * abs(value) / 1.05)
        assert not texts
        assert not cells
    # The SVG keeps text as text, grouped by panel.
    root = ET.fromstring(svg)
    groups = {group.get("id"): "".join(group.itertext()) for group in root.iter("{http://www.w3.org/2000/svg}g")}
    assert "+1.05" in groups["axes_2"]
    assert "+1.05" not in groups["axes_1"]
    assert "gain over the input (dB)" in "".join(root.itertext())


def test_the_caption_of_the_heat_map_names_its_colours(run_folders: RunFolders, drawn_figures: list[Figure]) -> None:
    run_folders("vdsr_mse_adam", [0.5] * 4)
    run_folders("vdsr_mae_adam", [-0.5] * 4)
    analysis = analysis_of(run_folders)
    figures.heat_map(analysis)
    below, above = (to_hex(cell.get_facecolor()) for cell in rectangles(drawn_figures[0].axes[0]))
    assert (above, below) == ("#0072b2", "#d55e00")  # blue and orange
    assert "Blue is above the unprocessed input, orange below it" in captions.heat_map(leaderboard(analysis)).text


def test_colours_of_tiny_gains_are_not_exaggerated(run_folders: RunFolders, drawn_figures: list[Figure]) -> None:
    run_folders("vdsr_mse_adam", [0.01] * 4)
    run_folders("vdsr_mae_adam", [0.02] * 4)
    figures.heat_map(analysis_of(run_folders))
    alphas = [cell.get_alpha() for cell in rectangles(drawn_figures[0].axes[0])]
    assert alphas == pytest.approx([0.6 * 0.02 / 0.05, 0.6 * 0.01 / 0.05])


def test_a_hopeless_combination_does_not_pale_the_others(run_folders: RunFolders, drawn_figures: list[Figure]) -> None:
    for loss, gain in (("mse", 1.0), ("mae", 0.5), ("vgg", -20.0)):
        run_folders(f"vdsr_{loss}_adam", [gain] * 4)
    figures.heat_map(analysis_of(run_folders))
    alphas = [cell.get_alpha() for cell in rectangles(drawn_figures[0].axes[0])]
    assert alphas == pytest.approx([0.3, 0.6, 0.6])  # mae, mse, vgg


def test_configurations_that_differ_in_more_than_the_choices_have_places_of_their_own(
    run_folders: RunFolders, drawn_figures: list[Figure]
) -> None:
    """-0.01 and -2.57 dB are not one cell of -1.29 dB."""
    for number, (rate, gain) in enumerate([(0.001, -0.01), (0.1, -2.57)]):
        settings = config() | {"optimizer": {"lr": rate}}
        run_folders(f"espcn_mse_adam_{number}", [gain] * 4, config=settings)
    for seed in (1, 2):
        run_folders(
            f"espcn_mae_adam_{seed}", [float(seed)] * 4, seed=seed, config=config(seed=seed) | {"optimizer": {}}
        )
    figures.heat_map(analysis_of(run_folders))
    panel = drawn_figures[0].axes[0]
    assert labels(panel.get_xticklabels()) == ["adam", "adam lr=0.001", "adam lr=0.1"]
    shown = {text.get_text() for text in panel.texts}
    assert shown == {"+1.50", "-0.01", "-2.57", "–"}  # noqa: RUF001


def test_effects_are_points_with_intervals_listed_from_the_top(drawn_figures: list[Figure]) -> None:
    effects = [
        FactorLevel("model", "espcn", -0.5, Interval(-0.6, -0.4)),
        FactorLevel("model", "vdsr", 0.5, Interval(0.4, 0.6)),
        FactorLevel("loss", "mse", 0.15, Interval(-0.1, 0.4)),
    ]
    assert figures.main_effects(effects, "dB")
    (axes,) = drawn_figures[0].axes
    assert labels(axes.get_yticklabels()) == ["loss: mse", "model: vdsr", "model: espcn"]
    lines = axes.get_lines()
    for height, (effect, expected_colour) in enumerate(zip(reversed(effects), (ORANGE, BLUE, BLUE), strict=True)):
        bar, point = lines[2 * height : 2 * height + 2]
        assert bar.get_xydata() == pytest.approx(
            np.array([[effect.interval.low, height], [effect.interval.high, height]])
        )
        assert point.get_xydata() == pytest.approx(np.array([[effect.mean, height]]))
        assert colour(bar) == colour(point) == expected_colour
    assert axes.get_xlabel() == "difference from the mean of all choices (dB)"


def test_curves_are_gains_over_epochs_with_a_band(run_folders: RunFolders, drawn_figures: list[Figure]) -> None:
    run_folders("espcn_mae_adam", [0.5] * 4, curve=[{"epoch": 0, "val/gain": -7.0}, {"epoch": 3, "val/gain": 0.5}])
    with_band = [
        {"epoch": 0, "val/gain": -6.0, "val/gain_sd": 0.5},
        {"epoch": 1, "val/gain": 1.0, "val/gain_sd": 0.25},
        {"epoch": 2, "val/gain": -1.0, "val/gain_sd": 0.0},
    ]
    run_folders("vdsr_mae_sgd", [0.5] * 4, curve=with_band)
    run_folders("vdsr_mse_adam_0", [0.5] * 4, seed=1)
    run_folders("vdsr_mse_adam_1", [0.7] * 4, seed=2)
    run_folders("vdsr_vgg_adam", [0.5] * 4, curve=[{"epoch": 0, "train/loss": 0.1}])  # never validated
    figures.curves(comparison_of(run_folders).configurations)
    panels = {axes.get_title(): axes for axes in drawn_figures[0].axes}
    assert list(panels) == ["espcn, mae", "vdsr, mae", "espcn, mse", "vdsr, mse", "espcn, vgg", "vdsr, vgg"]

    def curves(title: str) -> list[Line2D]:
        *lines, zero = panels[title].get_lines()
        assert heights(zero) == [0, 0]
        return lines

    (line,) = curves("espcn, mae")
    assert line.get_xydata() == pytest.approx(np.array([[1, -7.0], [4, 0.5]]))  # epochs count from 1
    assert (line.get_label(), colour(line)) == ("adam", BLUE)
    (line,) = curves("vdsr, mae")
    assert line.get_xydata() == pytest.approx(np.array([[1, -6.0], [2, 1.0], [3, -1.0]]))
    assert (line.get_label(), colour(line)) == ("sgd", ORANGE)
    (band,) = panels["vdsr, mae"].collections
    corners = {tuple(corner) for corner in np.round(np.asarray(band.get_paths()[0].vertices), 6)}
    assert corners == {(1, -6.5), (1, -5.5), (2, 0.75), (2, 1.25), (3, -1.0)}
    (line,) = curves("vdsr, mse")
    assert heights(line) == pytest.approx([0.3, 0.6])  # the mean of two seeds; their deviation is 0.2 over sqrt(2)
    (band,) = panels["vdsr, mse"].collections
    assert np.asarray(band.get_paths()[0].vertices)[:, 1].max() == pytest.approx(0.6 + 0.2 / 2**0.5)
    assert colour(line) == BLUE
    for title in ("espcn, mse", "espcn, vgg", "vdsr, vgg"):
        assert curves(title) == []
    # From the lowest final gain (-1) to the highest gain (1), plus a quarter of that range below and a tenth above.
    assert panels["vdsr, mse"].get_ylim() == pytest.approx((-1 - 0.25 * 2, 1 + 0.1 * 2))
    assert [text.get_text() for text in drawn_figures[0].legends[0].get_texts()] == ["adam", "sgd"]
    assert [text.get_text() for text in drawn_figures[0].texts] == ["epoch", "gain over the input (dB)"]


def test_flat_curves_have_room_and_include_the_input(run_folders: RunFolders, drawn_figures: list[Figure]) -> None:
    run_folders("vdsr_mse_adam", [0.0] * 4)
    figures.curves(comparison_of(run_folders).configurations)
    assert drawn_figures[0].axes[0].get_ylim() == pytest.approx((-0.1, 0.05))


def points(axes: Axes) -> dict[str, Any]:
    """Colour and points of each model."""
    return {
        str(scatter.get_label()): (
            to_hex(np.asarray(scatter.get_facecolor())[0]),
            np.asarray(scatter.get_offsets()).tolist(),
        )
        for scatter in axes.collections
    }


def quiet(milliseconds: float) -> Speed:
    """A time that was measured on a quiet machine."""
    latency = Measurement(milliseconds, milliseconds, milliseconds, 20)
    return Speed(latency, Measurement(1.0, 1.0, 1.0, 20), batch=8, quiet=True)


def test_times_of_a_busy_machine_are_hollow_and_not_on_the_front(
    run_folders: RunFolders, drawn_figures: list[Figure]
) -> None:
    run_folders("vdsr_mse_adam", [2.0] * 4, ms_per_image=100.0, speed=quiet(100.0))
    run_folders("espcn_mse_adam", [1.5] * 4, ms_per_image=20.0, speed=replace(quiet(20.0), quiet=False, reason="busy"))
    run_folders("edsr_mse_adam", [1.4] * 4, ms_per_image=10.0)  # a record of old
    figures.cost(leaderboard(analysis_of(run_folders)))
    left = drawn_figures[0].axes[0]
    assert left.get_lines()[0].get_xydata() == pytest.approx(np.array([[100, 2.0]]))
    hollow = {str(scatter.get_label()) for scatter in left.collections if not len(np.asarray(scatter.get_facecolor()))}
    assert hollow == {"espcn (busy machine)", "edsr (busy machine)"}
    assert [text.get_text() for text in left.texts] == ["vdsr"]


def test_all_are_named_where_every_time_is_of_a_busy_machine(
    run_folders: RunFolders, drawn_figures: list[Figure]
) -> None:
    run_folders("vdsr_mse_adam", [2.0] * 4, ms_per_image=100.0)
    run_folders("espcn_mse_adam", [1.5] * 4, ms_per_image=20.0)
    figures.cost(leaderboard(analysis_of(run_folders)))
    left = drawn_figures[0].axes[0]
    assert not np.size(left.get_lines()[0].get_xydata())
    assert [text.get_text() for text in left.texts] == ["espcn", "vdsr"]


def test_cost_connects_and_labels_the_runs_on_the_pareto_front(
    run_folders: RunFolders, drawn_figures: list[Figure]
) -> None:
    costs = {  # gain, milliseconds, training seconds
        "vdsr_mse_adam": (2.0, 100.0, 50.0),
        "vdsr_mae_adam": (1.0, 90.0, 40.0),
        "espcn_mse_adam": (1.5, 20.0, 30.0),
        "espcn_mae_adam": (0.5, 5.0, 60.0),
        "edsr_mse_adam": (0.4, None, 70.0),
    }
    for name, (gain, milliseconds, seconds) in costs.items():
        speed = milliseconds and quiet(milliseconds)
        run_folders(f"grid/{name}", [gain] * 4, ms_per_image=milliseconds, speed=speed, train_seconds=seconds)
    figures.cost(leaderboard(analysis_of(run_folders)))
    left, right = drawn_figures[0].axes
    assert (left.get_xlabel(), right.get_xlabel()) == ("milliseconds per 256x256 image", "training seconds")
    assert left.get_ylabel() == "gain over the input (dB)"
    # Models are coloured in the order of the leaderboard.
    assert points(left) == {
        "vdsr": (BLUE, [pytest.approx([100, 2.0]), pytest.approx([90, 1.0])]),
        "espcn": (ORANGE, [pytest.approx([20, 1.5]), pytest.approx([5, 0.5])]),
    }
    assert points(right) == {
        "vdsr": (BLUE, [pytest.approx([50, 2.0]), pytest.approx([40, 1.0])]),
        "espcn": (ORANGE, [pytest.approx([30, 1.5]), pytest.approx([60, 0.5])]),
        "edsr": (GREEN, [pytest.approx([70, 0.4])]),
    }
    front, zero = left.get_lines()
    assert front.get_xydata() == pytest.approx(np.array([[5, 0.5], [20, 1.5], [100, 2.0]]))
    assert heights(zero) == [0, 0]
    annotations = {text.get_text(): tuple(text.xy) for text in left.texts}  # type: ignore[attr-defined]
    assert annotations == {
        "espcn, mae": pytest.approx((5, 0.5)),
        "espcn, mse": pytest.approx((20, 1.5)),
        "vdsr, mse": pytest.approx((100, 2.0)),
    }
    assert right.get_lines()[0].get_xydata() == pytest.approx(np.array([[30, 1.5], [50, 2.0]]))
    assert [text.get_text() for text in right.texts] == ["espcn, mse", "vdsr, mse"]
    assert [text.get_text() for text in drawn_figures[0].legends[0].get_texts()] == ["vdsr", "espcn", "edsr"]
    # 5 to 100 ms are more than a factor of ten, 30 to 70 s are not.
    assert (left.get_xscale(), right.get_xscale()) == ("log", "linear")
    assert left.get_ylim() == pytest.approx((-0.2, 2.2))


@pytest.mark.parametrize(
    ("lowest", "highest", "limits"),
    [
        (-0.5, 1.0, (-0.5 - 0.1, 1.1)),
        (-9.0, 1.0, (-0.1, 1.1)),  # further below zero than the best run is above it: cut off
        (0.05, 0.1, (-0.02, 0.22)),  # at least 0.2 dB
        (-9.0, -8.0, (-0.02, 0.22)),
    ],
)
def test_runs_far_below_the_input_do_not_squeeze_the_others(
    run_folders: RunFolders, drawn_figures: list[Figure], lowest: float, highest: float, limits: tuple[float, float]
) -> None:
    run_folders("vdsr_mse_adam", [highest] * 4)
    run_folders("vdsr_mae_adam", [lowest] * 4)
    figures.cost(leaderboard(analysis_of(run_folders)))
    assert drawn_figures[0].axes[0].get_ylim() == pytest.approx(limits)


def test_ticks_of_a_logarithmic_axis_are_plain_numbers(run_folders: RunFolders, drawn_figures: list[Figure]) -> None:
    run_folders("vdsr_mse_adam", [1.0] * 4, ms_per_image=101.0, speed=quiet(101.0))
    run_folders("vdsr_mae_adam", [0.9] * 4, ms_per_image=10.0, speed=quiet(10.0))
    figures.cost(leaderboard(analysis_of(run_folders)))
    axis = drawn_figures[0].axes[0].xaxis
    assert drawn_figures[0].axes[0].get_xscale() == "log"
    assert {"10", "20", "50", "100"} <= set(labels(axis.get_ticklabels()))
    assert set(labels(axis.get_ticklabels(minor=True))) <= {""}


def test_epochs_are_whole_numbers_on_the_axis(run_folders: RunFolders, drawn_figures: list[Figure]) -> None:
    run_folders("vdsr_mse_adam", [1.0] * 4, curve=[{"epoch": epoch, "val/gain": 1.0} for epoch in (0, 1, 2)])
    figures.curves(comparison_of(run_folders).configurations)
    ticks = drawn_figures[0].axes[0].get_xticks()
    assert len(ticks) > 1
    assert all(float(tick).is_integer() for tick in ticks)


def test_figures_are_reproducible(run_folders: RunFolders) -> None:
    run_folders("vdsr_mse_adam", [1.0] * 4)
    configurations = comparison_of(run_folders).configurations
    assert figures.curves(configurations) == figures.curves(configurations)
