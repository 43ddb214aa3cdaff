"""Open the study of a search from the folder of its sweep; imports Optuna only when it is called."""

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
    """Open the study of the search in ``folder`` (its ``hydra.sweep.dir``), wherever it is stored.

    Raises:
        SearchError: if the folder holds no search, or its study is missing or cannot be read.
    """
    from hydra_plugins.sr_optuna._study import opened, place_of

    path = folder / "multirun.yaml"
    try:
        config = OmegaConf.load(path)
        assert isinstance(config, DictConfig)
        storage, name = config.hydra.sweeper.storage, config.hydra.sweeper.study_name
    except InterpolationResolutionError as error:
        raise SearchError(f"{path}: {str(error).splitlines()[0]}") from error
    except (OSError, AssertionError, AttributeError, OmegaConfBaseException) as error:
        raise SearchError(
            f"{folder}: no search in it: name the folder of one (hydra.sweep.dir with hydra/sweeper=optuna)"
        ) from error
    place = place_of(folder, storage, name)
    if storage is None and not Path(place.storage).is_file():
        raise SearchError(f"{place.storage}: the study of this search is missing")
    with opened(place) as (study, _):
        yield study
