"""Draw the pictures of docs/reference/statistics.md.

python -m scripts.release.statistics_pictures       # writes docs/reference/pictures/*.svg

All of them use the deviations measured with six trainings of ESPCN on the demo photographs (`scripts.bench.verdicts`).
"""

import json
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from scipy import stats

from scripts.bench.timing import RESULTS
from scripts.bench.verdicts import SPREADS
from sr.report.figures import STYLE, as_svg

FOLDER = Path(__file__).parents[2] / "docs" / "reference" / "pictures"

_BLUE, _ORANGE, _GREEN, _GREY = "#0072B2", "#D55E00", "#009E73", "#777777"  # of Okabe & Ito
_ROPE = 0.05
_COUNTS = (14, 100, 1000)  # photographs, as in benchmarks/verdicts.json
_SIMULATED = 4000


def false_alarms() -> Figure:
    """How often two equal configurations are called different: signed-rank test of one training each, and `sr`."""
    spread, generator = SPREADS["measured"], np.random.default_rng(0)
    naive = []
    for count in _COUNTS:
        training = generator.normal(0, spread.training * 2**0.5, (_SIMULATED, 1))
        noise = generator.normal(0, spread.noise * 2**0.5, (_SIMULATED, count))
        naive.append(100 * np.mean(stats.wilcoxon(training + noise, axis=1).pvalue <= 0.05))
    rows = json.loads((RESULTS / "verdicts.json").read_text())["rows"]
    figure = Figure((6.4, 3.0), layout="constrained")
    axes = figure.subplots()
    axes.plot(_COUNTS, naive, "o-", color=_ORANGE, label="signed-rank test over images, one training each")
    for seeds, marker in ((3, "s"), (5, "^")):
        rates = [_measured_rate(rows, seeds, count) for count in _COUNTS]
        axes.plot(_COUNTS, rates, f"{marker}-", color=_BLUE, label=f"sr report, {seeds} seeds each")
    axes.axhline(5, color="black", linewidth=0.8, linestyle=":")
    axes.text(_COUNTS[-1], 7, "intended: 5 %", ha="right", fontsize=8)
    axes.set(xscale="log", xlabel="validation photographs", ylabel="equal pairs called different (%)", ylim=(0, 100))
    axes.set_xticks(_COUNTS, [f"{count:,}" for count in _COUNTS])
    axes.minorticks_off()
    axes.legend(frameon=False)
    return figure


def _measured_rate(rows: list[dict[str, object]], seeds: int, photographs: int) -> float:
    wanted = {
        "spread": "measured",
        "kind": "null",
        "seeds": seeds,
        "folds": 1,
        "photographs": photographs,
        "missing": 0,
    }
    [row] = [row for row in rows if all(row[key] == value for key, value in wanted.items())]
    return 100 * float(str(row["different"]))


def standard_errors() -> Figure:
    """The standard error of a difference by the number of photographs, for several numbers of trainings."""
    spread = SPREADS["interaction"]
    photographs = np.geomspace(5, 1000, 100)
    figure = Figure((6.4, 3.0), layout="constrained")
    axes = figure.subplots()
    for seeds, colour in ((1, _ORANGE), (3, _GREEN), (10, _BLUE)):
        variance = 2 * (
            spread.interaction**2 / photographs + spread.training**2 / seeds + spread.noise**2 / (photographs * seeds)
        )
        axes.plot(photographs, variance**0.5, color=colour, label=f"{seeds} seed{'s' if seeds > 1 else ''} each")
    axes.set(xscale="log", xlabel="validation photographs", ylabel="standard error (dB)", ylim=(0, None))
    axes.set_xticks((5, 10, 30, 100, 300, 1000), ["5", "10", "30", "100", "300", "1,000"])
    axes.minorticks_off()
    axes.legend(frameon=False)
    return figure


def verdicts() -> Figure:
    """The four verdicts as intervals beside zero and the region of practical equivalence."""
    rows = [
        ("better", 0.17, 0.08, _GREEN),
        ("worse", -0.14, 0.07, _ORANGE),
        ("equivalent", 0.01, 0.03, _BLUE),
        ("undecided", 0.08, 0.13, _GREY),
    ]
    figure = Figure((6.4, 2.3), layout="constrained")
    axes = figure.subplots()
    axes.axvspan(-_ROPE, _ROPE, color=_BLUE, alpha=0.10, linewidth=0)
    axes.axvline(0, color="black", linewidth=0.8)
    for height, (_, middle, half, colour) in enumerate(rows):
        axes.plot([middle - half, middle + half], [height, height], color=colour, linewidth=3)
        axes.plot(middle, height, "o", color=colour)
    axes.set_yticks(range(len(rows)), [name for name, *_ in rows])
    axes.set(xlabel="difference of two configurations (dB); shaded: too small to matter", xlim=(-0.3, 0.3))
    axes.set_ylim(len(rows) - 0.5, -0.5)
    return figure


_PICTURES: dict[str, Callable[[], Figure]] = {
    "false_alarms": false_alarms,
    "standard_errors": standard_errors,
    "verdicts": verdicts,
}


def main() -> None:
    """Write all pictures."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, draw in _PICTURES.items():
        with mpl.rc_context(STYLE):
            (FOLDER / f"{name}.svg").write_text(as_svg(draw()))


if __name__ == "__main__":
    main()
