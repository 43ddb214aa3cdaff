"""What a run folder says of its run: before, while and after it trains."""

import logging
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.utilities.exceptions import SIGTERMException
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from sr.errors import DivergedError, PrunedError, UserError
from sr.io.locks import hold, is_held
from sr.machine.environment import environment
from sr.runs.result import LOCK, NAME, beats_input, command, differences, read_result, write_result
from sr.io.atomic import is_full_disk, remove_leftovers

log = logging.getLogger(__name__)

_OURS = ("result.json", "*.csv", "events.out.tfevents.*", "checkpoints/*.ckpt")  # of a run folder
_PATIENCE = 120.0  # seconds
_GROUPS = ("model", "loss", "optimizer", "scheduler", "data", "trainer", "experiment")


@contextmanager
def held_folder(folder: Path) -> Iterator[None]:
    """Make a run folder and hold it, so that no other command trains in it.

    In a sweep it waits a while for a worker that a killed sweep left behind: that one ends after its running step.

    Raises:
        UserError: if another process holds it, or the disk is full.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if _rank() == 0:
            with _held(folder):
                yield
        else:  # of several processes that train one run, the first holds its folder
            yield
    except OSError as error:
        if is_full_disk(error):
            raise UserError(f"{folder}: the disk is full: free some space, and the same command goes on") from error
        raise


def _rank() -> int:
    return getattr(rank_zero_only, "rank", 0)  # Lightning keeps it as an attribute of its function


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    sweeping = HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN
    if sweeping and is_held(folder / LOCK):
        log.info("%s: %s, waiting for it", folder, _holder(folder))
    with hold(folder / LOCK, _PATIENCE if sweeping else 1) as free:
        if not free:
            raise UserError(f"{folder}: {_holder(folder)}: wait for it, or choose another folder (hydra.run.dir)")
        for place in (folder, folder / "checkpoints"):
            remove_leftovers(place)
        yield


def _holder(folder: Path) -> str:
    try:
        result = read_result(folder) or {}
        process = result["process"]
        return f"process {process['id']} on {process['host']} has trained this run since {result['started']}"
    except (UserError, KeyError, TypeError):
        return "another process trains this run"


def settle(folder: Path, plain: dict[str, Any]) -> dict[str, Any] | None:
    """What the folder holds of the same run, done or to be continued; None for a fresh start.

    Raises:
        UserError: if it holds another run.
    """
    if plain["retrain"]:
        for pattern in _OURS:
            for path in folder.glob(pattern):
                path.unlink()
        return None
    earlier = read_result(folder)
    kept = any(folder.glob("**/checkpoints/*.ckpt"))
    if earlier:
        different = differences(earlier, plain)
        if not different:
            return earlier
        if kept or earlier["status"] == "done":
            more = f" (and {len(different) - 1} more)" if len(different) > 1 else ""
            raise UserError(
                f"{folder}: holds a run of another config, {different[0]}{more}: choose another folder (hydra.run.dir, "
                f"for a sweep hydra.sweep.dir), or retrain=true"
            )
        return None  # it failed before it trained
    if kept:
        raise UserError(f"{folder}: holds checkpoints of a run without {NAME}: choose another folder, or retrain=true")
    return None


def is_done(result: Mapping[str, Any], plain: Mapping[str, Any]) -> bool:
    """Whether nothing is left to do, test scores included where they are asked for."""
    return result["status"] == "done" and (not plain["test"] or "test" in result["scores"])


def describe_run(plain: dict[str, Any], changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What a result says before training: config, choices, the command that repeats it, versions and machine."""
    choices: dict[str, Any] = {}
    line = None
    if HydraConfig.initialized():
        hydra = HydraConfig.get()
        choices = {group: hydra.runtime.choices.get(group) for group in _GROUPS}
        mode = {"hydra.mode": "RUN"} if hydra.mode == RunMode.MULTIRUN else {}  # one cell, not the sweep
        line = command(list(hydra.overrides.task), {**mode, **(changes or {})})
    started = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    return {
        "status": "running",
        "started": started,
        "process": {"host": socket.gethostname(), "id": os.getpid()},
        "config": plain,
        "choices": choices,
        "command": line,
    } | environment()


@rank_zero_only
def log_hyper_parameters(loggers: list[Logger], result: dict[str, Any]) -> None:
    """Fill TensorBoard's page of hyper-parameters with the final scores."""
    config = result["config"]
    settings = {name: choice or "" for name, choice in result["choices"].items()}
    settings |= {"loss": result["loss"], "seed": config["seed"], "scale": config["scale"]}
    for group in ("model", "optimizer"):
        for name, value in config[group].items():
            if isinstance(value, int | float | str) and not name.startswith("_"):
                settings[f"{group}.{name}"] = value
    scores = {f"final/{name}": values["mean"] for name, values in result["scores"]["val"].items()}
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):
            with SummaryWriter(logger.log_dir) as writer:  # the logger's own is closed when training ends
                for summary in hparams(settings, scores):
                    writer.file_writer.add_summary(summary)
                for name, value in scores.items():
                    writer.add_scalar(name, value, result["steps"])


@rank_zero_only
def announce(result: dict[str, Any], folder: Path) -> None:
    """Say what was reached beside what the input had."""
    for part, scores in result["scores"].items():
        if not scores:
            log.warning("no %s scores: the run was never validated", part)
            continue
        psnr, baseline, gain = (scores[name]["mean"] for name in ("psnr", "input_psnr", "gain"))
        log.info("%s/psnr %.2f dB, input %.2f, gain %+.2f  (%s)", part, psnr, baseline, gain, result["loss"])
        if not beats_input(gain):
            log.warning(
                "WARNING: this model does not beat its input on the %s images: no model at all would be better", part
            )
    log.info("run folder: %s", folder)


@rank_zero_only
def record(folder: Path, result: dict[str, Any]) -> None:
    """Write the result, on one process only."""
    folder.mkdir(parents=True, exist_ok=True)
    write_result(folder, result)


def status_of(error: BaseException) -> tuple[str, str]:
    """Status and one-line reason of a run that ended with an error."""
    if isinstance(error, DivergedError):
        return "diverged", _one_line(error)
    if isinstance(error, PrunedError):
        return "pruned", _one_line(error)
    return "interrupted" if isinstance(error, KeyboardInterrupt | SystemExit) else "failed", _one_line(error)


def _one_line(error: BaseException) -> str:
    """The reason in one line; Hydra wraps what a constructor raised."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, UserError):
            return str(cause)
        cause = cause.__cause__
    if isinstance(error, SIGTERMException):
        return "SIGTERM"
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return "Ctrl-C"
    text = " ".join(str(error).split())
    return text if isinstance(error, DivergedError | PrunedError) else f"{type(error).__name__}: {text}"
