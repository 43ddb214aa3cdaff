"""How the runs of a folder stand, read from their records."""

import json
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from sr.errors import UserError
from sr.io.locks import is_held
from sr.io.run_folder import RunFolder
from sr.io.tables import aligned, read_table
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
        gain: dB over the input, if it is done; so far, if it is a single training.
        loses_to: baselines that it does not beat, in words.
        seconds: time it took, validation and all; of one that is not done the time of its epochs.
        trainings: trainings done, and trainings in all, one for each fold of each seed; (0, 0) for a single one.
        model: its choice of model, if its record says so.
        psnr: of the validation images, in dB, as the gain.
        epochs: epochs done and epochs in all, over all its trainings; (0, 0) if it is done.
    """

    name: str
    status: Standing
    reason: str = ""
    gain: float | None = None
    loses_to: str = ""
    seconds: float = 0.0
    trainings: tuple[int, int] = (0, 0)
    model: str = ""
    psnr: float | None = None
    epochs: tuple[int, int] = (0, 0)

    @property
    def share_done(self) -> float:
        """How much of it is done, 0 to 1."""
        done, total = self.epochs if self.epochs[0] else self.trainings
        return min(1.0, done / total) if total else 0.0


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
    model = result.choices.get("model") or ""
    if status is not Standing.DONE:
        return _unfinished(folder, result, Cell(name, status, reason, trainings=trainings, model=model))
    scores = result.scores.get(Part.VAL, {})
    gain, psnr = (scores[score].mean if score in scores else None for score in ("gain", "psnr"))
    return Cell(name, status, reason, gain, unbeaten(scores), result.seconds, trainings, model, psnr)


def _unfinished(folder: Path, result: RunResult, cell: Cell) -> Cell:
    """The cell with what its tables of epochs say."""
    tables = [read_table(run.metrics) for run in RunFolder(folder).trainings if run.metrics.is_file()]
    rows = [row for table in tables for row in table]
    count, epochs = result.training_count or 1, result.config.get("trainer", {}).get("max_epochs")
    total = count * epochs if isinstance(epochs, int) else 0
    scored = [row for row in rows if row.get("val/psnr") and row.get("val/gain")] if count == 1 else []
    gain, psnr = (float(scored[-1][f"val/{score}"]) if scored else None for score in ("gain", "psnr"))
    seconds = sum(float(row["seconds"]) for row in rows if row.get("seconds")) or result.seconds
    return replace(cell, gain=gain, psnr=psnr, seconds=seconds, epochs=(len(rows), total))


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
        if cell.status is Standing.RUNNING and cell.epochs[1]:
            note = f"epoch {cell.epochs[0]}/{cell.epochs[1]}"
        rows.append((cell.name, cell.status, trainings, gain, minutes, note))
    lines = [*aligned(rows), "", counts(cells)]
    if seconds := seconds_left(cells):
        lines.append(f"about {seconds / 60:.0f} minutes left, one after the other")
    return "\n".join(lines) + "\n"


def counts(cells: Sequence[Cell]) -> str:
    """How many cells there are of each status, in one line."""
    by_status = Counter(cell.status for cell in cells)
    return ", ".join(f"{count} {status}" for status, count in sorted(by_status.items()))


def seconds_left(cells: Sequence[Cell]) -> float:
    """For each cell to come what it is expected to take, less what it has done, if they run one by one.

    It is expected to take what it has taken so far, for all its epochs; before its first epoch the mean time of the
    finished cells of its model, or of those that are running, or of all.
    """
    finished = [(cell, cell.seconds) for cell in cells if cell.status is Standing.DONE]
    begun = [(cell, cell.seconds / cell.share_done) for cell in cells if cell.status not in _OVER and cell.share_done]
    left = 0.0
    for cell in cells:
        if cell.status not in _OVER:
            others = (
                [*_of_model(finished, cell)] or [*_of_model(begun, cell)] or [time for _, time in finished or begun]
            )
            own = cell.seconds / cell.share_done if cell.share_done else 0.0
            left += (own or (statistics.fmean(others) if others else 0.0)) * (1 - cell.share_done)
    return left


def _of_model(times: Sequence[tuple[Cell, float]], cell: Cell) -> Iterator[float]:
    return (time for other, time in times if time and _model_of(other) == _model_of(cell))


def _model_of(cell: Cell) -> str:
    """The model of a cell; without a record the first word of its folder's name, which is the model in a grid."""
    return cell.model or Path(cell.name).name.partition("_")[0]
