"""The other trials of a search: all have to see the same images, or their scores say nothing of their options."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra_plugins.sr_optuna.reporting import in_trial
from sr.errors import UserError
from sr.io.run_folder import RunFolder
from sr.runs.identity import PLACES, configuration
from sr.runs.schema import Status, read_result

_OF_BATCHES = {f"data.{name}" for name in ("batch_size", "repeat", "same_every_epoch", "train_scored")}
_NOT_RANKED = (Status.FAILED, Status.DIVERGED)


def another_trial(folder: Path, config: Mapping[str, Any]) -> list[RunFolder]:
    """The same seed and fold of another trial of the search, if one began with the same options of the data.

    Args:
        folder: of a training; that of a trial, or of a seed or fold of one.
        config: of the training.
    """
    trial = RunFolder(folder).trial
    if trial is None or not in_trial():
        return []
    own = _data_options(config)
    for other in RunFolder(folder).trials:
        training = RunFolder(other / folder.relative_to(trial))
        if other == trial or not training.split.is_file():
            continue
        with suppress(UserError):  # a damaged record
            result = read_result(training.path)
            if result and result.status not in _NOT_RANKED and _data_options(result.config) == own:
                return [training]
    return []


def _data_options(config: Mapping[str, Any]) -> dict[str, Any]:
    """The options that say which images are trained on and validated, and where they lie."""
    options = configuration(config) | {"data.fold": config["data"].get("fold")}
    named = {name: value for name, value in options.items() if name.startswith(("data.", "scale"))}
    places = {name: config["data"].get(name) or None for name in PLACES}
    return {name: value for name, value in named.items() if name not in _OF_BATCHES} | places
