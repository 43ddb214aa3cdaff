"""Write a report: a page for a browser, a text for a terminal or a repository, tables for programs."""

import json
import math
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sr.errors import UserError
from sr.io.atomic import write_text
from sr.io.tables import write_table
from sr.report import conclusions, figures, verdict_figures
from sr.report.analysis import Analysis, analyse
from sr.report.board import Row, leaderboard
from sr.report.budgets import Budget, budget
from sr.report.comparison import Comparison, Comparisons, find_comparisons
from sr.report.crops import ERROR_GAIN, Strip, strips
from sr.report.effects import FactorLevel, interactions, main_effects
from sr.report.formats import UNITS, templates
from sr.report.notes import notes
from sr.report.run import Evaluation
from sr.report.table import table
from sr.report.verdicts import Pair
from sr.terms import BASELINES

FILES = ("report.html", "report.md", "leaderboard.csv")

_WITHOUT_MODEL = {name for baseline in BASELINES for name in (baseline.prefix, baseline.kernel)}

_CAPTIONS = {
    "differences": "Differences from the configuration with the highest mean, with 95 % intervals; blue: may be the "
    "best; bars join configurations of which none is worse than another",
    "matrix": "The verdict on the configuration of each row beside that of each column, by rank",
    "heat_map": "Mean gain of each combination",
    "effects": "Effect of each choice, averaged over the others, with 95 % intervals",
    "curves": "Validation gain over epochs; the band is one standard deviation over trainings, or over the folds of a "
    "single one; the axis is cut off below where the curves end",
    "cost": "Gain against cost; the line joins the configurations on the Pareto front; times measured on a busy "
    "machine are hollow and not on it; configurations far below the input are cut off",
}


@dataclass(frozen=True)
class Settings:
    """What a report decides by.

    Attributes:
        score: what verdicts are about, ``psnr`` or ``ssim``.
        rope: differences up to this are practically equivalent; None: 0.05 dB, or 0.001 of SSIM.
        reference: what every configuration is compared with, besides the best one; None: the strongest baseline.
    """

    score: str = "psnr"
    rope: float | None = None
    reference: str | None = None


@dataclass(frozen=True)
class Plot:
    """A plot of a section: its kind, which is a key of the captions, and its image."""

    kind: str
    svg: str

    @property
    def caption(self) -> str:
        """What it shows, in one line."""
        return _CAPTIONS[self.kind]


@dataclass(frozen=True)
class Section:
    """All that a report shows about one comparison."""

    number: int
    comparison: Comparison
    analysis: Analysis
    rows: list[Row]
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
    def headline(self) -> str:
        """The result in one sentence."""
        return conclusions.headline(self.analysis)

    @property
    def advice(self) -> list[str]:
        """What would decide what is undecided."""
        return list(conclusions.advice(self.analysis))

    @property
    def components(self) -> list[tuple[str, float]]:
        """Sources of variation and their standard deviations."""
        return conclusions.components_table(self.analysis)


@dataclass(frozen=True)
class EvaluationRow:
    """A row of the table of a data set that was not trained on."""

    name: str
    without_model: bool
    psnr: float
    ssim: float
    images: int


def write_report(
    folders: Sequence[Path],
    out: Path | None = None,
    *,
    settings: Settings | None = None,
    figure_folder: Path | None = None,
    json_file: Path | None = None,
) -> tuple[list[Section], Comparisons, list[Path]]:
    """Write ``report.html``, ``report.md`` and ``leaderboard.csv``.

    Args:
        folders: of sweeps or runs, at any depth.
        out: folder for the files; None: the folder that is reported on, or the one that all of them lie in.
        settings: what to decide by.
        figure_folder: where to write the plots as SVG files, too.
        json_file: where to write every number of the page.

    Returns:
        The sections, what they are about with all problems met on the way, and the files.

    Raises:
        UserError: if a folder has no finished run, nothing has the name of the reference, or a file cannot be written.
    """
    contents = find_comparisons(folders)
    settings = settings or Settings()
    sections = [
        _section(number, comparison, settings, contents.problems)
        for number, comparison in enumerate(contents.comparisons, 1)
    ]
    out = out or (folders[0] if len(folders) == 1 else Path(os.path.commonpath([path.absolute() for path in folders])))
    values = {
        "title": ", ".join(folder.resolve().name for folder in folders),
        "sections": sections,
        "unfinished": contents.unfinished,
        "evaluations": _evaluations(contents.comparisons),
        "problems": [*contents.problems, *contents.repeats],
        "error_gain": ERROR_GAIN,
    }
    rows = table([(section.comparison, section.analysis, section.rows) for section in sections], contents.unfinished)
    environment = templates()
    written = [out / name for name in FILES]
    try:
        for path in (out, *([json_file.parent] if json_file else [])):
            path.mkdir(parents=True, exist_ok=True)
        for path in written[:2]:
            write_text(path, environment.get_template(path.name).render(values))
        write_table(written[2], rows)
        if json_file:
            write_text(json_file, json.dumps(_as_json(sections, contents), indent=2) + "\n")
            written.append(json_file)
        if figure_folder:
            _write_plots(figure_folder, sections)
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be written ({error.strerror})") from error
    return sections, contents, written


