"""Notes below a leaderboard: what a reader has to know before trusting it."""

from collections.abc import Iterator, Sequence

from sr.report.analysis import Analysis
from sr.report.board import Row
from sr.report.comparison import Comparison
from sr.report.conclusions import limits
from sr.report.run import Run
from sr.terms import ITS_INPUT

_GROUPS_LISTED = 5


def notes(comparison: Comparison, analysis: Analysis, rows: Sequence[Row]) -> list[str]:
    """List what limits the comparison, one or two sentences per note."""
    runs = comparison.runs
    return [
        *limits(analysis),
        *_on_scores(comparison, rows),
        *_on_budgets(analysis, rows),
        *_on_extensions(runs),
        *_on_conditions(runs),
    ]


def _on_scores(comparison: Comparison, rows: Sequence[Row]) -> Iterator[str]:
    count = len(comparison.configurations)
    if comparison.scale == 1:
        yield "At scale 1 nothing is enlarged: nearest, bicubic and Lanczos all return the input unchanged."
    yield from _outside_ranges(comparison)
    if losers := sum(row.loses_to == ITS_INPUT for row in rows):
        yield f"{losers} of {count} configurations do not beat their input: using no model at all would be better."
    if others := sum(bool(row.loses_to) for row in rows) - losers:
        yield f"{others} of {count} configurations beat their input, but not every other interpolation."


def _outside_ranges(comparison: Comparison) -> Iterator[str]:
    for name, info in comparison.metrics.items():
        values = [row[name] for run in comparison.runs for row in run.images.values() if name in row]
        if outside := [value for value in values if info.outside(value)]:
            share = f"{len(outside)} of {len(values)} scores, such as {outside[0]:g}"
            yield f"{info.label} is outside its range, {info.range_text}, in {share}: that or the metric is wrong."


def _on_budgets(analysis: Analysis, rows: Sequence[Row]) -> Iterator[str]:
    """Say where the configuration with the highest mean was given more than others."""
    trained = {row.name: row.configuration for row in rows if row.configuration}
    best = trained[analysis.names[analysis.best]].result
    for name, unit in (("images_seen", "training examples"), ("steps", "optimizer steps")):
        most = (
            max(getattr(other.result, name) for other in trained.values() if other.result is not best)
            if len(trained) > 1
            else 0
        )
        if 0 < most < getattr(best, name):
            yield f"{analysis.names[analysis.best]} had a larger budget than any other: {unit}."
            return


def _on_extensions(runs: Sequence[Run]) -> Iterator[str]:
    for run in runs:
        for extension in run.result.extensions:
            yield (
                f"{run.name} was extended from {extension.before} to {extension.after} epochs, after "
                f"{extension.epochs_done} of them: its length was chosen with its scores in view."
            )


def _on_conditions(runs: Sequence[Run]) -> Iterator[str]:
    for condition, values in (
        ("number of steps", {run.result.steps for run in runs}),
        ("git commit", {run.result.git_commit for run in runs}),
        ("package versions", {str(run.result.versions) for run in runs}),
        ("machine", {str(run.result.machine) for run in runs}),
    ):
        if len(values) > 1:
            yield f"The runs differ in their {condition}: see the commands at the end."
    if any("random" in run.result.loss for run in runs):
        yield (
            "The VGG loss used random features instead of ImageNet features, which makes it weaker (arXiv:1801.03924)."
        )
    if any(run.result.initial for run in runs) and not all(run.result.initial for run in runs):
        yield "Some started from trained weights: the budgets count the steps behind those."
    if groups := runs[0].data.near_identical:
        listed = "; ".join(", ".join(group) for group in groups[:_GROUPS_LISTED])
        rest = len(groups) - _GROUPS_LISTED
        more = f" and {rest} more group{'s' if rest > 1 else ''}" if rest > 0 else ""
        yield f"Near-identical images were kept on the same side of every split: {listed}{more}."
