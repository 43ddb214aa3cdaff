"""Cross-validation: train every fold anew, then join their tables into one result."""

import logging
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from sr.errors import UserError
from sr.runs.fit import fit
from sr.runs.record import describe_run, held_folder, is_done, record, settle, status_of
from sr.runs.result import beats_input, mean_and_sd_by_epoch, objective, read_result
from sr.io.tables import read_table, write_table

log = logging.getLogger(__name__)

ALL = "all"

# What the folds have in common, and what they spend together.
_SHARED = ("scale", "protocol", "loss", "parameters", "multiply_adds", "precision", "device", "epochs", "steps")
_SUMMED = ("seconds", "train_seconds")
_AVERAGED = ("images_per_second", "wait_share", "ms_per_image")


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

    Folds differ in their seed, the split's stays. A fold that is done is not trained again, an interrupted one goes on.

    Returns:
        Mean over the folds of the monitored score.

    Raises:
        UserError: without ``data.folds``, and as `sr.runs.fit.fit` does.
        DivergedError: if a fold diverges; the folds before it stay.
    """
    plain: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    folder = Path(plain["run_dir"])
    folds = plain["data"]["folds"]
    if not isinstance(folds, int) or folds < 2:
        raise UserError(f"data.fold=all needs data.folds=K with K of 2 or more, got {folds!r}")
    if str(plain["trainer"]["strategy"]).startswith("ddp"):
        raise UserError("trainer=ddp trains one fold at a time: name it, data.fold=0")
    with held_folder(folder):
        return _fit_folds(config, plain, folder, folds)


def _fit_folds(config: DictConfig, plain: dict[str, Any], folder: Path, folds: int) -> float | None:
    """What `fit_folds` does with a folder that it holds."""
    earlier = settle(folder, plain)
    if earlier and is_done(earlier, plain):
        log.info("%s: done before, nothing to train (retrain=true trains again)", folder)
        _announce(earlier, folder)
        value: float | None = earlier["monitor"]["value"]
        return value
    result = describe_run(plain)
    record(folder, result)
    begun = time.perf_counter()
    try:
        for fold in range(folds):
            log.info("fold %d of %d", fold + 1, folds)
            fit(*_config_of_fold(config, plain, fold))
        result |= _join(folder, folds)
        result["status"] = "done"
        _announce(result, folder)
        return float(result["monitor"]["value"])
    except BaseException as error:
        result["status"], reason = status_of(error)
        result["reason"] = f"fold {fold}: {reason}"
        raise
    finally:
        result["elapsed_seconds"] = time.perf_counter() - begun
        record(folder, result)


def _config_of_fold(config: DictConfig, plain: dict[str, Any], fold: int) -> tuple[DictConfig, dict[str, Any]]:
    """The config of one fold, and the overrides that make it alone."""
    changes = {"data.fold": fold, "data.seed": plain["data"]["seed"], "seed": plain["seed"] + fold}
    own = config.copy()
    with open_dict(own):
        for path, value in {**changes, "run_dir": f"{plain['run_dir']}/fold_{fold}"}.items():
            OmegaConf.update(own, path, value)
    return own, changes


def _join(folder: Path, folds: int) -> dict[str, Any]:
    """Write the joined tables, and return what the result says of all folds."""
    parts = [folder / f"fold_{fold}" for fold in range(folds)]
    results = [read_result(part) or {} for part in parts]
    images = [{**row, "fold": fold} for fold, part in enumerate(parts) for row in read_table(part / "images.csv")]
    write_table(folder / "images.csv", images)
    write_table(folder / "metrics.csv", mean_and_sd_by_epoch([read_table(part / "metrics.csv") for part in parts]))
    parts_scored = [part for part in ("val", "test") if all(part in one["scores"] for one in results)]
    monitored = [one["monitor"]["value"] for one in results]
    return {
        **{name: results[0][name] for name in _SHARED},
        **{name: sum(one[name] for one in results) for name in _SUMMED},
        **{name: statistics.fmean(one[name] for one in results) for name in _AVERAGED},
        "peak_memory_bytes": max(one["peak_memory_bytes"] for one in results),
        "data": results[0]["data"],
        "folds": [{"scores": one["scores"], "seconds": one["seconds"]} for one in results],
        "monitor": {"name": results[0]["monitor"]["name"], "value": statistics.fmean(monitored)},
        "scores": {part: _over_folds([one["scores"][part] for one in results]) for part in parts_scored},
    }


def _over_folds(scores: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Mean and standard deviation over folds of each metric's mean over images."""
    columns = {name: [one[name]["mean"] for one in scores] for name in scores[0]}
    return {name: {"mean": statistics.fmean(means), "sd": statistics.stdev(means)} for name, means in columns.items()}


def _announce(result: Mapping[str, Any], folder: Path) -> None:
    scores = result["scores"]["val"]
    psnr, baseline, gain = (scores[name] for name in ("psnr", "input_psnr", "gain"))
    log.info(
        "val/psnr %.2f +- %.2f dB over %d folds, input %.2f, gain %+.2f +- %.2f  (%s)",
        *(psnr["mean"], psnr["sd"], len(result["folds"]), baseline["mean"], gain["mean"], gain["sd"], result["loss"]),
    )
    if not beats_input(gain["mean"]):
        log.warning("WARNING: this model does not beat its input: no model at all would be better")
    log.info("run folder: %s", folder)
