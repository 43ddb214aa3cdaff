"""Build the parts of a run from its config."""

import inspect
import logging
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import lightning
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate
from lightning import Trainer
from lightning.pytorch.callbacks import Callback, ProgressBar
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies.launchers.subprocess_script import _SubprocessScriptLauncher
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig
from rich.console import Console
from torch import nn

from sr.callbacks.checkpoints import RunCheckpoints, WholeCheckpointIO
from sr.callbacks.tables import ImageScores
from sr.callbacks.timing import Timing
from sr.datamodule import ISRDataModule
from sr.errors import UserError
from sr.lit_module import LitSR
from sr.machine.hardware import compile_from, device_in_turn
from sr.machine.hardware import precision as best_precision
from sr.machine.processes import in_worker
from sr.runs.record import in_sweep
from sr.terms import OUR_DEGRADATIONS, Protocol
from sr.weights.checkpoint import network_config
from sr.weights.contract import check_network
from sr.weights.trust import VARIABLE, is_allowed, package_of, trust

T = TypeVar("T", bound=Callback)

log = logging.getLogger(__name__)

_LOSS_SIDE = 64  # pixels of the images that a loss is tried on
_TRIED_STEPS = 100  # of a schedule that is built once to see whether its options are accepted


@dataclass(frozen=True)
class Parts:
    """What a run consists of, built and ready.

    Attributes:
        net: the network, on the CPU.
        loss: the loss.
        module: network, loss, optimizer, schedule and scorer, to be stepped.
        datamodule: the images.
        trainer: runs all of it.
        loggers: those of the trainer.
        checkpoints: keeps the best and the last checkpoint.
        image_scores: keeps the scores of the images at the best epoch.
        timing: measures the training.
    """

    net: nn.Module
    loss: nn.Module
    module: LitSR
    datamodule: ISRDataModule
    trainer: Trainer
    loggers: Sequence[Logger]
    checkpoints: RunCheckpoints
    image_scores: ImageScores
    timing: Timing


def build(
    config: DictConfig,
    config_dict: dict[str, Any],
    *,
    precision: str | None = None,
    resumed_at: int | None = None,
    is_member: bool = False,
) -> Parts:
    """Build every part that the config names.

    Args:
        config: the composed config.
        config_dict: the same, resolved.
        precision: what ``trainer.precision=auto`` was decided to be when the run began, on whatever machine.
        resumed_at: the step that a run is resumed at; loggers hide what they hold from there on.
        is_member: whether the run is one of several seeds or folds.

    Raises:
        UserError: for an option that a part refuses.
    """
    lightning.seed_everything(config_dict["seed"], workers=True, verbose=False)
    with _refusals_in_one_line():
        datamodule = instantiate(config.data)
        net = instantiate(config.model)
        _trust_network(config_dict)
        if config_dict["data"].get("scales") and not getattr(net, "any_scale", False):
            raise UserError(
                "data.scales needs a network that takes the enlarged image: model=vdsr or model=autoencoder"
            )
        metrics = {str(name): instantiate(metric) for name, metric in config.metrics.items()}
        scorer, loss = instantiate(config.scorer, metrics=metrics), instantiate(config.loss)
        optimizer, scheduler = instantiate(config.optimizer), instantiate(config.scheduler)
        _try_optimizer(optimizer, scheduler)
        callbacks: list[Callback] = [instantiate(callback) for callback in config.callbacks.values() if callback]
        loggers = [_logger(logger, resumed_at) for logger in (config.logger or {}).values() if logger]
        trainer = _trainer(config, callbacks, loggers, precision, is_member)
    described = network_config(
        config_dict["model"],
        config_dict["scale"],
        scorer.protocol,
        config_dict["data"].get("scales"),
        config_dict["data"].get("shrink"),
        config_dict["data"].get("degrade"),
    )
    channels = datamodule.pixels.channels
    check_network(net, described, channels)
    if channels not in (1, 3):  # the loss may be for images alone
        loss(*torch.zeros(2, 1, channels, _LOSS_SIDE, _LOSS_SIDE))
    if scorer.protocol == Protocol.Y and channels not in (1, 3):
        raise UserError(f"scorer.protocol=y scores the luma of RGB, or gray: with data.channels={channels} use rgb")
    module = LitSR(
        net=net.to(memory_format=torch.channels_last),
        loss=loss,
        optimizer=optimizer,
        scheduler=scheduler,
        scorer=scorer,
        config=described,
        compile_from=compile_from(config_dict["trainer"]["compile"], config_dict["trainer"]["accelerator"]),
        compiled_batch=datamodule.batch_size,
    )
    return Parts(
        net,
        loss,
        module,
        datamodule,
        trainer,
        loggers,
        checkpoints=_only(callbacks, RunCheckpoints),
        image_scores=_only(callbacks, ImageScores),
        timing=_only(callbacks, Timing),
    )


