"""One run: train what the config names, resume what its folder holds, score the best checkpoint."""

import logging
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from lightning import Trainer
from lightning.pytorch.utilities.exceptions import MisconfigurationException, SIGTERMException
from omegaconf import DictConfig, OmegaConf

from sr.errors import UserError, check_choice
from sr.io.run_folder import RunFolder
from sr.machine.cost import (
    count_parameters,
    multiply_adds,
    peak_memory_bytes,
    reset_peak_memory,
)
from sr.machine.denormals import flush_in_torchs_threads
from sr.machine.float32 import full_float32
from sr.machine.processes import in_worker, is_rank_zero
from sr.machine.quiet import ProcessorWatch
from sr.machine.speed import measure_speed
from sr.machine.threads import choose_threads, restored_threads
from sr.metrics import Scorer
from sr.metrics.scoring import Compares
from sr.options.check import check_options
from sr.runs.announce import announce, described_in_trackers, introduce, log_final_scores, tell_what_is_missing
from sr.runs.build import Parts, build
from sr.runs.finished import announce_earlier, check_moved_data, is_complete
from sr.runs.initial import check_held_out, start_weights
from sr.runs.objectives import check_objectives
from sr.runs.record import (
    check_same_images,
    clear,
    earlier_run,
    held_folder,
    new_result,
    record,
    remove_test_scores,
    status_of,
)
from sr.runs.resume import cut_step_tables, find_checkpoint
from sr.runs.schema import Monitor, RunResult, Status
from sr.runs.scores import over_images
from sr.runs.trials import another_trial
from sr.terms import DEFAULT_METRICS, Part, direction
from sr.weights.folding import form_in_use

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Member:
    """What a cell with several seeds or folds passes to each of its trainings.

    Attributes:
        changes: options that differ from the command line's.
        on_start: called once options and data are in order, before anything is recorded.
        trained: lists the trainings of the cell that have weights, all of which have to see the same images.
        said: lines that `sr.runs.announce.introduce` has logged for trainings of the cell.
    """

    changes: Mapping[str, Any]
    on_start: Callable[[], None]
    trained: Callable[[], list[RunFolder]]
    said: set[str] = field(default_factory=set)


def fit(config: DictConfig, member: Member | None = None) -> float | None:
    """Train one model as the config says, or resume the run that its folder holds.

    Args:
        config: the composed config.
        member: for one of several seeds or folds, what its cell says.

    Returns:
        The monitored score of the best epoch (``val/psnr`` in dB unless configured otherwise), for searches.

    Raises:
        UserError: for input that has to change, a run that another process trains, and a full disk.
        DivergedError: if the loss is no longer finite.
        KeyboardInterrupt: after Ctrl-C, once the checkpoint is written.
    """
    _silence()
    flush_in_torchs_threads()
    check_options(config)
    config_dict: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    _check(config_dict)
    folder = Path(config_dict["run_dir"])
    with held_folder(folder):
        earlier = earlier_run(folder, config_dict)
        if earlier and is_complete(earlier, test=config_dict["test"]):
            check_moved_data(config, config_dict, earlier, folder)
            if member:
                member.on_start()
            return announce_earlier(earlier, folder, config_dict["metrics"])
        with restored_threads():
            return _train(config, config_dict, folder, earlier, member)