def _write_plots(folder: Path, sections: Sequence[Section]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for section in sections:
        for plot in section.plots:
            write_text(folder / f"{section.number}_{plot.kind}.svg", plot.svg)


def _section(number: int, comparison: Comparison, settings: Settings, problems: list[str]) -> Section:
    analysis = analyse(comparison, score=settings.score, rope=settings.rope, reference=settings.reference)
    rows = leaderboard(analysis)
    effects = main_effects(analysis)
    return Section(
        number,
        comparison,
        analysis,
        rows,
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
        plots.append(Plot("differences", verdict_figures.differences(analysis)))
        plots.append(Plot("matrix", verdict_figures.matrix(analysis)))
        plots.append(Plot("heat_map", figures.heat_map(analysis)))
    if effects:
        plots.append(Plot("effects", figures.main_effects(effects, UNITS[analysis.score])))
    plots.append(Plot("curves", figures.curves(configurations)))
    plots.append(Plot("cost", figures.cost(rows)))
    return plots


def _as_json(sections: Sequence[Section], contents: Comparisons) -> dict[str, object]:
    """Every number of the page."""
    return {
        "tables": [
            {
                "title": section.comparison.title,
                "headline": section.headline,
                "rows": table([(section.comparison, section.analysis, section.rows)], []),
                "pairs": [
                    {"first": section.analysis.names[first], "second": section.analysis.names[second], **_numbers(pair)}
                    for (first, second), pair in section.analysis.pairs.items()
                ],
                "possible_bests": [section.analysis.names[number] for number in section.analysis.possible_bests],
                "components": dict(section.components),
                "effects": [_numbers(effect) for effect in section.effects],
                "interactions": [_numbers(effect) for effect in section.interactions],
                "notes": section.notes,
                "advice": section.advice,
            }
            for section in sections
        ],
        "unfinished": [{"name": cell.name, "status": str(cell.status)} for cell in contents.unfinished],
        "problems": contents.problems,
    }


def _numbers(entry: Pair | FactorLevel) -> dict[str, object]:
    """The fields of an entry; JSON has no infinity, which the interval of a single photograph has."""
    values = {**vars(entry)}
    if isinstance(entry, FactorLevel):
        low, high = values.pop("interval")
        values |= {"low": low, "high": high}
    return {name: None if isinstance(value, float) and math.isinf(value) else value for name, value in values.items()}


def _evaluations(comparisons: Sequence[Comparison]) -> dict[str, list[EvaluationRow]]:
    """Scores on other data sets: a table for each data set, scale and protocol, sorted by PSNR.

    A configuration has the mean over its runs that were scored.
    """
    tables: dict[str, dict[tuple[str, bool], list[Evaluation]]] = {}
    for configuration in (entry for comparison in comparisons for entry in comparison.configurations):
        for scores in (scores for run in configuration.runs for scores in run.evaluations):
            without_model = scores.model in _WITHOUT_MODEL
            name = scores.model if without_model else configuration.name
            title = f"{scores.data}, scale {scores.scale}, protocol {scores.protocol}"
            tables.setdefault(title, {}).setdefault((name, without_model), []).append(scores)
    return {
        title: sorted(map(_mean_row, rows.items()), key=lambda row: -row.psnr) for title, rows in sorted(tables.items())
    }


def _mean_row(item: tuple[tuple[str, bool], Sequence[Evaluation]]) -> EvaluationRow:
    (name, without_model), scores = item
    psnr, ssim = (statistics.fmean(getattr(entry, score) for entry in scores) for score in ("psnr", "ssim"))
    return EvaluationRow(name, without_model, psnr, ssim, scores[0].images)
