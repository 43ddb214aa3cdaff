"""What a run tells at its end: lines in the log, and the hyper-parameters with their scores in TensorBoard."""

import logging
from collections.abc import Sequence
from pathlib import Path

from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from sr.runs.schema import RunResult
from sr.runs.scores import unbeaten
from sr.terms import Part

log = logging.getLogger(__name__)


@rank_zero_only
def announce(result: RunResult, folder: Path) -> None:
    """Log the scores of a run, or their means over its seeds and folds, next to those of the unprocessed input."""
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
                "WARNING: this model does not beat %s on the %s images: no model at all would be better", lost_to, part
            )
    log.info("run folder: %s", folder)


def _trainings(result: RunResult) -> str:
    """What the means are over, such as ``5 folds``, ``3 seeds`` or ``3 seeds of 5 folds``."""
    folds = f"{result.fold_count} folds" if result.fold_count else ""
    return " of ".join(filter(None, [f"{len(result.seeds)} seeds" if result.seeds else "", folds]))


@rank_zero_only
def log_hyper_parameters(loggers: Sequence[Logger], result: RunResult) -> None:
    """Fill TensorBoard's page of hyper-parameters with the final scores."""
    settings: dict[str, object] = {name: choice or "" for name, choice in result.choices.items()}
    settings |= {"loss": result.loss, "seed": result.config["seed"], "scale": result.scale}
    settings["init"] = result.initial.source if result.initial else ""
    for group in ("model", "optimizer"):
        for name, value in result.config[group].items():
            if isinstance(value, int | float | str) and not name.startswith("_"):
                settings[f"{group}.{name}"] = value
    scores = {f"final/{name}": summary.mean for name, summary in result.scores.get(Part.VAL, {}).items()}
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):
            with SummaryWriter(logger.log_dir) as writer:  # the logger's own is closed when training ends
                for summary in hparams(settings, scores):
                    writer.file_writer.add_summary(summary)
                for name, value in scores.items():
                    writer.add_scalar(name, value, result.steps)
