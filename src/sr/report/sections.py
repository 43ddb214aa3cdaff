"""The sections of a report: all that it shows about a comparison of runs, and about a benchmark."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from sr.errors import some_of
from sr.report import captions, conclusions, figures, verdict_figures
from sr.report.analysis import Analysis, analyse, names_in
from sr.report.benchmarks import Benchmark
from sr.report.board import Row, leaderboard
from sr.report.budgets import Budget, budget
from sr.report.comparison import Comparison
from sr.report.crops import Strip, strips
from sr.report.effects import FactorLevel, interactions, main_effects
from sr.report.notes import notes
from sr.report.statistics import Scope
from sr.report.svgs import width_of

_HALF = 720  # CSS pixels; plots are half as wide as the page, or as wide

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """What a report decides by.

    Attributes:
        score: the metric that verdicts are about; PSNR where a configuration lacks it.
        rope: differences up to this are practically equivalent; None: that of the metric, as 0.05 dB of PSNR.
        reference: what every configuration is compared with, besides the best one; None: the strongest baseline.
    """

    score: str = "psnr"
    rope: float | None = None
    reference: str | None = None


@dataclass(frozen=True)
class Plot:
    """A plot of a section.

    Attributes:
        kind: name of its file and its place in the page.
        svg: text of its file.
        title: what it shows, in a few words.
        caption: what to see in it, in one or two sentences.
    """

    kind: str
    svg: str
    title: str
    caption: str

    @property
    def is_wide(self) -> bool:
        """Whether it takes the whole width of a page, rather than half of it."""
        return width_of(self.svg) > _HALF


@dataclass(frozen=True, repr=False)
class Board:
    """The leaderboard of a comparison, and what can be said of it.

    Attributes:
        comparison: what is compared.
        analysis: the verdicts of the leaderboard.
        other_scope: the verdicts in the other scope.
        rows: of the leaderboard.
    """

    comparison: Comparison
    analysis: Analysis
    other_scope: Analysis
    rows: list[Row]

    @property
    def headline(self) -> str:
        """The result in one sentence."""
        return conclusions.headline(self.analysis)

    @property
    def in_other_scope(self) -> str:
        """The result in the other scope, in a sentence; empty without verdicts."""
        return conclusions.in_other_scope(self.other_scope, self.analysis)

    def __str__(self) -> str:
        """The result in one sentence, and the leaderboard as a text table."""
        from sr.report.terminal import in_terminal  # imports this module

        return in_terminal(self)

    __repr__ = __str__  # what a notebook shows

    @property
    def limits(self) -> list[str]:
        """What the verdicts rest on."""
        return list(conclusions.limits(self.analysis))


@dataclass(frozen=True, repr=False)
class Section(Board):
    """All that a report shows about one comparison of runs on their validation images."""

    number: int
    notes: list[str]
    plots: list[Plot]
    effects: list[FactorLevel]
    interactions: list[FactorLevel]
    budgets: dict[str, Budget]
    strips: list[Strip] = field(default_factory=list)

    @property
    def smallest(self) -> str:
        """Name of the configuration with the fewest multiply-adds, the baseline of NTIRE's scores."""
        return min(self.budgets, key=lambda name: self.budgets[name].multiply_adds)

    @property
    def advice(self) -> list[str]:
        """What would decide what is undecided."""
        return list(conclusions.advice(self.analysis))

    @property
    def components(self) -> list[tuple[str, float]]:
        """Sources of variation and their standard deviations."""
        return conclusions.components_table(self.analysis)


@dataclass(frozen=True)
class BenchmarkSection:
    """What a report shows about scores under the same conditions on one or several benchmark sets.

    Attributes:
        title: the conditions.
        boards: of all sets under one degradation together, if there are several, and of each set.
        notes: whether the result depends on a single set, and what is not in the first board.
    """

    title: str
    boards: Sequence[Board]
    notes: Sequence[str]


