"""What a run tells at its start and at its end: lines in the log, and options with final scores in its loggers."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from lightning import Trainer
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from sr.callbacks.tables import EpochTable
from sr.errors import UserError, line_of
from sr.runs.build import Parts
from sr.runs.identity import configuration
from sr.runs.record import status_of
from sr.runs.schema import RunResult, Status
from sr.runs.scores import unbeaten
from sr.terms import Part
from sr.trackers.common import Ending, Tracker

log = logging.getLogger(__name__)

_PRECISIONS = {"32-true": "float32", "bf16-mixed": "bfloat16 and float32", "16-mixed": "float16 and float32"}
_ENDINGS = {Status.PRUNED: Ending.PRUNED, Status.INTERRUPTED: Ending.INTERRUPTED}
_DESCRIBED = frozenset({"model", "loss", "optimizer", "scheduler", "data", "trainer"})  # groups whose options are told
_PARTS = {Part.TRAIN: "train", Part.VAL: "validation", Part.TEST: "test"}


# Options without effect, by the option that takes their place.
_REPLACED = {"val_root": "val_share", "test_root": "test_share", "folds": "val_share"}


def unused_options(config: Mapping[str, Any], overrides: Sequence[str]) -> list[str]:
    """A line for each option of the command line that others take the place of.

    >>> unused_options({"data": {"val_root": "mine"}}, ["data.val_root=mine", "data.val_share=0.3"])
    ['data.val_share=0.3 is not used: data.val_root=mine takes its place']
    """
    data = config["data"]
    return [
        f"{word} is not used: data.{option}={data[option]} takes its place"
        for option, replaced in _REPLACED.items()
        if data.get(option) is not None
        for word in overrides
        if word.startswith(f"data.{replaced}=")
    ]


def _limited_loggers(loggers: Sequence[Logger]) -> list[str]:
    """A line about loggers that keep less than the trackers."""
    limited = any(isinstance(logger, TensorBoardLogger) and not isinstance(logger, Tracker) for logger in loggers)
    line = (
        "logger: Lightning's TensorBoardLogger keeps curves alone: for pictures, options and final scores name "
        "sr.trackers.tensorboard.TensorBoardTracker"
    )
    return [line] if limited else []


@rank_zero_only
def introduce(
    parts: Parts, result: RunResult, images: Sequence[Mapping[str, str]], folder: Path, said: set[str]
) -> None:
    """Log in five lines what a run trains, on which images, and where.

    Args:
        parts: of the run.
        result: its record so far.
        images: the rows of ``split.csv``.
        folder: of the run.
        said: what earlier trainings of the same cell have logged, which is left out; the lines are added to it.
    """
    lines = {
        "network": _network(parts, result),
        "data": f"{_data_name(result)}: {_image_counts(images)}",
        "degradation": parts.datamodule.degradation(),
        "device": _device(parts.trainer, result),
        "folder": str(folder),
    }
    overrides = list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []
    warnings = [*unused_options(result.config, overrides), *_limited_loggers(parts.loggers)]
    for line in [*(f"{name:<12} {text}" for name, text in lines.items()), *warnings]:
        if line not in said:
            log.log(logging.WARNING if line in warnings else logging.INFO, "%s", line)
            said.add(line)


def _network(parts: Parts, result: RunResult) -> str:
    words = [f"{result.choices.get('model') or type(parts.net).__name__}, {result.parameters:,} parameters"]
    words += [f"from {result.initial.source}"] if result.initial else []
    words += [f"loss {result.loss}"]
    words += [f"optimizer {result.choices['optimizer']}"] if result.choices.get("optimizer") else []
    return ", ".join(words)


def _data_name(result: RunResult) -> str:
    """The folders of the images, or the data set if it has none."""
    data = result.config["data"]
    root = data.get("high_res") or data.get("root")
    roots = [root] if isinstance(root, str) else root or [result.choices.get("data") or "data"]
    named = (("validation", data.get("val_root")), ("test", data.get("test_root")))
    return ", ".join([*map(str, roots), *(f"{name} {folders}" for name, folders in named if folders)])


def _image_counts(images: Sequence[Mapping[str, str]]) -> str:
    """How many images of how many photographs each part has.

    >>> _image_counts([{"group": "a", "part": "train"}, {"group": "a", "part": "train"}, {"group": "b", "part": "val"}])
    'train 2 images (1 photographs), validation 1 (1), test 0'
    """
    counts: list[str] = []
    for part, name in _PARTS.items():
        photographs = [row["group"] for row in images if row["part"] == part]
        many, distinct = str(len(photographs)), str(len(set(photographs)))
        if not counts:
            many, distinct = f"{many} images", f"{distinct} photographs"
        counts.append(f"{name} {many} ({distinct})" if photographs else f"{name} 0")
    return ", ".join(counts)


def _device(trainer: Trainer, result: RunResult) -> str:
    """Device and precision, such as ``cpu (AMD EPYC), float32, 2 threads``."""
    device = trainer.strategy.root_device
    name = result.machine.get("gpu" if device.type == "cuda" else "processor")
    threads = torch.get_num_threads()
    place = f"{trainer.world_size} x {device.type}" if trainer.world_size > 1 else str(device)
    precision = _PRECISIONS.get(result.precision, result.precision)
    return f"{place}{f' ({name})' if name else ''}, {precision}, {threads} thread{'s' if threads > 1 else ''}"


@rank_zero_only
def tell_what_is_missing(parts: Parts, said: set[str]) -> None:
    """Warn of steps of the schedule that were not trained, and of trained ones that were not scored.

    Args:
        parts: of the run, trained.
        said: see `introduce`.
    """
    steps, planned = parts.trainer.global_step, parts.module.schedule_steps
    lines = []
    if steps < planned:
        lines.append(
            f"trained {steps} of the {planned} steps that the schedule of the learning rate is laid out for: it was "
            "broken off"
        )
    for callback in parts.trainer.callbacks:  # type: ignore[attr-defined]
        scored = callback.scored_step if isinstance(callback, EpochTable) else None
        if scored is not None and scored < steps:
            lines.append(f"the last {steps - scored} of {steps} steps were not scored, and best.ckpt is without them")
    for line in lines:
        if line not in said:
            log.warning("%s", line)
            said.add(line)


@rank_zero_only
def announce(result: RunResult, folder: Path | None) -> None:
    """Log the scores of a run, or their means over its seeds and folds, next to those of the input.

    Args:
        result: the record of the run.
        folder: of the run, to name it; None for one of several trainings.
    """
    made_by = f"{result.loss}, init={result.initial.source}" if result.initial else result.loss
    for part in result.scores if result.scores else [Part.VAL]:
        scores = result.scores.get(part)
        if not scores:
            log.warning("no %s scores: the run was never validated", part)
            continue
        psnr, baseline, gain = (scores[name] for name in ("psnr", "input_psnr", "gain"))
        if psnr.sd is not None and result.trainings and gain.sd is not None:
            log.info(
                "%s/psnr %.2f +- %.2f dB over %s, input %.2f, gain %+.2f +- %.2f  (%s)",
                *(part, psnr.mean, psnr.sd, _trainings(result), baseline.mean, gain.mean, gain.sd, made_by),
            )
        else:
            log.info(
                "%s/psnr %.2f dB, input %.2f, gain %+.2f  (%s)",
                *(part, psnr.mean, baseline.mean, gain.mean, made_by),
            )
        if lost_to := unbeaten(scores):
            log.warning(
                "WARNING: this model does not beat %s on the %s images: no model at all would be better",
                *(lost_to, part),
                extra={"in_state": True},
            )
    if folder:
        log.info("run folder: %s", folder)


def _trainings(result: RunResult) -> str:
    """What the means are over, such as ``5 folds``, ``3 seeds`` or ``3 seeds of 5 folds``."""
    folds = f"{result.fold_count} folds" if result.fold_count else ""
    return " of ".join(filter(None, [f"{len(result.seeds)} seeds" if result.seeds else "", folds]))


@contextmanager
def described_in_trackers(loggers: Sequence[Logger], result: RunResult) -> Iterator[None]:
    """Give the options of the run to its trackers, and end it there at the end of the ``with`` block.

    Raises:
        UserError: if a tracker cannot be reached.
    """
    trackers = [logger for logger in loggers if isinstance(logger, Tracker)]
    ending = Ending.FINISHED
    try:
        for tracker in trackers:
            try:
                tracker.describe(_hyper_parameters(result))
            except Exception as error:  # of any kind, by tracker and kind of store
                raise UserError(f"logger: {tracker.label} cannot be used ({line_of(error)})") from error
        yield
    except BaseException as error:
        ending = _ENDINGS.get(status_of(error)[0], Ending.FAILED)
        raise
    finally:
        for tracker in trackers:
            with _in_one_line(f"logger: {tracker.label} was not closed"):
                tracker.close(ending)


@rank_zero_only
def log_final_scores(loggers: Sequence[Logger], result: RunResult) -> None:
    """Give the final scores to the trackers: ``final/psnr`` of validation, ``final/test_psnr`` of test images."""
    prefixes = {Part.VAL: "final/", Part.TEST: "final/test_"}
    scores = {
        f"{prefix}{name}": summary.mean
        for part, prefix in prefixes.items()
        for name, summary in result.scores.get(part, {}).items()
    }
    for logger in loggers:
        if isinstance(logger, Tracker):
            with _in_one_line(f"logger: {logger.label} did not get the final scores"):
                logger.conclude(scores, result.steps)


@contextmanager
def _in_one_line(text: str) -> Iterator[None]:
    """Warn of an error of a tracker: the run has ended, and the other trackers have to get theirs as well."""
    try:
        yield
    except Exception as error:
        log.warning("%s (%s)", text, line_of(error))


def _hyper_parameters(result: RunResult) -> dict[str, object]:
    settings: dict[str, object] = {name: choice or "" for name, choice in result.choices.items()}
    settings |= {"loss": result.loss, "seed": result.config["seed"], "scale": result.scale}
    settings["init"] = result.initial.source if result.initial else ""
    for name, value in configuration(result.config).items():
        parts = name.split(".")
        if parts[0] in _DESCRIBED and value is not None and not parts[-1].startswith("_"):
            settings[name] = value if isinstance(value, int | float | str) else str(value)
    return settings
