"""How the runs of a folder stand, read from their records."""

import json
import statistics
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from sr.errors import UserError
from sr.io.locks import is_held
from sr.io.run_folder import RunFolder
from sr.io.tables import aligned
from sr.runs.schema import RunResult, Status, read_result
from sr.runs.scores import unbeaten
from sr.terms import Part

PLAN = "sweep.json"  # in the folder of a sweep: the names of its cells


class Standing(StrEnum):
    """How a cell stands: as its record says, or what only a look from outside tells."""

    DONE = Status.DONE.value
    RUNNING = Status.RUNNING.value
    INTERRUPTED = Status.INTERRUPTED.value
    FAILED = Status.FAILED.value
    DIVERGED = Status.DIVERGED.value
    PRUNED = Status.PRUNED.value
    DAMAGED = "damaged"  # its record cannot be read
    PENDING = "pending"  # planned, without a folder yet


UNFINISHED = frozenset({Standing.FAILED, Standing.DIVERGED, Standing.INTERRUPTED, Standing.RUNNING})
_OVER = frozenset({Standing.DONE, Standing.PRUNED})


@dataclass(frozen=True)
class Cell:
    """One run of a sweep.

    Attributes:
        name: its folder.
        status: how it stands.
        reason: why it is not done, in one line.
        gain: dB over the input, if it is done.
        loses_to: baselines that it does not beat, in words.
        seconds: time it took, validation and all.
        trainings: trainings done, and trainings in all, one for each fold of each seed; (0, 0) for a single one.
        model: its choice of model, if its record says so.
    """

    name: str
    status: Standing
    reason: str = ""
    gain: float | None = None
    loses_to: str = ""
    seconds: float = 0.0
    trainings: tuple[int, int] = (0, 0)
    model: str = ""


def standing_of(folder: Path, result: RunResult) -> tuple[Standing, str]:
    """How a run stands, and why, in one line: one whose process was killed is interrupted, whatever its record says."""
    if result.status is Status.RUNNING and not is_held(RunFolder(folder).lock):
        return Standing.INTERRUPTED, "its process is gone"
    return Standing(result.status.value), result.reason


def find_cells(folder: Path) -> list[Cell]:
    """The runs in a folder and at any depth below, then those that are planned but have no folder yet, by name.

    Args:
        folder: of a sweep, of several sweeps, or of a run.

    Raises:
        UserError: if there is neither.
    """
    found = {run.path for run in RunFolder.below(folder)}
    runs = sorted(path for path in found if found.isdisjoint(path.parents))  # seeds and folds lie inside their cell
    cells = [
        _cell(path, path.relative_to(folder).as_posix() if path != folder else folder.resolve().name) for path in runs
    ]
    begun = {cell.name for cell in cells}
    pending = [name for name in planned_names(folder) if name not in begun]
    if not cells and not pending:
        raise UserError(f"{folder}: no runs in it: name the folder of a run or of a sweep (hydra.sweep.dir)")
    return [*cells, *(Cell(name, Standing.PENDING) for name in pending)]


def _cell(folder: Path, name: str) -> Cell:
    try:
        result = read_result(folder)
        assert result is not None  # its file was found
    except UserError as error:
        return Cell(name, Standing.DAMAGED, str(error))
    status, reason = standing_of(folder, result)
    count = result.training_count
    trainings = (sum(_is_done(run.path) for run in RunFolder(folder).trainings), count) if count else (0, 0)
    scores = result.scores.get(Part.VAL, {}) if status is Standing.DONE else {}
    gain = scores["gain"].mean if "gain" in scores else None
    return Cell(
        name, status, reason, gain, unbeaten(scores), result.seconds, trainings, result.choices.get("model") or ""
    )


def _is_done(folder: Path) -> bool:
    try:
        result = read_result(folder)
    except UserError:
        return False
    return result is not None and result.is_done


def planned_names(folder: Path) -> list[str]:
    """The cells of the sweeps in a folder and at any depth below, begun or not, relative to the folder."""
    names = []
    for path in sorted(folder.rglob(PLAN)):
        try:
            planned = json.loads(path.read_text(encoding="utf-8"))["cells"]
            names += [(path.parent / name).relative_to(folder).as_posix() for name in planned]
        except (OSError, ValueError, KeyError, TypeError):  # damaged: its cells appear once they have begun
            continue
    return names


def render(cells: Sequence[Cell]) -> str:
    """The cells as a text table, how many there are of each status, and the time left if they run one by one."""
    rows = [("cell", "status", "trainings", "gain dB", "minutes", "")]
    for cell in cells:
        trainings = f"{cell.trainings[0]}/{cell.trainings[1]}" if cell.trainings[1] else ""
        gain = "" if cell.gain is None else f"{cell.gain:+.2f}"
        minutes = f"{cell.seconds / 60:.1f}" if cell.seconds else ""
        note = f"loses to {cell.loses_to}" if cell.loses_to else cell.reason
        rows.append((cell.name, cell.status, trainings, gain, minutes, note))
    lines = [*aligned(rows), "", counts(cells)]
    if seconds := _seconds_left(cells):
        lines.append(f"about {seconds / 60:.0f} minutes left, one after the other")
    return "\n".join(lines) + "\n"


def counts(cells: Sequence[Cell]) -> str:
    """How many cells there are of each status, in one line."""
    by_status = Counter(cell.status for cell in cells)
    return ", ".join(f"{count} {status}" for status, count in sorted(by_status.items()))


def _seconds_left(cells: Sequence[Cell]) -> float:
    """For each cell to come the mean time of finished ones of its model, or of all, less the trainings it has done."""
    by_model: dict[str, list[float]] = defaultdict(list)
    for cell in cells:
        if cell.status is Standing.DONE:
            by_model[_model_of(cell)].append(cell.seconds)
    all_seconds = [seconds for times in by_model.values() for seconds in times]
    if not all_seconds:
        return 0.0
    left = 0.0
    for cell in cells:
        if cell.status not in _OVER:
            share_done = cell.trainings[0] / cell.trainings[1] if cell.trainings[1] else 0.0
            left += statistics.fmean(by_model.get(_model_of(cell), all_seconds)) * (1 - share_done)
    return left


def _model_of(cell: Cell) -> str:
    """The model of a cell; without a record the first word of its folder's name, which is the model in a grid."""
    return cell.model or Path(cell.name).name.partition("_")[0]
