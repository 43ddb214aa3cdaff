"""One run: build the parts that the config names, train them, score the best."""

import logging
import os
import sys
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import lightning
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.errors import InstantiationException
from hydra.types import RunMode
from hydra.utils import instantiate
from lightning import Trainer
from lightning.pytorch.callbacks import Callback, ProgressBar
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.exceptions import MisconfigurationException, SIGTERMException
from omegaconf import DictConfig, OmegaConf

from sr.callbacks.checkpoints import RunCheckpoints, WholeCheckpointIO
from sr.callbacks.tables import ImageScores
from sr.callbacks.timing import Timing
from sr.weights.checkpoint import network_config
from sr.machine.processes import in_worker
from sr.errors import UserError, check_at_least, check_choice
from sr.machine.hardware import compile_from, device_in_turn, precision
from sr.lit_module import LitSR
from sr.machine.cost import count_parameters, milliseconds_per_image, multiply_adds, peak_memory_bytes
from sr.runs.record import announce, describe_run, held_folder, is_done, log_hyper_parameters, record, settle, status_of
from sr.runs.result import summarise
from sr.runs.resume import cut_step_tables, find_checkpoint

log = logging.getLogger(__name__)

T = TypeVar("T", bound=Callback)

# What a wrong setting may raise before the first step; HYDRA_FULL_ERROR=1 shows where.
_SETTINGS = (InstantiationException, MisconfigurationException, ValueError, TypeError, OverflowError)

_MONITORED = tuple(f"val/{name}" for name in ("psnr", "ssim", "gain", "loss"))


def fit(config: DictConfig, changes: Mapping[str, Any] | None = None) -> float | None:
    """Train one model as the config says, or continue the run that its folder holds.

    Args:
        config: the composed config.
        changes: options that differ from the command line's, for the command that the result records.

    Returns:
        The monitored score of the best epoch (``val/psnr`` in dB unless configured otherwise), for searches.

    Raises:
        UserError: for input that has to change, a run that another process trains, and a full disk.
        DivergedError: if the loss is no longer finite.
        KeyboardInterrupt: after Ctrl-C, once the checkpoint is written.
    """
    _quiet()
    plain: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    folder = Path(plain["run_dir"])
    with held_folder(folder):
        return _fit(config, plain, folder, changes)


def _fit(config: DictConfig, plain: dict[str, Any], folder: Path, changes: Mapping[str, Any] | None) -> float | None:
    """What `fit` does with a folder that it holds."""
    earlier = settle(folder, plain)
    if earlier and is_done(earlier, plain):
        log.info("%s: done before, nothing to train (retrain=true trains again)", folder)
        announce(earlier, folder)
        value: float | None = earlier["monitor"]["value"]
        return value
    before = (earlier or {}).get("seconds", 0.0)
    result = describe_run(plain, changes) | {"seconds": before}
    if earlier and "precision" in earlier:
        result["precision"] = earlier["precision"]
    record(folder, result)
    begun = time.perf_counter()
    parts: dict[str, Any] = {}
    try:
        return _run(config, plain, folder, result, parts, earlier)
    except BaseException as error:
        result["status"], result["reason"] = status_of(error)
        if result["status"] == "interrupted":
            flag = ", without retrain=true" if plain["retrain"] else ""
            log.warning("interrupted: the same command with hydra.run.dir='%s'%s goes on", folder, flag)
        if isinstance(error, SystemExit) and not isinstance(error, SIGTERMException):
            raise KeyboardInterrupt from error  # Lightning exits with 1 after Ctrl-C
        begun_training = "timing" in parts and parts["timing"].images > 0
        if isinstance(error, _SETTINGS) and not begun_training and "HYDRA_FULL_ERROR" not in os.environ:
            raise UserError(result["reason"]) from error
        raise
    finally:
        if "checkpoints" in parts:
            parts["checkpoints"].release()
        result["seconds"] = before + time.perf_counter() - begun
        try:
            record(folder, result)
        finally:
            if "checkpoints" in parts:
                parts["checkpoints"].pass_on()


