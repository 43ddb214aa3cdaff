"""Searches that tests ran."""

from pathlib import Path

from optuna.study import Study

from hydra_plugins.sr_optuna._study import opened, place_of


def study_of(folder: Path) -> Study:
    """The study of a search that has come to its end."""
    with opened(place_of(folder / "search", None, None)) as (study, _):
        return study
