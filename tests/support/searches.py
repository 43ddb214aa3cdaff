"""Access to searches that tests have run."""

from pathlib import Path

from optuna.study import Study

from hydra_plugins.sr_optuna._study import open_study, study_config


def study_of(folder: Path) -> Study:
    """The study of the finished search in ``folder / "search"``."""
    with open_study(study_config(folder / "search", None, None)) as (study, _):
        return study
