import math
import re

import numpy as np
import pytest

from sr.report.atlas.panels import Panel, panels_of
from sr.report.atlas.plane import Plane, PlanePoint, draw, planes_of
from sr.report.statistics import Interval
from tests.support.atlas import VIF, comparison

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
    svg, unsaid = draw(planes_of(panel({"espcn": 0.7, "vdsr": 0.6, "edsr": 0.65})))
    assert unsaid == []
    assert all(f">{name}<" in svg for name in ("espcn", "vdsr", "edsr", "bicubic", "VIF", "PSNR (dB)"))


def crowded(psnr: list[float], name: str) -> Plane:
    interval = Interval(-math.inf, math.inf)
    points = [
        PlanePoint(name * (number + 1), False, value, interval, 0.5 + value / 1000, interval, on_front=False)
        for number, value in enumerate(psnr)
    ]
    return Plane("jpeg", VIF, points)


def test_names_without_space_become_ranks_that_the_caption_explains() -> None:
    _, unsaid = draw([crowded([30.0, 31.0], "a long name of a configuration " * 8)])
    (line,) = unsaid
    assert line.startswith("numbered by rank of PSNR: #1 a long name")
    assert ", #2 a long name" in line


def test_points_without_a_label_are_named() -> None:
    (line,) = draw([crowded([30.0] * 30, "x")])[1]
    named = re.search("without a label: (.*)$", line)
    assert named
    assert 0 < len(named[1].split(", ")) < 30


def test_without_a_perceptual_measure_there_is_no_plane() -> None:
    assert planes_of(panel(None)) == []