def _trust_network(config_dict: Mapping[str, Any]) -> None:
    """Trust what the user's config names, here; other commands have to be told, so the first training says it."""
    trust(config_dict["trust"])
    for target in [str(config_dict["model"]["_target_"]), *_targets(config_dict["data"].get("degrade"))]:
        if not is_allowed(target) and not target.startswith(OUR_DEGRADATIONS):
            package = package_of(target)
            log.info("%s: other commands load it with --trust %s, or with %s=%s", target, package, VARIABLE, package)
            trust([package])


def _targets(node: object) -> Iterator[str]:
    """The classes that a node of the config names, at any depth."""
    if isinstance(node, list):
        for item in node:
            yield from _targets(item)
    elif isinstance(node, Mapping):
        if "_target_" in node:
            yield str(node["_target_"])
        yield from _targets(list(node.values()))


@contextmanager
def _refusals_in_one_line() -> Iterator[None]:
    """Turn a value that a part refuses into one line that names the option; faults in code keep their traceback."""
    try:
        yield
    except InstantiationException as error:
        if not isinstance(error.__cause__, ValueError | MisconfigurationException | OverflowError):
            raise
        key = re.search(r"full_key: (\S+)", str(error))
        text = " ".join(str(error.__cause__).split())
        is_ours = isinstance(error.__cause__, UserError)
        raise UserError(f"{key[1]}: {text}" if key and not is_ours else text) from error
    except MisconfigurationException as error:
        raise UserError(f"trainer: {' '.join(str(error).split())}") from error


def _try_optimizer(optimizer: Any, scheduler: Any) -> None:
    """Build optimizer and schedule once, for nothing, so that a refused value is named before any training."""
    option = "optimizer"
    try:
        trial = optimizer([nn.Parameter(torch.zeros(1))])
        option = "scheduler"
        scheduler(trial, total_steps=_TRIED_STEPS)
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"{option}: {' '.join(str(error).split())}") from error


def _logger(config: DictConfig, resumed_at: int | None) -> Logger:
    """Build a logger; one that takes ``resumed_at``, see `sr.trackers.common.Tracker`, is told it."""
    parameters: Mapping[str, object] = {}
    with suppress(Exception):  # a target that cannot be imported is refused by name below
        parameters = inspect.signature(get_object(config._target_)).parameters
    told = {"resumed_at": resumed_at} if "resumed_at" in parameters else {}
    return cast(Logger, instantiate(config, **told))


def _trainer(
    config: DictConfig, callbacks: list[Callback], loggers: list[Logger], precision: str | None, is_member: bool
) -> Trainer:
    settings = dict(config.trainer)
    del settings["compile"], settings["threads"]  # ours
    if precision or settings["precision"] == "auto":
        settings["precision"] = precision or best_precision(settings["accelerator"])
    if settings["deterministic"] and settings.get("benchmark"):
        log.info("trainer.deterministic=%s: trainer.benchmark=false, since timings differ", settings["deterministic"])
        settings["benchmark"] = False
    if settings.get("benchmark") is None:
        settings["benchmark"] = False  # Lightning would keep the setting of an earlier run in this process
    if settings["devices"] == "in_turn":
        job = HydraConfig.get().job.num if in_sweep() else 0
        settings["devices"] = device_in_turn(settings["accelerator"], job)
    if in_worker() or not sys.stdout.isatty() or Console().is_dumb_terminal:  # a line an epoch instead
        callbacks = [callback for callback in callbacks if not isinstance(callback, ProgressBar)]
        settings["enable_progress_bar"] = False
    trainer: Trainer = instantiate(
        settings,
        callbacks=callbacks,
        logger=loggers,
        plugins=[WholeCheckpointIO()],
        default_root_dir=str(Path(config.run_dir)),
    )
    # The launcher tells whether other processes will be started, whatever the strategy is called.
    if isinstance(trainer.strategy.launcher, _SubprocessScriptLauncher) and trainer.world_size > 1:
        if in_sweep():
            raise UserError(
                f"trainer.devices: {trainer.world_size} processes would each start the whole sweep: train one run at a "
                "time, or use trainer.strategy=ddp_spawn"
            )
        if is_member:
            raise UserError(
                f"trainer.devices: {trainer.world_size} processes would each start all seeds and folds: name one, "
                "as seed=1 or data.fold=0"
            )
    return trainer


def _only(callbacks: Sequence[Callback], kind: type[T]) -> T:
    matching = [callback for callback in callbacks if isinstance(callback, kind)]
    if len(matching) != 1:
        raise UserError(f"callbacks: exactly one {kind.__name__} is needed, there are {len(matching)}")
    return matching[0]
