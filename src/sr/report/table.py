"""The leaderboards of a report as one CSV file, for programs."""

import math
from collections.abc import Sequence
from typing import TypeAlias

from sr.report.board import Difference, Row
from sr.report.budgets import Budget, budget
from sr.report.run import Configuration
from sr.report.sections import Board
from sr.runs.status import Cell

Cells: TypeAlias = dict[str, object]  # of a row, by column


def table(boards: Sequence[Board], unfinished: Sequence[Cell]) -> list[Cells]:
    """Rows of all leaderboards, numbered from 1, then the unfinished runs."""
    rows: list[Cells] = []
    for number, board in enumerate(boards, 1):
        comparison, analysis = board.comparison, board.analysis
        conditions = {
            "table": number,
            "benchmark": comparison.label,
            "scope": str(analysis.scope),
            "protocol": comparison.protocol,
            "scale": comparison.scale,
            "data": comparison.fingerprint,
            "images": len(comparison.configurations[0].images),
            "photographs": comparison.photographs,
            "score": analysis.score,
            "rope": analysis.rope,
            "reference": analysis.names[analysis.reference],
        }
        for row in board.rows:
            rows.append({**conditions, **_scores(row), **(_about(row.configuration) if row.configuration else {})})
    for cell in unfinished:
        rows.append({"name": cell.name, "status": str(cell.status), "reason": cell.reason})
    return rows


def _scores(row: Row) -> Cells:
    columns: Cells = {"rank": row.rank, "name": row.name, "status": "done" if row.configuration else "baseline"}
    for score, summary in row.scores.items():
        columns |= {score: summary and summary.mean, f"{score}_sd": summary and summary.sd}
    for name in ("gain", "to_best", "to_reference"):
        columns |= _difference(name, getattr(row, name))
    return columns | {"verdict": row.verdict, "kind": str(row.kind), "wins_against_best": row.wins}


def _difference(name: str, difference: Difference | None) -> Cells:
    if difference is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    low, high = (end if math.isfinite(end) else None for end in difference.interval)
    return {name: difference.mean, f"{name}_low": low, f"{name}_high": high}


def _about(configuration: Configuration) -> Cells:
    result = configuration.result
    model, loss, optimizer = configuration.levels
    costs: Budget = budget(configuration)
    return {
        **{"model": model, "loss": loss, "optimizer": optimizer, "variant": configuration.variant},
        **{"seeds": len(configuration.runs) // configuration.training_folds},
        **{"folds": max(configuration.training_folds, len(set(configuration.runs[0].folds.values())))},
        **costs.as_dict(),
        **{"git_commit": result.git_commit, "torch": result.versions.get("torch"), "command": result.command},
    }
