"""A run that was complete before this command: whether it is, whether its images are the same, and what it says."""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig

from sr.errors import UserError
from sr.runs.announce import announce
from sr.runs.identity import PLACES
from sr.runs.record import check_same_images
from sr.runs.schema import RunResult
from sr.terms import Part

log = logging.getLogger(__name__)


def is_complete(result: RunResult, *, test: bool) -> bool:
    """Whether nothing is left to do, test scores included where they are asked for.

    Raises:
        UserError: if they are asked for, and the finished run held no test images out.
    """
    if test and result.is_done and result.data and not result.data.images.get(Part.TEST):
        raise UserError("test=true: this run held no test images out (data.test_share): leave test=true out")
    return result.is_done and (result.is_tested or not test)


def check_moved_data(config: DictConfig, config_dict: Mapping[str, Any], earlier: RunResult, folder: Path) -> None:
    """Read the images of a run that is complete if their folders have other names by now.

    Raises:
        UserError: if they are others.
    """
    before, now = (values["data"] for values in (earlier.config, config_dict))
    if any((before.get(name) or None) != (now.get(name) or None) for name in PLACES):
        datamodule = instantiate(config.data)
        datamodule.setup("fit")
        check_same_images(folder, datamodule.image_list(), datamodule.describe(), is_resumed=True)
        datamodule.teardown("fit")


def announce_earlier(result: RunResult, folder: Path, metrics: Iterable[str]) -> float | None:
    """Announce a run that was complete before this command, and return its monitored score.

    Metrics that it was not scored with are named.
    """
    log.info("%s: done before, nothing to train (retrain=true trains again)", folder)
    scored = result.scores.get(Part.VAL, {})
    if missing := [name for name in metrics if scored and name not in scored]:
        text = "%s: not scored with %s: retrain=true trains again, sr evaluate --metrics %s scores it on a data set"
        log.warning(text, folder, ", ".join(missing), ",".join(missing))
    announce(result, folder)
    return result.monitor.value if result.monitor else None
