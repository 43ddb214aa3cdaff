from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sr.report.atlas.panels import kind_of, panels_of
from sr.report.atlas.weaknesses import Findings, find_weaknesses
from sr.report.benchmarks import Benchmark
from sr.report.comparison import Comparison
from sr.report.components import Values
from tests.support.atlas import comparison

DEGRADATIONS = ("bicubic", "blur", "noise", "jpeg")
NETWORKS = ("espcn", "vdsr", "edsr")
SEEDS = range(10)


def findings(comparisons: list[Comparison]) -> Findings:
    benchmark = Benchmark(comparisons, [], [])
    return find_weaknesses(panels_of([], [benchmark]), "psnr")


def simulated(seed: int, names: list[str], deficits: dict[tuple[str, str], Values], trainings: int = 3) -> Findings:
    """Findings on networks of different quality, each with interactions of 0.15 dB and trainings of 0.05 dB.

    Args:
        seed: of the random numbers.
        names: of the photographs.
        deficits: how much a network loses under a degradation, of each photograph.
        trainings: of each network.
    """
    random = np.random.default_rng(seed)
    count = len(names)
    difficulty = random.normal(28, 3, count)
    comparisons = []
    for number, degradation in enumerate(DEGRADATIONS):
        gains = {}
        common = random.normal(1.5 - 0.4 * number, 0.4, count)
        for rank, network in enumerate(NETWORKS):
            own = common + 0.3 * rank + random.normal(0, 0.15, count) - deficits.get((network, degradation), 0.0)
            gains[network] = own + random.normal(0, 0.05, (trainings, 1)) + random.normal(0, 0.03, (trainings, count))
        inputs = difficulty - number
        comparisons.append(comparison(gains, inputs, names, data_set="Set", degradation=degradation))
    return findings(comparisons)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_network_that_breaks_on_jpeg_is_the_first_finding(seed: int) -> None:
    names = [f"photo_{number}" for number in range(20)]
    broken = np.random.default_rng(100 + seed).gamma(9, 0.1, len(names))  # 0.9 dB, differently for each photograph
    found = simulated(seed, names, {("vdsr", "jpeg"): broken}).weaknesses
    assert (found[0].configuration, found[0].place) == ("vdsr", "under jpeg")
    assert found[0].deficit == pytest.approx(0.9 - 0.15, abs=0.3)
    assert 0.05 < found[0].least < found[0].change


@pytest.mark.parametrize("seed", SEEDS)
def test_a_network_that_breaks_on_text_is_the_first_finding(seed: int) -> None:
    names = [f"text_{number}" for number in range(8)] + [f"photo_{number}" for number in range(16)]
    broken = np.where(np.arange(len(names)) < 8, np.random.default_rng(100 + seed).gamma(9, 0.1, len(names)), 0.0)
    found = simulated(seed, names, {("edsr", degradation): broken for degradation in DEGRADATIONS}).weaknesses
    assert (found[0].configuration, found[0].place) == ("edsr", "on photographs named text")


def test_a_network_that_is_weak_everywhere_has_no_weak_point() -> None:
    names = [f"photo_{number}" for number in range(20)]
    found = simulated(0, names, {("vdsr", name): np.full(20, 2.0) for name in DEGRADATIONS})
    assert not found.weaknesses
    assert found.examined == 3 * (4 + 2)  # four degradations, the hardest and the easiest third


def test_false_findings_are_rare() -> None:
    names = [f"text_{number}" for number in range(8)] + [f"photo_{number}" for number in range(16)]
    pages = [simulated(1000 + seed, names, {}, trainings=1) for seed in range(60)]
    assert sum(bool(page.weaknesses) for page in pages) <= 3  # 5 % of 60


@pytest.mark.slow
@pytest.mark.parametrize("trainings", [(5, 1), (5, 2), (10, 3), (5, 1, 1), (3, 3, 3)], ids=str)
def test_trainings_that_vary_make_no_weak_point(trainings: tuple[int, ...]) -> None:
    """Equal networks, each training of which is 0.3 dB better or worse under a degradation and on a kind by chance."""
    names = [f"text_{number}" for number in range(8)] + [f"photo_{number}" for number in range(16)]
    is_text = np.arange(24) < 8

    def page(seed: int) -> Findings:
        random = np.random.default_rng(seed)
        comparisons = []
        for degradation in DEGRADATIONS:
            gains = {
                network: 1
                + random.normal(0, 0.05, 24)
                + random.normal(0, 0.3, (count, 1))
                + random.normal(0, 0.3, (count, 1)) * is_text
                + random.normal(0, 0.03, (count, 24))
                for network, count in zip(NETWORKS, trainings, strict=False)
            }
            comparisons.append(comparison(gains, np.full(24, 28.0), names, data_set="Set", degradation=degradation))
        return findings(comparisons)

    assert sum(bool(page(seed).weaknesses) for seed in range(60)) <= 3  # 5 % of 60


