"""Notes below a leaderboard: what a reader has to know before trusting it."""

from collections.abc import Iterator, Sequence

from sr.report.board import Row
from sr.report.comparison import Comparison
from sr.report.run import Run
from sr.report.statistics import LEAST_PAIRS
from sr.terms import ITS_INPUT

_GROUPS_LISTED = 5


def notes(comparison: Comparison, rows: Sequence[Row]) -> list[str]:
    """List what limits the comparison, one or two sentences per note.

    Args:
        comparison: the runs.
        rows: its leaderboard.
    """
    return [*_on_scores(comparison, rows), *_on_extensions(comparison.runs), *_on_conditions(comparison.runs)]


def _on_scores(comparison: Comparison, rows: Sequence[Row]) -> Iterator[str]:
    runs = comparison.runs
    if comparison.scale == 1:
        yield "At scale 1 nothing is enlarged: nearest, bicubic and Lanczos all return the input unchanged."
    if losers := sum(row.loses_to == ITS_INPUT for row in rows):
        yield f"{losers} of {len(runs)} runs do not beat their input: using no model at all would be better."
    if others := sum(row.loses for row in rows) - losers:
        yield f"{others} of {len(runs)} runs beat their input, but not every other interpolation: see their verdicts."
    if len(runs[0].images) < LEAST_PAIRS:
        yield f"With fewer than {LEAST_PAIRS} images the paired test cannot reach significance: ties mean nothing here."
    if all(row.psnr.sd is None for row in rows):
        yield "Only one fold was validated, so there is no standard deviation over folds (data.fold=all gives one)."


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
    if groups := runs[0].data.near_identical:
        listed = "; ".join(", ".join(group) for group in groups[:_GROUPS_LISTED])
        rest = len(groups) - _GROUPS_LISTED
        more = f" and {rest} more group{'s' if rest > 1 else ''}" if rest > 0 else ""
        yield f"Near-identical images were kept on the same side of every split: {listed}{more}."
