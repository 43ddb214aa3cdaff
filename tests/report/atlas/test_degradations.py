import numpy as np
import pytest

from sr.report.atlas.degradations import Matrix, matrix_of
from sr.report.atlas.panels import labels_of, panels_of
from sr.report.benchmarks import Benchmark
from tests.support.atlas import comparison

NAMES = list("abcde")
SPREAD = np.array([0.02, -0.02, 0.04, -0.04, 0.0])
GAINS = {  # mean gain by what was trained on and scored on
    "espcn clean": {"bicubic": 1.0, "jpeg": -1.0},
    "espcn robust": {"bicubic": 0.4, "jpeg": 0.6},
}
TRAINED_ON = {"espcn clean": "bicubic", "espcn robust": "jpeg"}


def matrix(trainings: int = 1) -> Matrix:
    comparisons = [
        comparison(
            {
                name: np.array([of_name[degradation] + SPREAD * (1 + number)] * trainings)
                for number, (name, of_name) in enumerate(GAINS.items())
            },
            np.full(5, 30.0),
            NAMES,
            data_set="Set5",
            degradation=degradation,
            trained_on=TRAINED_ON,
        )
        for degradation in ("bicubic", "jpeg")
    ]
    for entry in comparisons:  # the same network, trained twice
        for configuration in entry.configurations:
            object.__setattr__(configuration, "levels", ("espcn", "mse", "adam"))
    (panel,) = panels_of([], [Benchmark(comparisons, [], [])])
    found = matrix_of(panel)
    assert found
    return found


def test_the_matrix_has_a_row_for_each_training_and_a_column_for_each_degradation() -> None:
    found = matrix()
    assert found.columns == ["bicubic", "jpeg"]
    assert [(row.name, row.trained_on) for row in found.rows] == [("espcn clean", "bicubic"), ("espcn robust", "jpeg")]
    gains = [[cell and cell.gain.mean for cell in row.cells] for row in found.rows]
    assert gains == [pytest.approx([1.0, -1.0]), pytest.approx([0.4, 0.6])]
    assert [[cell and cell.is_own for cell in row.cells] for row in found.rows] == [[True, False], [False, True]]


def test_gains_have_students_intervals_over_photographs() -> None:
    cell = matrix().rows[0].cells[0]
    assert cell
    half = 2.776 * SPREAD.std(ddof=1) / 5**0.5  # four degrees of freedom
    assert cell.gain.interval == pytest.approx((1.0 - half, 1.0 + half), abs=1e-3)


def test_what_training_on_another_degradation_gains_and_costs_is_said() -> None:
    (sentence,) = matrix().sentences
    assert sentence.startswith(
        "espcn, mse, adam trained on jpeg rather than on bicubic: +1.60 (+1.56 to +1.64) dB under jpeg"
    )
    assert "-0.60 (-0.64 to -0.56) dB under bicubic." in sentence


def test_checkpoints_that_were_trained_once_are_called_that() -> None:
    once, repeated = matrix(), matrix(trainings=2)
    assert once.sentences[0].endswith(" This is about these checkpoints: one or both were trained once.")
    assert repeated.sentences[0].endswith("dB under bicubic.")
    assert [row.trainings for row in (*once.rows, *repeated.rows)] == [1, 1, 2, 2]


def test_an_unknown_training_is_on_no_degradation_of_stored_files() -> None:
    comparisons = [
        comparison({"espcn": np.ones((1, 5))}, np.full(5, 30.0), NAMES, data_set="Set5", degradation=degradation)
        for degradation in ("", "jpeg")
    ]
    (panel,) = panels_of([], [Benchmark(comparisons, [], [])])
    found = matrix_of(panel)
    assert found
    assert found.rows[0].trained_on == "unknown"
    assert not any(cell and cell.is_own for cell in found.rows[0].cells)


def test_degradations_of_one_name_are_told_apart_by_their_settings() -> None:
    assert labels_of([("jpeg", "jpeg(1)"), ("jpeg", "jpeg(2)"), ("", "")]) == ["jpeg(1)", "jpeg(2)", "as stored"]


def test_one_degradation_is_no_matrix() -> None:
    one = comparison({"espcn": np.ones((1, 5))}, np.full(5, 30.0), NAMES, data_set="Set5", degradation="jpeg")
    (panel,) = panels_of([], [Benchmark([one], [], [])])
    assert matrix_of(panel) is None