def test_the_trainings_of_the_other_widen_the_bound() -> None:
    """Two networks of two trainings; those of the other are 0.2 dB apart under jpeg alone."""
    names, apart = list("abcdef"), np.array([[0.1], [-0.1]])
    comparisons = [
        comparison(
            {"espcn": 1 + apart * (degradation == "jpeg") + np.zeros((2, 6)), "vdsr": np.full((2, 6), 1 + ahead)},
            np.full(6, 30.0),
            names,
            data_set="Set",
            degradation=degradation,
        )
        for degradation, ahead in (("bicubic", 0.5), ("blur", 0.5), ("jpeg", -1.5))
    ]
    (found,) = findings(comparisons).weaknesses
    assert found.trained_once == []
    assert found.change == pytest.approx(2.0)
    # The variance of espcn's trainings is 0.02, of one degree of freedom; all four together have 0.02 / 2 of two, from
    # which vdsr borrows: 0.02 / 2 + 0.01 / 2, with (0.015)^2 / (0.01^2 / 1 + 0.005^2 / 2) = 2 degrees of freedom.
    # The level is 0.05 / 6 cases: Student's quantile is 7.649.
    assert found.least == pytest.approx(2.0 - 7.649 * 0.015**0.5, abs=2e-3)


def test_a_network_without_a_score_of_a_photograph_is_named_and_hides_no_other() -> None:
    names = [f"photo_{number}" for number in range(20)]
    values = {name: np.ones((1, 20)) for name in NETWORKS}
    values["espcn"][0, 3] = np.nan
    found = findings([comparison(values, np.full(20, 30.0), names, data_set="Set")])
    assert found.left_out == ["espcn"]
    assert found.examined == 2 * 2  # the hardest and the easiest third


def test_trainings_are_paired_by_their_folders() -> None:
    """Of three trainings, two were scored under each degradation, and one under both."""
    names = list("abcd")
    comparisons = []
    for degradation, kept in (("bicubic", (0, 1)), ("jpeg", (1, 2))):
        gains = np.array([[1.0], [2.0], [4.0]]) + np.zeros((3, 4))
        one = comparison({"espcn": gains}, np.full(4, 30.0), names, data_set="Set", degradation=degradation)
        entry = one.configurations[0]
        runs = tuple(entry.runs[number] for number in kept)
        comparisons.append(replace(one, configurations=[replace(entry, runs=runs)]))
    (panel,) = panels_of([], [Benchmark(comparisons, [], [])])
    assert panel.trainings("espcn") == [(Path("espcn/1"),)]
    assert panel.scores("psnr").tolist() == [[[32.0] * 4] * 2]


def test_the_amounts_are_computed_by_hand() -> None:
    """Two networks; one is 0.5 dB ahead, and under jpeg 1.5 dB behind on each of four photographs."""
    names = list("abcd")
    spread = np.array([0.1, -0.1, 0.1, -0.1])
    comparisons = [
        comparison(
            {"espcn": np.array([[1.0] * 4]), "vdsr": np.array([1.0 + ahead + spread])},
            np.full(4, 30.0),
            names,
            data_set="Set",
            degradation=degradation,
        )
        for degradation, ahead in (("bicubic", 0.5), ("blur", 0.5), ("jpeg", -1.5))
    ]
    (found,) = findings(comparisons).weaknesses
    assert (found.configuration, found.place, found.photographs, found.trainings) == ("vdsr", "under jpeg", 4, 1)
    assert found.deficit == pytest.approx(1.5)
    assert found.change == pytest.approx(2.0)
    assert found.least == pytest.approx(2.0)  # the difference is the same for each photograph
    assert found.text == (
        "vdsr is weak under jpeg (Set, 4 photographs): 1.50 dB behind the other one, which is 2.00 dB "
        "(at least 2.00 dB) further than elsewhere. vdsr, espcn were trained once: this is about these weights."
    )


def test_the_bound_is_students_for_all_cases_together() -> None:
    """Two networks and two kinds of photographs: four cases, each with Welch's standard error."""
    names = [f"{kind}{number}" for kind in ("text", "face") for number in range(3)]
    behind = np.array([[1.9, 2.0, 2.1, -0.1, 0.0, 0.1]])
    one = comparison({"espcn": np.ones((1, 6)), "vdsr": 1 - behind}, np.full(6, 30.0), names, data_set="Set")
    (found,) = findings([one]).weaknesses
    assert (found.configuration, found.place) == ("vdsr", "on photographs named text")
    assert found.change == pytest.approx(2.0)
    # Variances 0.01 of three each: standard error sqrt(0.02 / 3), four degrees of freedom; level 0.05 / 4.
    assert found.least == pytest.approx(2.0 - 3.4954 * (0.02 / 3) ** 0.5, abs=1e-3)


def test_a_single_network_is_compared_with_its_input() -> None:
    comparisons = [
        comparison(
            {"espcn": np.array([np.full(6, gain) + 0.01 * np.arange(6)])},
            np.full(6, 30.0),
            list("abcdef"),
            data_set="Set",
            degradation=name,
        )
        for name, gain in (("bicubic", 1.0), ("blur", 0.8), ("jpeg", -0.7))
    ]
    (found,) = findings(comparisons).weaknesses
    assert found.text.startswith(
        "espcn is weak under jpeg (Set, 6 photographs): 0.68 dB behind its input"
    )  # 0.7 less the mean of the slope, 0.025


@pytest.mark.parametrize(("name", "kind"), [("text_012", "text"), ("a/b01", "a/b"), ("img-1x2", "img-1x"), ("01", "")])
def test_the_kind_of_a_photograph_is_its_folder_and_the_words_before_its_number(name: str, kind: str) -> None:
    assert kind_of(name) == kind