def _train(
    config: DictConfig,
    config_dict: dict[str, Any],
    folder: Path,
    earlier: RunResult | None,
    member: Member | None,
) -> float | None:
    """Build, train and score; whatever happens, the record tells how it ended."""
    checkpoint = find_checkpoint(folder) if earlier else None
    parts, result, images = _prepared(config, config_dict, folder, earlier, member, checkpoint)
    with described_in_trackers(parts.loggers, result), full_float32():  # before anything is deleted
        if config_dict["retrain"]:
            clear(folder)
        if earlier:
            cut_step_tables(folder, checkpoint[1] if checkpoint else 0)
        if member:
            member.on_start()
        if earlier:
            result.extensions = earlier.extensions if checkpoint else []
            result.peak_memory_bytes = earlier.peak_memory_bytes
            if checkpoint:
                result.epochs, result.steps = earlier.epochs, earlier.steps
            remove_test_scores(folder)
        seconds_before = earlier.seconds if earlier else 0.0
        result.seconds = seconds_before
        record(folder, result, images)
        said = member.said if member else set()
        introduce(parts, result, images, folder, said)
        begun = time.perf_counter()
        try:
            if checkpoint:
                log.info("resuming from %s", checkpoint[0])
            _run(parts, result, folder, checkpoint[0] if checkpoint else None)
            tell_what_is_missing(parts, said)
            result.status = Status.DONE
        except BaseException as error:
            result.status, result.reason = status_of(error)
            if result.status is Status.INTERRUPTED:
                flag = ", without retrain=true" if config_dict["retrain"] else ""
                cell = RunFolder(folder).cell.path
                text = "interrupted: repeat the command with hydra.run.dir='%s'%s to resume"
                log.warning(text, cell, flag, extra={"in_state": True})
            if isinstance(error, SystemExit) and not isinstance(error, SIGTERMException):
                raise KeyboardInterrupt from error  # Lightning exits with 1 after Ctrl-C
            if isinstance(error, MisconfigurationException):
                raise UserError(result.reason) from error
            raise
        finally:
            torch.set_flush_denormal(False)  # if it ended within a step
            parts.checkpoints.release()
            result.seconds = seconds_before + time.perf_counter() - begun
            try:
                record(folder, result)
            finally:
                parts.checkpoints.pass_on()
        log_final_scores(parts.loggers, result)
    announce(result, None if member else folder)
    return result.monitor.value if result.monitor else None


def _prepared(
    config: DictConfig,
    config_dict: dict[str, Any],
    folder: Path,
    earlier: RunResult | None,
    member: Member | None,
    checkpoint: tuple[Path, int] | None,
) -> tuple[Parts, RunResult, list[dict[str, str]]]:
    """The parts of a run, its record so far, and the list of its images, all checked; nothing is written yet."""
    watch = ProcessorWatch()
    parts = build(
        config,
        config_dict,
        precision=earlier.precision if earlier else None,
        resumed_at=(checkpoint[1] if checkpoint else 0) if earlier else None,
        is_member=member is not None,
    )
    initial, weights_file = start_weights(parts.module, config_dict, earlier if checkpoint else None)
    parts.datamodule.trainer = parts.trainer
    parts.datamodule.setup("fit")
    device = parts.trainer.strategy.root_device
    alone_on_cpu = device.type == "cpu" and parts.trainer.world_size == 1
    choose_threads(config_dict["trainer"]["threads"], watch, may_reduce=alone_on_cpu)
    result = _described(new_result(config_dict, member.changes if member else {}, device), parts)
    result.initial = initial
    if config_dict["test"] and not (result.data and result.data.images[Part.TEST]):
        raise UserError("test=true: no test images are held out: set data.test_share above 0, or test=false")
    parts.datamodule.check_scored(config_dict["scorer"]["protocol"], test=config_dict["test"])
    _try_metrics(parts, test=config_dict["test"])
    images = parts.datamodule.image_list()
    others = [*(member.trained() if member else ()), *another_trial(folder, config_dict)]
    check_same_images(folder, images, result.data, is_resumed=checkpoint is not None, others=others)
    if weights_file:
        check_held_out(config_dict, weights_file, images)
    return parts, result, images


def _try_metrics(parts: Parts, *, test: bool) -> None:
    """Score the smallest image once: a metric that fails ends the run here, not after an epoch.

    Raises:
        UserError: with the image.
    """
    scorer = parts.module.scorer
    if isinstance(scorer, Scorer) and scorer.metrics.keys() - DEFAULT_METRICS:
        path, batch = parts.datamodule.smallest_scored(test=test)
        try:
            scorer.try_out(batch)
        except UserError as error:
            raise UserError(f"{path}: {error}") from error


def _described(result: RunResult, parts: Parts) -> RunResult:
    """A record with what is known once the parts are built and the data are read."""
    in_use = form_in_use(parts.net)
    return replace(
        result,
        loss=getattr(parts.loss, "label", result.choices.get("loss") or type(parts.loss).__name__),
        parameters=count_parameters(in_use),
        multiply_adds=multiply_adds(in_use, result.scale),
        precision=parts.trainer.precision,
        data=parts.datamodule.describe(),
    )


