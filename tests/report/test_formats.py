import pytest

from sr.report.formats import commit, mean_sd, si, templates
from sr.runs.scores import MeanSd


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.00123, "0.00123"),
        (0.5, "0.500"),
        (9.876, "9.88"),
        (12.34, "12.3"),
        (999, "999"),
        (1000, "1.00 k"),
        (24_195, "24.2 k"),
        (1.58e9, "1.58 G"),
        (2.5e12, "2.50 T"),
        (4e15, "4000 T"),
        (0, "0"),
        (float("nan"), ""),
        (None, ""),
    ],
)
def test_numbers_have_three_significant_digits(value: float | None, text: str) -> None:
    assert si(value) == text


def test_means_have_the_requested_number_of_decimals() -> None:
    assert mean_sd(MeanSd(0.81249, 0.00517), 4) == "0.8125 ± 0.0052"
    assert mean_sd(MeanSd(-0.25, 0.125), signed=True) == "-0.25 ± 0.12"
    assert mean_sd(MeanSd(0.25), signed=True) == "+0.25"
    assert mean_sd(MeanSd(29.0, 0.0)) == "29.00 ± 0.00"


def test_commits_are_abbreviated() -> None:
    assert commit("0123456789" * 4) == "0123456789"
    assert commit("0123456789" * 4 + "-dirty") == "0123456789 (with changes)"


def test_filters_of_the_templates() -> None:
    def render(template: str, **values: object) -> str:
        return templates().from_string(template).render(**values)

    assert render("{{ 0.126 | signed }} {{ -1 | signed(1) }}") == "+0.13 -1.0"
    assert render("{{ 'a|b' | cell }}") == r"a\|b"
    assert render("{{ '<svg/>' | data_uri }}") == "data:image/svg+xml;base64,PHN2Zy8+"
    assert render("{{ c | commit }} {{ s | si }} {{ m | mean_sd }}", c=None, s=1, m=MeanSd(1.0)) == "unknown 1 1.00"


def test_html_is_escaped_and_markdown_is_not() -> None:
    environment = templates()
    assert callable(environment.autoescape)
    assert [environment.autoescape(name) for name in ("report.html", "search.html", "report.md", None)] == [
        True,
        True,
        False,
        False,
    ]
