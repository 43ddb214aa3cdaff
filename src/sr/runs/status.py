"""How the runs of a folder stand, read from their files."""

import itertools
import json
import logging
import re
import statistics
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from sr.errors import UserError
from sr.runs.result import NAME, beats_input, is_running, read_result
from sr.io.tables import aligned
from sr.io.atomic import write_text


PLAN = "sweep.json"
UNFINISHED = ("failed", "diverged", "interrupted", "running")


@dataclass(frozen=True)
class Cell:
    """One run of a sweep.

    Attributes:
        name: its folder.
        status: done, running, interrupted, failed, diverged, pruned, damaged or pending.
        reason: why it is not done, in one line.
        gain: dB over the input, if it is done.
        seconds: time it took, validation and all.
        folds: folds done, and folds in all; (0, 0) without cross-validation.
    """

    name: str
    status: str
    reason: str = ""
    gain: float | None = None
    seconds: float = 0.0
    folds: tuple[int, int] = (0, 0)


def find_cells(folder: Path) -> list[Cell]:
    """Every run folder directly under a sweep's, by name, then what is planned but has no folder yet.

    Raises:
        UserError: if there is neither.
    """
    cells = [_cell(path.parent) for path in sorted(folder.glob(f"*/{NAME}"))]
    begun = {cell.name for cell in cells}
    pending = [name for name in _planned_names(folder) if name not in begun]
    if not cells and not pending:
        raise UserError(f"{folder}: no runs in it: name the folder of a sweep (hydra.sweep.dir)")
    return [*cells, *(Cell(name, "pending") for name in pending)]


def render(cells: Sequence[Cell]) -> str:
    """The cells as a text table, then how many stand how, and the time left if they go on one after the other."""
    rows = [("cell", "status", "folds", "gain dB", "minutes", "")]
    for cell in cells:
        folds = f"{cell.folds[0]}/{cell.folds[1]}" if cell.folds[1] else ""
        gain = "" if cell.gain is None else f"{cell.gain:+.2f}"
        minutes = f"{cell.seconds / 60:.1f}" if cell.seconds else ""
        note = "loses to its input" if cell.gain is not None and not beats_input(cell.gain) else cell.reason
        rows.append((cell.name, cell.status, folds, gain, minutes, note))
    lines = [*aligned(rows), "", counts(cells)]
    if left := _seconds_left(cells):
        lines.append(f"about {left / 60:.0f} minutes left, one after the other")
    return "\n".join(lines) + "\n"


def counts(cells: Sequence[Cell]) -> str:
    """How many cells there are of each status, in one line."""
    by_status = Counter(cell.status for cell in cells)
    return ", ".join(f"{count} {status}" for status, count in sorted(by_status.items()))


def _seconds_left(cells: Sequence[Cell]) -> float:
    """For each cell that is not done the mean time of done ones of its model, or of all, less the folds it has."""
    done: dict[str, list[float]] = defaultdict(list)
    for cell in cells:
        if cell.status == "done":
            done[cell.name.partition("_")[0]].append(cell.seconds)
    everything = [seconds for times in done.values() for seconds in times]
    left = 0.0
    for cell in cells:
        if cell.status not in ("done", "pruned") and everything:
            times = done.get(cell.name.partition("_")[0], everything)
            left += statistics.fmean(times) * (1 - cell.folds[0] / cell.folds[1] if cell.folds[1] else 1)
    return left


def _planned_names(folder: Path) -> list[str]:
    try:
        names: list[str] = json.loads((folder / PLAN).read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError):
        return []
    return names


def _cell(folder: Path) -> Cell:
    try:
        result = read_result(folder)
        assert result is not None
        return _standing(folder, result)
    except UserError as error:
        return Cell(folder.name, "damaged", str(error))
    except (KeyError, TypeError, AttributeError):  # JSON, but not a result
        return Cell(folder.name, "damaged", f"{folder / NAME}: is no result of a run: retrain=true trains anew there")


def _standing(folder: Path, result: Mapping[str, Any]) -> Cell:
    status, reason = result["status"], result.get("reason", "")
    if status == "running" and not is_running(folder, result):
        status, reason = "interrupted", "its process is gone"
    of = result["config"]["data"].get("folds") if result["config"]["data"].get("fold") == "all" else None
    folds = (sum(_done(folder / f"fold_{fold}") for fold in range(of)), of) if of else (0, 0)
    gain = result["scores"]["val"].get("gain", {}).get("mean") if status == "done" else None
    return Cell(folder.name, status, reason, gain, result.get("seconds", 0.0), folds)


def _done(folder: Path) -> bool:
    try:
        result = read_result(folder)
    except UserError:
        return False
    return bool(result and result["status"] == "done")
