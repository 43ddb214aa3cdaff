"""Every number of a report as plain values, for programs."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from sr.report.comparison import Comparisons
from sr.report.effects import FactorLevel
from sr.report.sections import BenchmarkSection, Board, Section
from sr.report.table import table

Numbers: TypeAlias = dict[str, Any]


def numbers_of(sections: Sequence[Section], benchmarks: Sequence[BenchmarkSection], contents: Comparisons) -> Numbers:
    """The numbers of all tables and sentences; what is unknown or infinite is None."""
    return {
        "tables": [_section(section) for section in sections],
        "benchmarks": [
            {"title": entry.title, "notes": list(entry.notes), "tables": [_board(board) for board in entry.boards]}
            for entry in benchmarks
        ],
        "unfinished": [
            {"name": cell.name, "status": str(cell.status), "reason": cell.reason} for cell in contents.unfinished
        ],
        "problems": contents.problems,
        "repeats": contents.repeats,
    }


def _board(board: Board) -> Numbers:
    analysis, other = board.analysis, board.other_scope
    is_distance = not analysis.metric.higher_is_better
    return {
        "title": board.comparison.title,
        "scope": str(analysis.scope),
        "headline": board.headline,
        "rows": table([board], []),
        "pairs": [
            {
                **{"first": analysis.names[first], "second": analysis.names[second]},
                **_finite(vars(pair.of_distances if is_distance else pair)),
            }
            for (first, second), pair in analysis.pairs.items()
        ],
        "possible_bests": [analysis.names[number] for number in analysis.possible_bests],
        "other_scope": {
            "scope": str(other.scope),
            "possible_bests": [other.names[number] for number in other.possible_bests],
            "sentence": board.in_other_scope,
        },
    }


def _section(section: Section) -> Numbers:
    smallest = section.budgets[section.smallest]
    return {
        **_board(section),
        "components": dict(section.components),
        "effects": [_numbers(effect) for effect in section.effects],
        "interactions": [_numbers(effect) for effect in section.interactions],
        "budgets": {
            name: _finite({**budget.as_dict(), "ntire": budget.ntire(smallest)})
            for name, budget in section.budgets.items()
        },
        "crops": [
            {
                "image": strip.name,
                "spread": strip.spread,
                "psnr": {tile.label: tile.psnr for tile in strip.tiles if tile.psnr is not None},
            }
            for strip in section.strips
        ],
        "notes": section.notes,
        "advice": section.advice,
    }


def _numbers(effect: FactorLevel) -> Numbers:
    low, high = effect.interval
    return _finite({"factor": effect.factor, "level": effect.level, "mean": effect.mean, "low": low, "high": high})


def _finite(values: Mapping[str, object]) -> Numbers:
    """JSON has no infinity, which the interval of a single photograph has."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in values.items()
    }
