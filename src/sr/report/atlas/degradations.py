"""The matrix of the degradation that a configuration was trained on against those that it was scored on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sr.report.analysis import Analysis, analyse
from sr.report.atlas.panels import Panel
from sr.report.board import Difference
from sr.report.comparison import Comparison
from sr.report.formats import difference
from sr.report.run import Configuration
from sr.report.statistics import Scope, contrasts, differences

_MOST_SENTENCES = 8
_STRONGEST = 0.5  # opacity of the colour of the largest gain


@dataclass(frozen=True)
class Cell:
    """The gain of a configuration under a degradation.

    Attributes:
        gain: over bicubic interpolation of the same input, dB of PSNR, with its interval.
        is_own: whether it was trained on this degradation.
        strength: from -1 to 1, of its colour.
    """

    gain: Difference
    is_own: bool
    strength: float

    @property
    def colour(self) -> str:
        """A colour of CSS, blue above zero and orange below, pale enough for any ink."""
        rgb = "0 114 178" if self.strength >= 0 else "213 94 0"
        return f"rgb({rgb} / {abs(self.strength) * _STRONGEST:.2f})"


@dataclass(frozen=True)
class MatrixRow:
    """A configuration, what it was trained on, how often, and a cell for each degradation: None where it has no score.

    ``trainings`` is the least number that any of its cells is a mean over; 0 if it is not trained here.
    """

    name: str
    trained_on: str
    trainings: int
    cells: Sequence[Cell | None]


@dataclass(frozen=True)
class Matrix:
    """Gains by what was trained on, and what was scored on.

    Attributes:
        title: the data set and the conditions.
        photographs: how many the gains are means over.
        columns: names of the degradations that were scored on.
        rows: sorted by network and by what was trained on.
        sentences: what training on another degradation gains and costs.
    """

    title: str
    photographs: int
    columns: Sequence[str]
    rows: Sequence[MatrixRow]
    sentences: Sequence[str]


def matrix_of(panel: Panel) -> Matrix | None:
    """The matrix of a data set; None unless it was scored under several degradations."""
    if len(panel.comparisons) < 2:
        return None
    analyses = [analyse(comparison, scope=Scope.LIKE_THESE) for comparison in panel.comparisons]
    labels = {
        comparison.degraded_by: name for comparison, name in zip(panel.comparisons, panel.degradations, strict=True)
    }
    every = [entry for comparison in panel.comparisons for entry in comparison.configurations]
    by_name = {entry.name: entry for entry in every}
    trained_on = {name: _trained_on(entry) for name, entry in by_name.items()}
    order = list(labels)
    names = sorted(by_name, key=lambda name: (by_name[name].levels, _place(trained_on[name], order), name))
    gains = [_gains(analysis) for analysis in analyses]
    reach = max(0.05, *(abs(gain.mean) for of_column in gains for gain in of_column.values()))
    rows = [
        MatrixRow(
            name,
            _label(trained_on[name], labels),
            min(_trainings(entry) for entry in every if entry.name == name),
            [
                Cell(of_column[name], bool(key) and trained_on[name] == key, of_column[name].mean / reach)
                if name in of_column
                else None
                for key, of_column in zip(labels, gains, strict=True)
            ],
        )
        for name in names
    ]
    sentences = list(_sentences(panel.comparisons, analyses, labels, trained_on))
    more = len(sentences) - _MOST_SENTENCES
    shown = sentences[:_MOST_SENTENCES] + ([f"{more} more pairs are in the table."] if more > 0 else [])
    return Matrix(panel.title, len(panel.photographs), panel.degradations, rows, shown)


def _gains(analysis: Analysis) -> dict[str, Difference]:
    """Gain over the input of each configuration of an analysis, by its name."""
    count = len(analysis.configurations)
    estimates = analysis.against(count, "psnr").with_intervals()[:count]
    return {name: Difference(*estimate) for name, estimate in zip(analysis.names, estimates, strict=False)}


def _trained_on(entry: Configuration) -> str:
    """The key of the degradation of its training, or of what a file of weights records; empty if that is unknown."""
    return next((run.trained_on for run in entry.runs if run.trained_on), "")


def _trainings(entry: Configuration) -> int:
    return 0 if entry.is_fixed else len(entry.runs)


def _label(key: str, labels: Mapping[str, str]) -> str:
    return (labels.get(key) or key.partition("(")[0]) if key else "unknown"


def _place(key: str, order: Sequence[str]) -> int:
    return order.index(key) if key in order else len(order)


def _sentences(
    comparisons: Sequence[Comparison],
    analyses: Sequence[Analysis],
    labels: Mapping[str, str],
    trained_on: Mapping[str, str],
) -> Iterator[str]:
    """What each network gains on its own degradation, and loses on the first one, beside the one trained on the first.

    The two are of the same model, loss and optimizer, and were trained on two of the degradations.
    """
    first, *others = labels
    base, *_ = comparisons
    for entry in base.configurations:
        if not first or trained_on[entry.name] != first:
            continue
        for other in base.configurations:
            key = trained_on[other.name]
            if other.levels != entry.levels or not key or key not in others:
                continue
            there = analyses[list(labels).index(key)]
            own, at_first = (_difference(analysis, other.name, entry.name) for analysis in (there, analyses[0]))
            if own and at_first:
                decided = all(_decides(analysis, other.name, entry.name) for analysis in (there, analyses[0]))
                caveat = "." if decided else ". This is about these checkpoints: one or both were trained once."
                yield (
                    f"{', '.join(filter(None, entry.levels))} trained on {labels[key]} rather than on {labels[first]}: "
                    f"{difference(own)} dB under {labels[key]}, {difference(at_first)} dB under {labels[first]}{caveat}"
                )


def _decides(analysis: Analysis, name: str, other: str) -> bool:
    """Whether both were trained often enough for intervals that hold for configurations, not for checkpoints alone."""
    return analysis.decides(analysis.names.index(name), analysis.names.index(other))


def _difference(analysis: Analysis, name: str, other: str) -> Difference | None:
    """PSNR of a configuration less that of another, with its interval; None if one was not scored."""
    if name not in analysis.names or other not in analysis.names:
        return None
    pair = (analysis.names.index(name), analysis.names.index(other))
    estimates = contrasts(analysis.parts["psnr"], differences(len(analysis.names), [pair]), analysis.scope)
    return Difference(*estimates.with_intervals()[0])
