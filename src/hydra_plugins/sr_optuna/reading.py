"""Open the study of a search by the folder of its sweep. Optuna is imported only on use."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException

from hydra_plugins.sr_optuna._errors import SearchError

if TYPE_CHECKING:
    from optuna.study import Study


@contextmanager
def open_search(folder: Path) -> Iterator["Study"]:
    """Open the study of the search in ``folder`` (its ``hydra.sweep.dir``), even if it is stored in a database.

    Raises:
        SearchError: if the folder does not contain a search, or its study is missing or cannot be read.
    """
    from hydra_plugins.sr_optuna._study import open_study, study_config

    path = folder / "multirun.yaml"
    try:
        hydra_config = OmegaConf.load(path)
        assert isinstance(hydra_config, DictConfig)
        options = hydra_config.hydra.sweeper
        storage, study_name = options.storage, options.study_name
    except InterpolationResolutionError as error:
        raise SearchError(f"{path}: {str(error).splitlines()[0]}") from error
    except (OSError, AssertionError, AttributeError, OmegaConfBaseException) as error:
        raise SearchError(
            f"{folder}: contains no search: give the hydra.sweep.dir of a run with hydra/sweeper=optuna"
        ) from error
    config = study_config(folder, storage, study_name)
    if storage is None and not Path(config.storage).is_file():
        raise SearchError(f"{config.storage}: the study of this search is missing")
    with open_study(config) as (study, _):
        yield study
