import re

import numpy as np
import pytest

from sr.report.atlas.panels import panels_of
from sr.report.atlas.photographs import Difficulty, difficulty_of
from sr.report.benchmarks import Benchmark
from tests.support.atlas import comparison

NAMES = list("abcdef")
INPUTS = np.array([20.0, 22.0, 24.0, 26.0, 28.0, 30.0])


def difficulty() -> Difficulty:
    """A network that gains 0.1 dB less for each dB that the input is better, and one that fails on photograph d."""
    gains = {"vdsr": np.array([3.0 - 0.1 * (INPUTS - 20)]), "espcn": np.array([[1.0, 1.0, 1.0, -2.0, 1.0, 1.0]])}
    return difficulty_of(panels_of([comparison(gains, INPUTS, NAMES)], [])[0])


def test_the_slope_is_that_of_gain_over_the_psnr_of_the_input() -> None:
    first, _ = difficulty().slopes
    assert first.configuration == "vdsr"
    assert first.mean == pytest.approx(-0.1)
    assert first.interval == pytest.approx((-0.1, -0.1), abs=1e-6)  # on a line


def test_the_extremes_of_the_best_and_the_worst_of_each_are_named() -> None:
    found = {(entry.configuration, entry.name): entry for entry in difficulty().photographs}
    assert found["vdsr", "a"].why == "hardest, largest gain"
    assert found["vdsr", "f"].why == "easiest, smallest gain, worst"
    assert found["espcn", "d"].why == "worst"
    assert found["espcn", "d"].against_mean == pytest.approx(-2.5)  # -2 less the mean, 0.5
    assert found["espcn", "d"].difficulty == 26.0
    assert [entry.configuration for entry in found.values()] == ["vdsr"] * 4 + ["espcn"]


def test_the_points_of_these_photographs_link_to_their_rows() -> None:
    found = difficulty()
    assert len(found.photographs) == 5
    assert all(f'href="#{entry.anchor}"' in found.svg for entry in found.photographs)


def test_degradations_beyond_the_markers_are_left_out_and_named() -> None:
    comparisons = [
        comparison({"espcn": np.ones((1, 6))}, INPUTS, NAMES, data_set="Set", degradation=f"d{number}")
        for number in range(12)
    ]
    (panel,) = panels_of([], [Benchmark(comparisons, [], [])])
    found = difficulty_of(panel)
    assert found.degradations_left_out == ["d10", "d11"]
    assert ">under d9<" in found.svg
    assert len(re.findall("PathCollection_", found.svg)) == 10 + 10 + 1 + 10  # of ten points, the legend included
