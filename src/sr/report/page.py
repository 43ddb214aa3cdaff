"""Write a report: a page for a browser, a text for a terminal or a repository, a table for programs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sr.errors import UserError
from sr.io.atomic import write_text
from sr.io.tables import write_table
from sr.report import figures
from sr.report.board import Row, leaderboard
from sr.report.comparison import Comparison, Comparisons, find_comparisons
from sr.report.crops import ERROR_GAIN, Strip, strips
from sr.report.formats import templates
from sr.report.notes import notes
from sr.report.run import Evaluation
from sr.report.statistics import Effect, main_effects
from sr.report.table import table
from sr.terms import BASELINES

FILES = ("report.html", "report.md", "leaderboard.csv")

_WITHOUT_MODEL = {name for baseline in BASELINES for name in (baseline.prefix, baseline.kernel)}

_CAPTIONS = {
    "heat_map": "Mean gain of each combination",
    "effects": "Effect of each choice, averaged over the others, with 95 % intervals over images",
    "curves": "Validation gain over epochs; the band is one standard deviation over folds; the axis is cut off below "
    "where the curves end",
    "cost": "Gain against cost; the line joins the runs on the Pareto front; runs far below the input are cut off",
}


@dataclass(frozen=True)
class Plot:
    """A plot of a section.

    Attributes:
        kind: a key of the captions.
        sweep: relative path of the folder whose runs it shows; empty for the folder of the report.
        svg: its image.
    """

    kind: str
    sweep: str
    svg: str

    @property
    def caption(self) -> str:
        """What it shows, in one line."""
        return _CAPTIONS[self.kind] + (f" ({self.sweep})" if self.sweep else "")

    @property
    def name(self) -> str:
        """A name that can be part of a file name."""
        return "_".join(text for text in (self.kind, self.sweep.replace("/", "_")) if text)


@dataclass(frozen=True)
class FactorLevel:
    """The effect of one level of a factor."""

    factor: str
    level: str
    effect: Effect


@dataclass(frozen=True)
class Section:
    """All that a report shows about one comparison; ``effects`` are grouped by sweep."""

    number: int
    comparison: Comparison
    rows: list[Row]
    notes: list[str]
    plots: list[Plot]
    effects: dict[str, list[FactorLevel]]
    strips: list[Strip]


@dataclass(frozen=True)
class EvaluationRow:
    """A row of the table of a data set that was not trained on."""

    name: str
    without_model: bool
    scores: Evaluation


def write_report(folder: Path, figure_folder: Path | None = None) -> Comparisons:
    """Write ``report.html``, ``report.md`` and ``leaderboard.csv`` into the folder whose runs they compare.

    Args:
        folder: folder of a sweep, of several sweeps, or of a single run.
        figure_folder: where to write the plots as SVG files, too.

    Returns:
        What the report is about, with all problems met on the way.

    Raises:
        UserError: if there is no finished run, or a file cannot be written.
    """
    contents = find_comparisons(folder)
    sections = [
        _section(number, comparison, contents.problems) for number, comparison in enumerate(contents.comparisons, 1)
    ]
    values = {
        "title": folder.resolve().name,
        "sections": sections,
        "unfinished": contents.unfinished,
        "evaluations": _evaluations(contents.comparisons),
        "problems": contents.problems,
        "error_gain": ERROR_GAIN,
    }
    boards = [(section.comparison, section.rows) for section in sections]
    environment = templates()
    try:
        for name in FILES[:2]:
            write_text(folder / name, environment.get_template(name).render(values))
        write_table(folder / FILES[2], table(boards, contents.unfinished))
        if figure_folder:
            _write_plots(figure_folder, sections)
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be written ({error.strerror})") from error
    return contents


def _write_plots(folder: Path, sections: Sequence[Section]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for section in sections:
        for plot in section.plots:
            write_text(folder / f"{section.number}_{plot.name}.svg", plot.svg)


def _section(number: int, comparison: Comparison, problems: list[str]) -> Section:
    rows = leaderboard(comparison)
    plots: list[Plot] = []
    effects: dict[str, list[FactorLevel]] = {}
    for sweep in dict.fromkeys(run.sweep for run in comparison.runs):
        cells = figures.cells_of([run for run in comparison.runs if run.sweep == sweep])
        if len(cells) > 1:
            plots.append(Plot("heat_map", sweep, figures.heat_map(cells)))
            effects[sweep] = _effects(cells)
        if svg := figures.effects(cells):
            plots.append(Plot("effects", sweep, svg))
        plots.append(Plot("curves", sweep, figures.curves(cells)))
    plots.append(Plot("cost", "", figures.cost(rows)))
    return Section(number, comparison, rows, notes(comparison, rows), plots, effects, strips(rows, problems))


def _effects(cells: figures.Cells) -> list[FactorLevel]:
    values = figures.gains(cells)
    return [
        FactorLevel(factor, level, effect)
        for position, factor in enumerate(figures.FACTORS)
        for level, effect in main_effects(values, position).items()
    ]


def _evaluations(comparisons: Sequence[Comparison]) -> dict[str, list[EvaluationRow]]:
    """Scores on other data sets: a table for each data set, scale and protocol, sorted by PSNR."""
    tables: dict[str, dict[str, EvaluationRow]] = {}
    for run in (run for comparison in comparisons for run in comparison.runs):
        for scores in run.evaluations:
            without_model = scores.model in _WITHOUT_MODEL
            row = EvaluationRow(scores.model if without_model else run.name, without_model, scores)
            title = f"{scores.data}, scale {scores.scale}, protocol {scores.protocol}"
            tables.setdefault(title, {}).setdefault(row.name, row)
    return {title: sorted(rows.values(), key=lambda row: -row.scores.psnr) for title, rows in sorted(tables.items())}
