"""The list of all runs, sweeps and searches below a folder: what they are, how they stand, their age and size."""

import os
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from sr.errors import UserError
from sr.io.run_folder import RunFolder
from sr.io.tables import aligned
from sr.runs.best import best_cell
from sr.runs.schema import RunResult, read_result
from sr.runs.scores import unbeaten
from sr.runs.status import PLAN, Standing, planned_names, standing_of
from sr.terms import Part

_SWEEP_CONFIG = "multirun.yaml"  # that Hydra writes into the folder of every sweep
_LISTED = 3  # models, losses or optimizers of a sweep that are named
_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


class Kind(StrEnum):
    """What an entry of the list is."""

    RUN = "run"
    SWEEP = "sweep"
    SEARCH = "search"


@dataclass(frozen=True)
class Entry:
    """A run, a sweep or a search.

    Attributes:
        path: its folder.
        kind: what it is.
        status: how it stands; of a sweep how many cells are done, and how many of those begun are not.
        changed: when a file in its folder was written last, seconds since 1970.
        size: of all files in its folder, bytes.
        name: given by ``name=``, if its folder has another one.
        models: its model, or those of its cells; likewise the next three.
        losses: by their labels.
        optimizers: by their choices.
        scales: factors of the sides.
        psnr: mean over validation images of the run, or of the best cell, dB; None if it is not done.
        gain: the same over the unprocessed input.
        loses_to: baselines that this does not beat, in words.
        note: why it is not done, or which cell is the best.
        count: number of cells, begun or planned.
        cells: those begun.
    """

    path: Path
    kind: Kind
    status: str
    changed: float
    size: int
    name: str | None = None
    models: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()
    optimizers: tuple[str, ...] = ()
    scales: tuple[int, ...] = ()
    psnr: float | None = None
    gain: float | None = None
    loses_to: str = ""
    note: str = ""
    count: int = 1
    cells: list["Entry"] = field(default_factory=list)


@dataclass
class _Usage:
    """Size of a folder in bytes, the time of its newest file, and the names of the files directly in it."""

    size: int = 0
    changed: float = 0.0
    files: frozenset[str] = frozenset()


