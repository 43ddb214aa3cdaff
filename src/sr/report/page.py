"""Write a report: a page for a browser, a text for a terminal or a repository, tables for programs and papers."""

import json
import logging
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sr.errors import UserError, check_choice
from sr.io.atomic import reporting_unwritable, write_text
from sr.io.tables import write_table
from sr.report.analysis import names_in
from sr.report.atlas.build import Atlas, atlas_of
from sr.report.atlas.numbers import atlas_numbers
from sr.report.benchmarks import Benchmark, find_benchmarks
from sr.report.captions import CHECKPOINTS_ALONE
from sr.report.comparison import Comparison, Comparisons, find_comparisons
from sr.report.crops import HOW_TO_LOOK
from sr.report.formats import templates
from sr.report.latex import write_latex
from sr.report.numbers import numbers_of
from sr.report.outline import Outline, facts
from sr.report.run import Evaluation
from sr.report.sections import (
    BenchmarkSection,
    Board,
    Section,
    Settings,
    benchmark_section,
    board_of,
    has_reference,
    run_section,
)
from sr.report.statistics import Scope
from sr.report.table import table
from sr.terms import BASELINES, DEFAULT_METRICS

FILES = ("report.html", "report.md", "leaderboard.csv")

log = logging.getLogger(__name__)

_WITHOUT_MODEL = {name for baseline in BASELINES for name in (baseline.prefix, baseline.kernel)}


@dataclass(frozen=True)
class Report:
    """A report that was written.

    Attributes:
        sections: on the validation images of the runs.
        benchmarks: on other images, where `sr evaluate` scored several trainings or configurations.
        contents: what was found, with all problems met on the way.
        atlas: where configurations are good and bad.
        files: the paths of its files.
    """

    sections: list[Section]
    benchmarks: list[BenchmarkSection]
    contents: Comparisons
    atlas: Atlas
    files: list[Path]


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
    latex_folder: Path | None = None,
) -> Report:
    """Write ``report.html``, ``report.md`` and ``leaderboard.csv``.

    Args:
        folders: of sweeps or runs, at any depth.
        out: folder for the files; None: the folder that is reported on, or the one that all of them lie in.
        settings: what to decide by.
        figure_folder: where to write the plots as SVG files, too.
        json_file: where to write every number of the page.
        latex_folder: where to write the tables and the crops for a paper; see `sr.report.latex`.

    Returns:
        What was written.

    Raises:
        UserError: if a folder has no finished run, nothing has the name of the reference, or a file cannot be written.
    """
    contents = find_comparisons(folders)
    settings = settings or Settings()
    found = find_benchmarks(contents.comparisons, contents.contenders)
    _check_settings(contents, found, settings)
    sections = [
        run_section(number, comparison, settings, contents.problems)
        for number, comparison in enumerate(contents.comparisons, 1)
    ]
    benchmarks = [benchmark_section(entry, settings) for entry in found]
    atlas = atlas_of(contents, found, folders, settings.score, settings.rope)
    evaluations = _evaluations(contents.comparisons)
    out = out or (folders[0] if len(folders) == 1 else Path(os.path.commonpath([path.absolute() for path in folders])))
    values = {
        "title": ", ".join(folder.resolve().name for folder in folders),
        "sections": sections,
        "benchmarks": benchmarks,
        "unfinished": contents.unfinished,
        "evaluations": evaluations,
        "atlas": atlas,
        "problems": [*contents.problems, *contents.repeats],
        "crops_text": HOW_TO_LOOK,
        "checkpoints_alone": CHECKPOINTS_ALONE,
        "lead": [*sections, *(board for entry in benchmarks for board in entry.boards)][0],
        "about": facts(sections, benchmarks, len(contents.unfinished)),
    }
    rows = table([*sections, *(board for entry in benchmarks for board in entry.boards)], contents.unfinished)
    environment = templates()
    written = [out / name for name in FILES]
    with reporting_unwritable(out):
        for path in (out, *([json_file.parent] if json_file else [])):
            path.mkdir(parents=True, exist_ok=True)
        for path in written[:2]:
            write_text(path, environment.get_template(path.name).render(values, outline=Outline()))
        write_table(written[2], rows)
        if json_file:
            numbers = numbers_of(sections, benchmarks, contents)
            numbers["atlas"] = atlas_numbers(atlas)
            numbers["evaluations"] = {title: [vars(row) for row in of_set] for title, of_set in evaluations.items()}
            write_text(json_file, json.dumps(numbers, indent=2) + "\n")
            written.append(json_file)
        if latex_folder:
            written += write_latex(latex_folder, sections, benchmarks, settings)
        if figure_folder:
            _write_plots(figure_folder, sections)
            for name, svg in atlas.figures.items():
                write_text(figure_folder / f"{name}.svg", svg)
    return Report(sections, benchmarks, contents, atlas, written)


