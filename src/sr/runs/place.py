"""The place of runs: looked at before Hydra writes into it, which would end with a traceback."""

import logging
import sys
import tempfile
from pathlib import Path
from typing import Any, cast

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

log = logging.getLogger(__name__)

_ROOM = 64 * 1024  # bytes; more than Hydra writes before a run begins


class WritableFolder(Callback):
    """Hydra callback: ends the process with exit code 2 and one line if the output folder cannot be written to."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Look at the folder of a run."""
        _check(config, "hydra.run.dir")

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Look at the folder of a sweep."""
        _check(config, "hydra.sweep.dir")


def _check(config: DictConfig, option: str) -> None:
    known = HydraConfig.instance()
    before, known.cfg = known.cfg, cast(Any, config)  # the default folder is named after it; Hydra sets it later
    try:
        folder = Path(OmegaConf.select(config, option))
    finally:
        known.cfg = before
    there = next(one for one in (folder, *folder.absolute().parents) if one.exists())  # nothing is left of a refusal
    try:
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(bytes(_ROOM))
    except OSError as error:
        log.error("error: %s: cannot be written to (%s): name another with %s=DIR", folder, error.strerror, option)
        sys.exit(2)
