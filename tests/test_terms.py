import math

import pytest

from sr.terms import Cost, Measurement, Speed, loses_to, ntire_score, typical_speed


@pytest.mark.parametrize(
    ("gain", "others", "expected"),
    [
        (0.01, {}, ""),
        (0.004, {}, "its input"),
        (0.0, {}, "its input"),
        (-1.0, {"lanczos": 31.0}, "its input"),
        (0.1, {"lanczos": 30.2, "nearest": 27.0}, "Lanczos"),
        (0.1, {"lanczos": 30.2, "nearest": 30.1}, "nearest and Lanczos"),
        (float("nan"), {}, "its input"),
    ],
)
def test_a_gain_is_one_that_two_decimals_show_over_every_baseline(
    gain: float, others: dict[str, float], expected: str
) -> None:
    assert loses_to(30.0 + gain, {"input": 30.0, **others}) == expected


def test_the_input_may_have_another_name_and_be_missing() -> None:
    assert loses_to(29.0, {"input": 30.0}, "bicubic") == "bicubic"
    assert loses_to(29.0, {}) == ""


def test_ntire_score_weighs_runtime_multiply_adds_and_parameters() -> None:
    baseline = Cost(milliseconds=10.0, multiply_adds=2e9, parameters=300_000)
    assert ntire_score(baseline, baseline) == pytest.approx(math.exp(2))
    assert ntire_score(Cost(5.0, 2e9, 300_000), baseline) == pytest.approx(0.7 * math.e + 0.3 * math.exp(2))
    assert ntire_score(Cost(10.0, 1e9, 600_000), baseline) == pytest.approx(
        0.7 * math.exp(2) + 0.15 * math.e + 0.15 * math.exp(4)
    )
    assert ntire_score(Cost(10.0, 2e12, 300_000), baseline) == math.inf


def test_the_typical_speed_is_a_quiet_one_of_median_latency() -> None:
    def speed(milliseconds: float, *, quiet: bool = True) -> Speed:
        latency = Measurement(milliseconds, milliseconds, milliseconds, 20)
        return Speed(latency, Measurement(1.0, 1.0, 1.0, 20), 1, quiet)

    assert typical_speed([]) is None
    assert typical_speed([speed(3), speed(1), speed(2)]) == speed(2)
    assert typical_speed([speed(4), speed(3), speed(1), speed(2)]) == speed(2)
    assert typical_speed([speed(1, quiet=False), speed(9), speed(2, quiet=False)]) == speed(9)
    assert typical_speed([speed(1, quiet=False), speed(9, quiet=False)]) == speed(1, quiet=False)
