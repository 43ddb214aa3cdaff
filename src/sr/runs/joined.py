"""Join the trainings of a cell with several seeds or folds: their tables, and their results into one."""

import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sr.io.run_folder import RunFolder
from sr.io.tables import from_epoch_1, read_table, write_table
from sr.runs.schema import Monitor, RunResult, TrainingResult, read_result
from sr.runs.scores import over_trainings, over_trainings_by_epoch
from sr.terms import typical_speed

# What the trainings of a cell have in common.
_SHARED = (
    *("scale", "protocol", "loss", "parameters", "multiply_adds", "precision", "device", "data", "epochs", "steps"),
    *("images_seen", "initial"),
)


def joined(result: RunResult, folder: Path, parts: Sequence[RunFolder]) -> RunResult:
    """Write the joined tables, and complete the result with what the parts have in common, spent and reached.

    Args:
        result: of the cell, as it began.
        folder: of the cell.
        parts: folders of its seeds, or of its folds; all are done.
    """
    files = RunFolder(folder)
    results = [part_result for part in parts if (part_result := read_result(part.path))]
    _join_images(files.images, [part.images for part in parts], parts)
    _join_images(files.test_images, [part.test_images for part in parts], parts)
    write_table(files.metrics, over_trainings_by_epoch([_table(part.metrics) for part in parts]))
    first = results[0]
    scored = [part for part in first.scores if all(one.scores.get(part) for one in results)]
    milliseconds = [one.ms_per_image for one in results if one.ms_per_image is not None]  # of older records
    speed = typical_speed([one.speed for one in results if one.speed])
    return replace(
        result,
        **{name: getattr(first, name) for name in _SHARED},
        extensions=max((one.extensions for one in results), key=len),  # a seed that is added later may have none
        seconds=sum(one.seconds for one in results),
        train_seconds=sum(one.train_seconds for one in results),
        images_per_second=statistics.fmean(one.images_per_second for one in results),
        wait_share=statistics.fmean(one.wait_share for one in results),
        ms_per_image=speed.latency_ms.median if speed else statistics.fmean(milliseconds) if milliseconds else None,
        speed=speed,
        peak_memory_bytes=max(one.peak_memory_bytes for one in results),
        trainings=[training for one in results for training in _trainings(one, result)],
        monitor=_mean_monitor(results),
        scores={part: over_trainings([one.scores[part] for one in results]) for part in scored},
    )


def _trainings(part: RunResult, cell: RunResult) -> list[TrainingResult]:
    """The trainings of a seed or fold; a fold bears the seed of its cross-validation, not the one it trains with."""
    seed = part.config["seed"] if cell.seeds else cell.config["seed"]
    return part.trainings or [TrainingResult(seed, part.fold, part.scores, part.seconds)]


def _join_images(path: Path, tables: Sequence[Path], parts: Sequence[RunFolder]) -> None:
    """Join the rows of image tables, unless a part has none; each row says which seed or fold it is of."""
    if not all(table.is_file() for table in tables):
        path.unlink(missing_ok=True)
        return
    rows = []
    for part, table in zip(parts, tables, strict=True):
        label = {"fold" if part.is_fold else "seed": part.number}
        rows += [{"name": row["name"], "group": row.get("group", ""), **label, **row} for row in read_table(table)]
    write_table(path, rows)


def _table(path: Path) -> list[dict[str, Any]]:
    """The table of epochs, empty for a training that was never validated."""
    return from_epoch_1(read_table(path)) if path.is_file() else []


def _mean_monitor(results: Sequence[RunResult]) -> Monitor | None:
    monitors = [result.monitor for result in results if result.monitor]
    values = [monitor.value for monitor in monitors if monitor.value is not None]
    if not monitors:
        return None
    return Monitor(monitors[0].name, statistics.fmean(values) if len(values) == len(results) else None)
