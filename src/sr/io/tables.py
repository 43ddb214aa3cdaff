"""CSV files and text tables."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sr.io.atomic import write_text


def write_table(path: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None) -> None:
    """Write a CSV file atomically; ``columns`` defaults to those of the rows, in order of appearance."""
    text = io.StringIO()
    columns = columns or list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def read_table(path: Path) -> list[dict[str, str]]:
    """Read a CSV file, one dict per row; empty cells are empty strings."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def from_epoch_1(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows of ``metrics.csv`` with epochs counted from 1; earlier versions counted them from 0.

    >>> from_epoch_1([{"epoch": "0", "step": "4"}, {"epoch": "1", "step": "8"}])
    [{'epoch': 1, 'step': '4'}, {'epoch': 2, 'step': '8'}]
    """
    offset = 1 if rows and int(rows[0]["epoch"]) == 0 else 0
    return [{**row, "epoch": int(row["epoch"]) + offset} for row in rows]


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Format rows of strings as lines with aligned columns.

    >>> aligned([("a", "bb"), ("ccc", "")])
    ['a    bb', 'ccc']
    """
    widths = [max(len(text) for text in column) for column in zip(*rows, strict=True)]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
