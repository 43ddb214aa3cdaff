"""The tables of docs/measured/verdicts.md from benchmarks/verdicts.json, as Markdown on standard output.

python -m scripts.bench.verdict_tables
"""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

_FILE = Path(__file__).parents[2] / "benchmarks/verdicts.json"


def main() -> None:
    """Print a table of errors and one of power."""
    rows = json.loads(_FILE.read_text(encoding="utf-8"))["rows"]
    equal, better = ([row for row in rows if row["kind"] == kind] for kind in ("null", "better"))
    print("| simulated with | design | a pair by itself called different | tables with a wrong verdict | best missed |")
    print("|---|---|---|---|---|")
    for (spread, design), conditions in _grouped(equal, ("seeds", "folds")).items():
        cells = [_range(conditions, name) for name in ("different", "wrong pages", "best missed")]
        print(f"| {spread} | {design} | {' | '.join(cells)} |")
    print()
    print("| simulated with | design | a pair by itself called different | decided of 27 | wrongly equivalent |")
    print("|---|---|---|---|---|")
    for (spread, design), conditions in _grouped(better, ("seeds", "folds")).items():
        cells = [_range(conditions, name) for name in ("different", "found", "equivalent")]
        print(f"| {spread} | {design} | {' | '.join(cells)} |")


def _grouped(rows: list[dict[str, Any]], names: tuple[str, ...]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    groups: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        design = ", ".join(f"{row[name]} {name if row[name] > 1 else name.removesuffix('s')}" for name in names)
        groups[row["spread"], design].append(row)
    return groups


def _range(rows: list[dict[str, Any]], name: str) -> str:
    """The lowest and the highest share of several conditions, in per cent."""
    low, high = (100 * end for end in (min(row[name] for row in rows), max(row[name] for row in rows)))
    return f"{low:.1f} %" if low == high else f"{low:.1f} to {high:.1f} %"


if __name__ == "__main__":
    main()
