import numpy as np
import pytest

from sr.report.atlas.panels import Panel, panels_of
from sr.report.atlas.plane import draw, planes_of
from tests.support.atlas import comparison

NAMES = list("abcde")


def panel(vif: dict[str, float] | None) -> Panel:
    gains = {"espcn": 1.0, "vdsr": 2.0, "edsr": 0.5}
    values = {name: np.array([gain + 0.1 * np.arange(5)]) for name, gain in gains.items()}
    return panels_of([comparison(values, np.full(5, 30.0), NAMES, vif=vif)], [])[0]


def test_the_front_is_where_nothing_is_better_in_both() -> None:
    (plane,) = planes_of(panel({"espcn": 0.7, "vdsr": 0.6, "edsr": 0.65}))
    assert [point.name for point in plane.front] == ["espcn", "vdsr"]  # by PSNR; edsr and the input are behind espcn
    points = {point.name: point for point in plane.points}
    assert points["bicubic"].is_baseline
    assert (points["espcn"].psnr, points["espcn"].perceptual) == pytest.approx((31.2, 0.7))
    half = 2.776 * np.std(0.1 * np.arange(5), ddof=1) / 5**0.5  # of the gain, with four degrees of freedom
    assert points["espcn"].psnr_interval == pytest.approx((31.2 - half, 31.2 + half), abs=1e-3)


def test_the_plot_names_every_point() -> None:
    svg = draw(planes_of(panel({"espcn": 0.7, "vdsr": 0.6, "edsr": 0.65})))
    assert all(f">{name}<" in svg for name in ("espcn", "vdsr", "edsr", "bicubic", "VIF", "PSNR (dB)"))


def test_without_a_perceptual_measure_there_is_no_plane() -> None:
    assert planes_of(panel(None)) == []