def _run(
    config: DictConfig,
    plain: dict[str, Any],
    folder: Path,
    result: dict[str, Any],
    parts: dict[str, Any],
    earlier: dict[str, Any] | None,
) -> float | None:
    """Build, train and score; ``parts`` tells the caller how far it came, whatever happens."""
    _check(plain)
    if earlier and "precision" in earlier:  # what `auto` chose, on whatever machine
        config.trainer.precision = earlier["precision"]
    scale = plain["scale"]
    lightning.seed_everything(plain["seed"], workers=True, verbose=False)

    datamodule: Any = instantiate(config.data)
    net = instantiate(config.model)
    if plain["data"].get("scales") and not getattr(net, "any_scale", False):
        raise UserError("data.scales needs a network that takes the enlarged image: model=vdsr or model=autoencoder")
    scorer = instantiate(config.scorer)
    loss = instantiate(config.loss)
    module = LitSR(
        net=net.to(memory_format=torch.channels_last),
        loss=loss,
        optimizer=instantiate(config.optimizer),
        scheduler=instantiate(config.scheduler),
        scorer=scorer,
        config=network_config(plain["model"], scale, scorer.protocol, plain["data"].get("scales")),
        compile_from=compile_from(plain["trainer"]["compile"], plain["trainer"]["accelerator"]),
    )
    resume = find_checkpoint(folder) if earlier else None
    steps = resume[1] if resume else 0
    if earlier:
        cut_step_tables(folder, steps)
    callbacks: list[Callback] = [instantiate(one) for one in config.callbacks.values() if one]
    loggers = [_logger(one, steps if earlier else None) for one in (config.logger or {}).values() if one]
    trainer = _trainer(config, callbacks, loggers, folder)
    checkpoints, scores = _only(callbacks, RunCheckpoints), _only(callbacks, ImageScores)
    timing = _only(callbacks, Timing)
    parts |= {"checkpoints": checkpoints, "timing": timing}
    device = trainer.strategy.root_device
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)

    result |= {
        "scale": scale,
        "protocol": scorer.protocol,
        "loss": getattr(loss, "label", result["choices"].get("loss") or type(loss).__name__),
        "parameters": count_parameters(net),
        "multiply_adds": multiply_adds(net, scale),
        "precision": trainer.precision,
    }
    record(folder, result)
    if resume:
        log.info("going on from %s", resume[0])
    trainer.fit(module, datamodule, ckpt_path=resume[0] if resume else None, weights_only=True)

    best = None if checkpoints.best_model_score is None else float(checkpoints.best_model_score)
    result |= {
        "data": datamodule.describe(),
        "epochs": trainer.current_epoch,
        "steps": trainer.global_step,
        "images_per_second": timing.images_per_second,
        "train_seconds": timing.train_seconds,
        "wait_share": timing.wait_share,
        "peak_memory_bytes": peak_memory_bytes(device),
        "ms_per_image": milliseconds_per_image(net.to(device), scale, trainer.precision_plugin.forward_context()),
        "device": str(device),
        "monitor": {"name": checkpoints.monitor, "value": best},
        "scores": {"val": summarise(scores.best)},
    }
    if plain["test"]:
        trainer.test(module, datamodule, ckpt_path=checkpoints.best_model_path, verbose=False, weights_only=True)
        result["scores"]["test"] = summarise(scores.test)
    result["status"] = "done"
    log_hyper_parameters(loggers, result)
    announce(result, folder)
    return best


def _check(plain: dict[str, Any]) -> None:
    """Refuse what no part of a run would notice by itself, or only after an epoch."""
    check_choice("monitor", plain["monitor"], _MONITORED)
    best_is = "min" if plain["monitor"] == "val/loss" else "max"
    if plain["mode"] != best_is:
        raise UserError(f"monitor={plain['monitor']} is best at its {best_is}imum: mode={best_is}")
    check_at_least("scale", plain["scale"], 1)


def _logger(config: DictConfig, steps: int | None) -> Logger:
    """Build a logger; TensorBoard's hides what it holds from step ``steps`` on, since it will be logged again."""
    again = {"purge_step": steps} if steps is not None and config._target_.endswith("TensorBoardLogger") else {}
    logger: Logger = instantiate(config, **again)
    return logger


def _trainer(config: DictConfig, callbacks: list[Callback], loggers: list[Logger], folder: Path) -> Trainer:
    settings = dict(config.trainer)
    del settings["compile"]  # ours
    if settings["precision"] == "auto":
        settings["precision"] = precision(settings["accelerator"])
    sweeping = HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN
    if settings["devices"] == "in_turn":
        settings["devices"] = device_in_turn(settings["accelerator"], HydraConfig.get().job.num if sweeping else 0)
    if sweeping and str(settings["strategy"]).startswith("ddp"):
        raise UserError("trainer=ddp starts the whole command again in each process: use it without --multirun")
    if in_worker() or not sys.stderr.isatty():  # a line an epoch instead
        callbacks = [one for one in callbacks if not isinstance(one, ProgressBar)]
        settings["enable_progress_bar"] = False
    trainer: Trainer = instantiate(
        settings, callbacks=callbacks, logger=loggers, plugins=[WholeCheckpointIO()], default_root_dir=str(folder)
    )
    return trainer


def _only(callbacks: list[Callback], kind: type[T]) -> T:
    found = [one for one in callbacks if isinstance(one, kind)]
    if len(found) != 1:
        raise UserError(f"callbacks: exactly one {kind.__name__} is needed, found {len(found)}")
    return found[0]


def _quiet() -> None:
    """Silence what a user can do nothing about."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Where Slurm is installed; its jobs are started by submitit.
    warnings.filterwarnings("ignore", message=".*`srun` command is available.*")
    # Images are in memory: loader processes would only copy them.
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    # A run folder that is started again holds its own checkpoints.
    warnings.filterwarnings("ignore", message=".*Checkpoint directory .* exists and is not empty.*")
    # Ours is: `sr.data.batches.EpochDraws` skips what was done.
    warnings.filterwarnings("ignore", message=".*your dataloader is not resumable.*")
    # torch's pytree deprecation inside Lightning.
    warnings.filterwarnings("ignore", message=".*isinstance\\(treespec, LeafSpec\\).*")
    # Every rank validates every image, see `ISRDataModule.val_dataloader`.
    warnings.filterwarnings("ignore", message=".*sync_dist=True.*")
    # With check_val_every_n_epoch most epochs have no score to choose by.
    warnings.filterwarnings("ignore", message=".*could not find the monitored key.*")
    # Small data sets have fewer steps an epoch than the logging interval; epochs are logged all the same.
    warnings.filterwarnings("ignore", message=".*smaller than the logging interval.*")