def compared(folders: Sequence[Path], settings: Settings) -> list[Board]:
    """The leaderboards of the finished runs below some folders, and of what `sr evaluate` scored, without writing them.

    Raises:
        UserError: as `write_report` does, and for a file that cannot be read.
    """
    contents = find_comparisons(folders)
    if contents.problems:
        raise UserError(contents.problems[0])
    found = find_benchmarks(contents.comparisons, contents.contenders)
    _check_settings(contents, found, settings)
    boards = [board_of(comparison, settings, Scope.LIKE_THESE) for comparison in contents.comparisons]
    return [*boards, *(board for entry in found for board in benchmark_section(entry, settings).boards)]


def _check_settings(contents: Comparisons, benchmarks: Sequence[Benchmark], settings: Settings) -> None:
    """Refuse what has no scores, a metric or a reference that no table has; say which tables of runs lack it."""
    if not contents.comparisons and not benchmarks:
        details = "".join(f"; {line}" for line in contents.problems)
        raise UserError(
            f"{contents.contenders[0].folder}: other programs without scores: run sr evaluate again{details}"
        )
    _check_score(contents, settings)
    tables = [*contents.comparisons, *(of_set for entry in benchmarks for of_set in entry.sets)]
    if settings.reference and not any(has_reference(comparison, settings) for comparison in tables):
        names = dict.fromkeys(name for comparison in tables for name in names_in(comparison))
        raise UserError(f"--reference: no {settings.reference!r} in this report: use {'; '.join(names)}")
    for comparison in contents.comparisons:
        if not has_reference(comparison, settings):
            reference = f"compared with the strongest baseline, it has no {settings.reference}"
            log.warning("%s: %s", comparison.title, reference)


def _check_score(contents: Comparisons, settings: Settings) -> None:
    evaluations = [entry for of_contender in contents.contenders for entry in of_contender.evaluations]
    found = dict(DEFAULT_METRICS)
    for comparison in contents.comparisons:
        found |= comparison.metrics
        evaluations += [entry for run in comparison.runs for entry in run.evaluations]
    for evaluation in evaluations:
        found |= evaluation.metrics
    check_choice("--score", settings.score, list(found))


def _write_plots(folder: Path, sections: Sequence[Section]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for section in sections:
        for plot in section.plots:
            write_text(folder / f"{section.number}_{plot.kind}.svg", plot.svg)


def _evaluations(comparisons: Sequence[Comparison]) -> dict[str, list[EvaluationRow]]:
    """Means on other data sets that are known by their means alone: a table each, sorted by PSNR.

    A configuration has the mean over its runs that were scored.
    """
    tables: dict[str, dict[tuple[str, bool], list[Evaluation]]] = {}
    for configuration in (entry for comparison in comparisons for entry in comparison.configurations):
        for scores in (scores for run in configuration.runs for scores in run.evaluations if not scores.is_complete):
            without_model = scores.model in _WITHOUT_MODEL
            name = scores.model if without_model else configuration.name
            title = f"{scores.label}, scale {scores.scale}, protocol {scores.protocol}"
            tables.setdefault(title, {}).setdefault((name, without_model), []).append(scores)
    return {
        title: sorted(map(_mean_row, rows.items()), key=lambda row: -row.psnr) for title, rows in sorted(tables.items())
    }


def _mean_row(item: tuple[tuple[str, bool], Sequence[Evaluation]]) -> EvaluationRow:
    (name, without_model), scores = item
    psnr, ssim = (statistics.fmean(getattr(entry, score) for entry in scores) for score in DEFAULT_METRICS)
    return EvaluationRow(name, without_model, psnr, ssim, scores[0].images)
