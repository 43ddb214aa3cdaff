"""The other trials of a search: all have to see the same images, or their scores say nothing of their options."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra_plugins.sr_optuna.reporting import in_trial
from sr.errors import UserError
from sr.io.run_folder import RunFolder
from sr.runs.identity import PLACES, configuration
from sr.runs.schema import read_result


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
    for other in sorted(trial.parent.glob("trial_*")):
        training = RunFolder(other / folder.relative_to(trial))
        with suppress(UserError):  # a damaged record
            result = read_result(training.path) if other != trial and training.split.is_file() else None
            if result and _data_options(result.config) == own:
                return [training]
    return []


def _data_options(config: Mapping[str, Any]) -> dict[str, Any]:
    """The options that say which images are trained on and validated, and where they lie."""
    options = {name: value for name, value in configuration(config).items() if name.startswith(("data.", "scale"))}
    return options | {name: config["data"].get(name) or None for name in PLACES}