def find_entries(folder: Path) -> list[Entry]:
    """The runs, sweeps and searches in a folder and at any depth below, those with the newest files first.

    The cells of a sweep are inside its entry, and seeds and folds inside their cell.

    Raises:
        UserError: if there are none.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder: name the folder of your runs")
    usage = _walk(folder)
    records = {path for path, of_path in usage.items() if RunFolder(path).result.name in of_path.files}
    runs = [path for path in records if records.isdisjoint(path.parents)]
    sweeps = {path for path, of_path in usage.items() if of_path.files & {PLAN, _SWEEP_CONFIG}}
    sweeps = {path for path in sweeps if records.isdisjoint([path, *path.parents])}
    cells: dict[Path, list[Entry]] = {path: [] for path in sweeps}
    entries: list[Entry] = []
    for path in runs:
        sweep = next((parent for parent in path.parents if parent in sweeps), None)
        (entries if sweep is None else cells[sweep]).append(_run_entry(path, usage[path]))
    entries += [_sweep_entry(path, usage[path], _newest_first(of_path)) for path, of_path in cells.items()]
    if not entries:
        raise UserError(f"{folder}: no runs in it: train one (python -m sr.train --help), or name another folder")
    return _newest_first(entries)


def _newest_first(entries: Sequence[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: (-entry.changed, str(entry.path)))


def _walk(folder: Path) -> dict[Path, _Usage]:
    """Size and age of a folder and of every one below, each with all that lies in it; links are not followed."""
    usage: dict[Path, _Usage] = {}
    for name, subfolders, files in os.walk(folder, topdown=False):
        path = Path(name)
        of_path = _Usage(files=frozenset(files))
        for file in files:
            try:
                status = os.lstat(path / file)
            except OSError:  # a temporary file that is gone by now
                continue
            of_path.size += status.st_size
            of_path.changed = max(of_path.changed, status.st_mtime)
        for inside in filter(None, (usage.get(path / subfolder) for subfolder in subfolders)):
            of_path.size += inside.size
            of_path.changed = max(of_path.changed, inside.changed)
        usage[path] = of_path
    return usage


def _run_entry(path: Path, usage: _Usage) -> Entry:
    try:
        result = read_result(path)
        assert result is not None  # its file was found
    except (UserError, OSError) as error:
        return Entry(path, Kind.RUN, Standing.DAMAGED.value, usage.changed, usage.size, note=str(error))
    status, reason = standing_of(path, result)
    name = result.config.get("name")
    return Entry(
        path,
        Kind.RUN,
        status.value,
        usage.changed,
        usage.size,
        name=str(name) if name is not None and str(name) != path.name else None,
        models=_choice(result, "model"),
        losses=(result.loss,) if result.loss else _choice(result, "loss"),
        optimizers=_choice(result, "optimizer"),
        scales=tuple(result.config.get("data", {}).get("scales") or [result.scale]),
        note=reason,
        **(_scores(result) if status is Standing.DONE else {}),
    )


def _choice(result: RunResult, group: str) -> tuple[str, ...]:
    choice = result.choices.get(group)
    return (choice,) if choice else ()


def _scores(result: RunResult) -> dict[str, Any]:
    """Scores on the validation images, as fields of an entry."""
    psnr, gain = (result.mean(Part.VAL, name) for name in ("psnr", "gain"))
    return {"psnr": psnr, "gain": gain, "loses_to": unbeaten(result.scores.get(Part.VAL, {}))}


def _sweep_entry(path: Path, usage: _Usage, cells: list[Entry]) -> Entry:
    kind, trials = _kind_of(path)
    begun = {cell.path for cell in cells}
    pending = {path / name for name in planned_names(path) if "/" not in name} - begun
    count = max(len(begun) + len(pending), trials)
    best, note = None, ""
    if any(cell.status == Standing.DONE for cell in cells):
        try:
            best_path = best_cell(path).folder
            best = next((cell for cell in cells if cell.path == best_path), None)
            note = f"best: {best_path.relative_to(path).as_posix()}"
        except UserError as error:
            note = str(error).removeprefix(f"{path}: ").partition(":")[0]  # they cannot be ranked, and why
    return Entry(
        path,
        kind,
        _status_of(cells, count),
        usage.changed,
        usage.size,
        models=tuple(dict.fromkeys(model for cell in cells for model in cell.models)),
        losses=tuple(dict.fromkeys(loss for cell in cells for loss in cell.losses)),
        optimizers=tuple(dict.fromkeys(optimizer for cell in cells for optimizer in cell.optimizers)),
        scales=tuple(sorted({scale for cell in cells for scale in cell.scales})),
        psnr=best.psnr if best else None,
        gain=best.gain if best else None,
        loses_to=best.loses_to if best else "",
        note=note,
        count=count,
        cells=cells,
    )


def _kind_of(sweep: Path) -> tuple[Kind, int]:
    """Whether a sweep is a search, and how many trials it is to have, unless it is of an earlier version."""
    path = sweep / _SWEEP_CONFIG
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError):  # damaged: the cells are listed all the same
        return Kind.SWEEP, 0
    trials = re.search(r"^ +n_trials: (\d+)$", text, re.MULTILINE)
    return (Kind.SEARCH, int(trials[1]) if trials else 0) if "sr_optuna" in text else (Kind.SWEEP, 0)


def _status_of(cells: Sequence[Entry], count: int) -> str:
    """How many cells are done, and how many of each other status there are, in one line."""
    by_status = Counter(cell.status for cell in cells)
    done = by_status.pop(Standing.DONE.value, 0)
    parts = ["done" if done == count and count else f"{done} of {count} done"]
    return ", ".join([*parts, *(f"{number} {status}" for status, number in sorted(by_status.items()))])


def render(entries: Sequence[Entry], *, with_cells: bool = False) -> str:
    """The entries as a text table; ``with_cells`` adds a line for each cell below its sweep."""
    rows: list[tuple[str, ...]] = [("name", "kind", "what", "status", "PSNR dB", "gain dB", "age", "size", "")]
    for entry in entries:
        rows += [_row(listed) for listed in (entry, *(entry.cells if with_cells else ()))]
    return "\n".join(aligned(rows)) + "\n"


def _row(entry: Entry) -> tuple[str, ...]:
    return (
        f"{entry.path} ({entry.name})" if entry.name else str(entry.path),
        entry.kind.value if entry.kind is Kind.RUN else f"{entry.kind} of {entry.count}",
        " ".join(
            [
                *(_some(entry.models, "models"), _some(entry.losses, "losses")),
                *(_some(entry.optimizers, "optimizers"), f"x{_some(entry.scales, 'scales')}" if entry.scales else ""),
            ]
        ).strip(),
        entry.status,
        "" if entry.psnr is None else f"{entry.psnr:.2f}",
        "" if entry.gain is None else f"{entry.gain:+.2f}",
        age(time.time() - entry.changed),
        size(entry.size),
        ", ".join(filter(None, (f"LOSES TO {entry.loses_to.upper()}" if entry.loses_to else "", entry.note))),
    )


def _some(values: Sequence[object], what: str) -> str:
    return ",".join(map(str, values)) if len(values) <= _LISTED else f"{len(values)} {what}"


def age(seconds: float) -> str:
    """A duration in its largest unit.

    >>> age(3), age(7_300), age(200_000), age(-1)
    ('3 s', '2 h', '2 d', '0 s')
    """
    unit, length = next((unit for unit in _UNITS if seconds >= unit[1]), _UNITS[-1])
    return f"{int(max(0, seconds) / length)} {unit}"


def size(count: float) -> str:
    """A number of bytes in a unit that suits it.

    >>> size(12), size(1_572_864), size(3 * 1024**3)
    ('12 B', '1.5 MB', '3.0 GB')
    """
    units = ("B", "KB", "MB", "GB")
    power = next((power for power in range(3) if count < 1024 ** (power + 1)), 3)
    return f"{count / 1024**power:.{min(power, 1)}f} {units[power]}"


def as_json(entries: Sequence[Entry], *, with_cells: bool = False) -> str:
    """The entries as JSON, the newest first, with the times in ISO 8601; values that JSON lacks become null."""
    rows = [_as_dict(entry, with_cells=with_cells) for entry in entries]
    return msgspec.json.format(msgspec.json.encode(rows), indent=2).decode() + "\n"


def _as_dict(entry: Entry, *, with_cells: bool) -> dict[str, Any]:
    values = {name: getattr(entry, name) for name in Entry.__dataclass_fields__ if name != "cells"}
    values |= {"path": str(entry.path), "changed": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(entry.changed))}
    if with_cells:
        values["cells"] = [_as_dict(cell, with_cells=False) for cell in entry.cells]
    return values
