"""The leaderboards of a report as one CSV file, for programs."""

from collections.abc import Sequence
from typing import TypeAlias

from sr.report.board import Row
from sr.report.comparison import Comparison
from sr.report.run import Run
from sr.runs.status import Cell

Cells: TypeAlias = dict[str, object]  # of a row, by column

_SCORES = ("psnr", "ssim", "gain")
_COSTS = ("parameters", "multiply_adds", "ms_per_image", "train_seconds", "seconds", "steps", "epochs")


def table(boards: Sequence[tuple[Comparison, Sequence[Row]]], unfinished: Sequence[Cell]) -> list[Cells]:
    """Rows of all leaderboards, numbered from 1, then the unfinished runs."""
    rows: list[Cells] = []
    for number, (comparison, board) in enumerate(boards, 1):
        conditions = {
            "table": number,
            "protocol": comparison.protocol,
            "scale": comparison.scale,
            "data": comparison.fingerprint,
            "images": len(comparison.runs[0].images),
        }
        rows += [{**conditions, **_scores(row), **(_costs(row.run) if row.run else {})} for row in board]
    for cell in unfinished:
        rows.append({"name": cell.name, "status": str(cell.status), "reason": cell.reason})
    return rows


def _scores(row: Row) -> Cells:
    columns: Cells = {"rank": row.rank, "name": row.name, "status": "done" if row.run else "baseline"}
    for score in _SCORES:
        summary = getattr(row, score)
        columns |= {score: summary.mean, f"{score}_sd": summary.sd}
    columns |= {"gain_low": row.interval.low, "gain_high": row.interval.high}
    return columns | {"p_against_best": row.p, "verdict": row.verdict}


def _costs(run: Run) -> Cells:
    result = run.result
    model, loss, optimizer = run.levels
    return {
        **{"model": model, "loss": loss, "optimizer": optimizer, "folds": len(set(run.folds.values()))},
        **{name: getattr(result, name) for name in _COSTS},
        **{"git_commit": result.git_commit, "torch": result.versions.get("torch"), "command": result.command},
    }