def run_section(number: int, comparison: Comparison, settings: Settings, problems: list[str]) -> Section:
    """Analyse a comparison of runs, and draw its plots.

    Args:
        number: of the section, from 1.
        comparison: what is compared.
        settings: what to decide by.
        problems: gets a line for each file that cannot be read.
    """
    analysis = _analysed(comparison, settings, Scope.LIKE_THESE)
    rows = leaderboard(analysis)
    effects = main_effects(analysis)
    return Section(
        comparison,
        analysis,
        analysis.in_scope(Scope.THESE),
        rows,
        number,
        notes(comparison, analysis, rows),
        _plots(comparison, analysis, rows, effects),
        effects,
        interactions(analysis),
        {configuration.name: budget(configuration) for configuration in comparison.configurations},
        strips(rows, problems),
    )


def _plots(
    comparison: Comparison, analysis: Analysis, rows: Sequence[Row], effects: Sequence[FactorLevel]
) -> list[Plot]:
    configurations = comparison.configurations
    plots = []
    if len(configurations) > 1:
        plots.append(Plot("differences", verdict_figures.differences(analysis), *captions.differences(analysis)))
        plots.append(Plot("matrix", verdict_figures.matrix(analysis), *captions.matrix(analysis)))
        plots.append(Plot("heat_map", figures.heat_map(analysis), *captions.heat_map(rows)))
    if effects:
        svg = figures.main_effects(effects, analysis.metric.of)
        plots.append(Plot("effects", svg, *captions.effects(effects, analysis)))
    plots.append(Plot("curves", figures.curves(configurations), *captions.curves(configurations)))
    plots.append(Plot("cost", figures.cost(rows), *captions.cost(rows)))
    return plots


def benchmark_section(benchmark: Benchmark, settings: Settings) -> BenchmarkSection:
    """Analyse a benchmark: verdicts on each set are about exactly its images, those on all sets about others like them.

    A reference that was not scored is replaced by the strongest baseline.
    """
    of_sets = [board_of(comparison, settings, Scope.THESE) for comparison in benchmark.sets]
    of_several: list[Board] = []
    lines: list[str] = []
    for joint in benchmark.joints:
        board = board_of(joint.comparison, settings, Scope.LIKE_THESE)
        of_several.append(board)
        without = {
            label: _analysed(comparison, settings, Scope.LIKE_THESE) for label, comparison in joint.without.items()
        }
        about = list(conclusions.without_sets(board.analysis, without))
        missing = [*joint.left_out, *joint.sets_left_out]
        if missing:
            about.append(f"Not in the table of several sets, since not all of them were scored: {'; '.join(missing)}.")
        which = f"{joint.comparison.label}: " if len(benchmark.joints) > 1 else ""
        lines += [f"{which}{line}" for line in about]
    lines += [f"{folder}: does not count, its training is not done." for folder in benchmark.unfinished]
    first = benchmark.sets[0]
    return BenchmarkSection(f"scale {first.scale}, protocol {first.protocol}", [*of_several, *of_sets], lines)


def board_of(comparison: Comparison, settings: Settings, scope: Scope) -> Board:
    """The leaderboard of a comparison in a scope.

    Where no configuration was trained repeatedly, nothing varies on the same images, and the scope is that of
    photographs like these.
    """
    analysis = _analysed(comparison, settings, scope)
    trained = {number for number, entry in enumerate(comparison.configurations) if not entry.is_fixed}
    if trained and not trained & analysis.decidable:
        analysis = analysis.in_scope(Scope.LIKE_THESE)
    other = next(entry for entry in Scope if entry is not analysis.scope)
    return Board(comparison, analysis, analysis.in_scope(other), leaderboard(analysis))


def has_reference(comparison: Comparison, settings: Settings) -> bool:
    """Whether a comparison has the reference that is asked for, if any is."""
    return settings.reference is None or settings.reference.lower() in map(str.lower, names_in(comparison))


def _analysed(comparison: Comparison, settings: Settings, scope: Scope) -> Analysis:
    reference = settings.reference if has_reference(comparison, settings) else None
    score, rope = settings.score, settings.rope
    lacking = [entry.name for entry in comparison.configurations if score not in entry.metrics]
    if lacking:
        log.warning("%s: decided by PSNR: %s has no %s", comparison.title, some_of(lacking), score)
        score, rope = "psnr", None
    return analyse(comparison, score=score, rope=rope, reference=reference, scope=scope)
