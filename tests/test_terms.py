import pytest

from sr.terms import loses_to


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