def _run(parts: Parts, result: RunResult, folder: Path, checkpoint: Path | None) -> None:
    """Train, then fill the record with what was reached and what it cost."""
    trainer, timing = parts.trainer, parts.timing
    device = trainer.strategy.root_device
    reset_peak_memory(device)
    trainer.fit(parts.module, parts.datamodule, ckpt_path=checkpoint, weights_only=True)

    best = parts.checkpoints.best_model_score
    if trainer.global_step > result.steps:  # else the run was done before; an epoch that a limit ended counts no more
        result.epochs, result.steps = trainer.current_epoch, trainer.global_step
    result.images_per_second, result.train_seconds = timing.images_per_second, timing.train_seconds
    result.wait_share, result.images_seen = timing.wait_share, timing.images
    result.peak_memory_bytes = max(result.peak_memory_bytes, peak_memory_bytes(device))
    if is_rank_zero():  # the others wait, and leave the machine to it
        in_use = form_in_use(parts.net.to(device)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        result.speed = measure_speed(in_use, result.scale, trainer.precision_plugin.forward_context)
        result.ms_per_image = result.speed.latency_ms.median
        if not result.speed.quiet:
            log.info("speed: %s; measure it again on a quiet machine: sr speed '%s'", result.speed.reason, folder)
    result.device = str(device)
    result.monitor = Monitor(str(parts.checkpoints.monitor), None if best is None else float(best))
    result.scores = {Part.VAL: over_images(parts.image_scores.best)}
    if result.config["test"]:
        _test(trainer, parts, folder)
        result.scores[Part.TEST] = over_images(parts.image_scores.test)


def _test(trainer: Trainer, parts: Parts, folder: Path) -> None:
    """Score the test images with the best checkpoint, or with the last one of a run that was never validated."""
    checkpoint = parts.checkpoints.best_model_path
    if not checkpoint:
        if not RunFolder(folder).last.is_file():
            raise UserError(
                f"{folder}: nothing was trained, so there is nothing to test: raise trainer.max_steps or max_time"
            )
        log.warning("the run was never validated, so no checkpoint is the best: the last one is tested")
        checkpoint = str(RunFolder(folder).last)
    trainer.test(parts.module, parts.datamodule, ckpt_path=checkpoint, verbose=False, weights_only=True)


def _check(config_dict: Mapping[str, Any]) -> None:
    """Refuse what no part of a run would notice by itself, or only after an epoch."""
    metrics = list(dict.fromkeys((*DEFAULT_METRICS, *config_dict["metrics"])))
    if config_dict["scale"] == 1:  # nothing is shrunk
        metrics = [name for name in metrics if config_dict["metrics"].get(name, {}).get("compares") != Compares.INPUT]
    check_choice("monitor", config_dict["monitor"], [f"val/{name}" for name in (*metrics, "gain", "loss")])
    right = direction(config_dict["monitor"], config_dict["metrics"])
    if config_dict["mode"] != right:
        raise UserError(f"monitor={config_dict['monitor']} is best at its {right}imum: mode={right}")
    check_objectives(config_dict["objectives"] or (), metrics, test=config_dict["test"])


def _silence() -> None:
    """Silence messages of other packages that a user can do nothing about."""
    logging.captureWarnings(in_worker())  # those of a worker go where its other lines go, not across the table
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Where Slurm is installed; its jobs are started by submitit.
    warnings.filterwarnings("ignore", message=".*`srun` command is available.*")
    # Images are in memory: loader processes would only copy them.
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    # A run folder that is started again holds its own checkpoints.
    warnings.filterwarnings("ignore", message=".*Checkpoint directory .* exists and is not empty.*")
    # Ours is resumable: `sr.data.batches.EpochDraws` skips the batches already trained on.
    warnings.filterwarnings("ignore", message=".*your dataloader is not resumable.*")
    # torch's pytree deprecation inside Lightning.
    warnings.filterwarnings("ignore", message=".*isinstance\\(treespec, LeafSpec\\).*")
    # Every rank validates every image, see `ISRDataModule.val_dataloader`.
    warnings.filterwarnings("ignore", message=".*sync_dist=True.*")
    # With check_val_every_n_epoch most epochs have no score to choose by.
    warnings.filterwarnings("ignore", message=".*could not find the monitored key.*")
    # Small data sets have fewer steps an epoch than the logging interval; epochs are logged all the same.
    warnings.filterwarnings("ignore", message=".*smaller than the logging interval.*")
