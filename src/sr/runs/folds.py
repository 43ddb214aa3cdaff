"""Cross-validation: train a fresh model on every fold, then join their tables into one result."""

import logging
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from sr.errors import UserError
from sr.io.run_folder import RunFolder
from sr.io.tables import read_table, write_table
from sr.options.check import check_options
from sr.runs.announce import announce
from sr.runs.fit import announce_earlier, check_moved_data, fit, is_complete
from sr.runs.objectives import objective
from sr.runs.record import clear, earlier_run, held_folder, new_result, record, status_of
from sr.runs.schema import FoldResult, Monitor, RunResult, Status, read_result
from sr.runs.scores import over_folds, over_folds_by_epoch
from sr.terms import typical_speed

log = logging.getLogger(__name__)

ALL = "all"

# What the folds have in common.
_SHARED = (
    *("scale", "protocol", "loss", "parameters", "multiply_adds", "precision", "device", "data", "epochs", "steps"),
    *("extensions", "images_seen", "initial"),
)


def run(config: DictConfig) -> float | list[float] | None:
    """Train one model, or one for each fold with ``data.fold=all``; see `sr.runs.fit.fit`.

    Returns:
        The monitored score, or a list of what ``objectives`` names.

    Raises:
        UserError: for an objective that a result does not have, and as `fit` and `fit_folds` do.
    """
    value = fit_folds(config) if config.data.fold == ALL else fit(config)
    if not config.objectives:
        return value
    result = read_result(Path(config.run_dir))
    assert result is not None
    return [objective(result, name) for name in config.objectives]


def fit_folds(config: DictConfig) -> float | None:
    """Train a fresh model on each fold, in ``fold_0`` and so on under the run folder.

    Folds differ in their seed; the seed of the split stays. A finished fold is not trained again, an interrupted one
    is resumed.

    Returns:
        Mean over the folds of the monitored score; None if they were never validated.

    Raises:
        UserError: without ``data.folds``, and as `sr.runs.fit.fit` does.
        DivergedError: if a fold diverges; the folds before it stay.
    """
    check_options(config)
    config_dict: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    folder = Path(config_dict["run_dir"])
    folds = config_dict["data"]["folds"]
    if not isinstance(folds, int) or folds < 2:
        raise UserError(f"data.fold=all needs data.folds=K with K of 2 or more, got {folds!r}")
    with held_folder(folder):
        earlier = earlier_run(folder, config_dict)
        if earlier and is_complete(earlier, test=config_dict["test"]):
            check_moved_data(config, config_dict, earlier, folder)
            return announce_earlier(earlier, folder)
        return _fit_folds(config, config_dict, folder, folds)


def _fit_folds(config: DictConfig, config_dict: dict[str, Any], folder: Path, folds: int) -> float | None:
    """Train what is left to train in a folder that this process holds."""
    result, files = new_result(config_dict), RunFolder(folder)
    has_started = False

    def start() -> None:
        nonlocal has_started
        if not has_started:
            if config_dict["retrain"]:
                for run in (files, *files.folds):  # an interrupted one must not leave folds of two trainings
                    clear(run.path)
            record(folder, result)
        has_started = True

    begun = time.perf_counter()
    step = ""
    try:
        for fold in range(folds):
            step = f"fold {fold}: "
            log.info("fold %d of %d", fold + 1, folds)
            fit(*_config_of_fold(config, config_dict, fold), start)
        step = ""
        result = _joined(result, folder, folds)
        result.status = Status.DONE
    except BaseException as error:
        result.status, reason = status_of(error)
        result.reason = step + reason
        raise
    finally:
        result.elapsed_seconds = time.perf_counter() - begun
        if has_started:
            record(folder, result)
    announce(result, folder)
    return result.monitor.value if result.monitor else None


def _config_of_fold(config: DictConfig, config_dict: dict[str, Any], fold: int) -> tuple[DictConfig, dict[str, Any]]:
    """The config of one fold, and the overrides that repeat it alone."""
    changes = {"data.fold": fold, "data.seed": config_dict["data"]["seed"], "seed": config_dict["seed"] + fold}
    own = config.copy()
    with open_dict(own):
        for path, value in {**changes, "run_dir": str(RunFolder(Path(config_dict["run_dir"])).fold(fold).path)}.items():
            OmegaConf.update(own, path, value)
    return own, changes


def _joined(result: RunResult, folder: Path, folds: int) -> RunResult:
    """Write the joined tables, and complete the result with what the folds have in common, spent and reached."""
    files = RunFolder(folder)
    parts = [files.fold(fold) for fold in range(folds)]
    results = [fold_result for part in parts if (fold_result := read_result(part.path))]
    images = [{**row, "fold": fold} for fold, part in enumerate(parts) for row in _table(part.images)]
    if images:
        write_table(files.images, images)
    write_table(files.metrics, over_folds_by_epoch([_table(part.metrics) for part in parts]))
    first = results[0]
    scored = [part for part in first.scores if all(fold.scores.get(part) for fold in results)]
    milliseconds = [fold.ms_per_image for fold in results if fold.ms_per_image is not None]  # of older records
    speed = typical_speed([fold.speed for fold in results if fold.speed])
    return replace(
        result,
        **{name: getattr(first, name) for name in _SHARED},
        seconds=sum(fold.seconds for fold in results),
        train_seconds=sum(fold.train_seconds for fold in results),
        images_per_second=statistics.fmean(fold.images_per_second for fold in results),
        wait_share=statistics.fmean(fold.wait_share for fold in results),
        ms_per_image=speed.latency_ms.median if speed else statistics.fmean(milliseconds) if milliseconds else None,
        speed=speed,
        peak_memory_bytes=max(fold.peak_memory_bytes for fold in results),
        folds=[FoldResult(fold.scores, fold.seconds) for fold in results],
        monitor=_mean_monitor(results),
        scores={part: over_folds([fold.scores[part] for fold in results]) for part in scored},
    )


def _table(path: Path) -> list[dict[str, str]]:
    """A table, empty for a fold that was never validated."""
    return read_table(path) if path.is_file() else []


def _mean_monitor(results: Sequence[RunResult]) -> Monitor | None:
    monitors = [result.monitor for result in results if result.monitor]
    values = [monitor.value for monitor in monitors if monitor.value is not None]
    if not monitors:
        return None
    return Monitor(monitors[0].name, statistics.fmean(values) if len(values) == len(results) else None)
