"""What Hydra refuses before a run starts, in one line, with names that are close to a wrong one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sr.errors import close_names, did_you_mean
from sr.launch.folder import refuse

_FULL_ERROR = "HYDRA_FULL_ERROR"  # makes Hydra raise what it refuses, instead of printing it


@contextmanager
def refusals_in_one_line() -> Iterator[None]:
    """Exit with code 2 and one line if Hydra refuses the command line; ``HYDRA_FULL_ERROR=1`` keeps the traceback."""
    if _FULL_ERROR in os.environ:
        yield
        return
    os.environ[_FULL_ERROR] = "1"
    try:
        yield
    except (HydraException, OmegaConfBaseException) as error:
        refuse(explained(error))
    finally:
        os.environ.pop(_FULL_ERROR, None)


@contextmanager
def hydras_tracebacks() -> Iterator[None]:
    """Leave faults inside a run to Hydra, which prints them without its own frames."""
    before = os.environ.pop(_FULL_ERROR, None)
    yield
    if before is not None:  # not after a fault: Hydra looks when it has caught it
        os.environ[_FULL_ERROR] = before


def explained(error: Exception) -> str:
    """An error of Hydra in one line."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options:
        group, _, choice = error.missing_cfg_file.rpartition("/")
        return f"{group}={choice}: no such choice: {', '.join(error.options)}" + did_you_mean(
            close_names(choice, error.options)
        )
    option, node = getattr(error.__cause__, "full_key", None), getattr(error.__cause__, "parent_node", None)
    if not option or not isinstance(node, DictConfig):
        return " ".join(str(error).split())
    parent, _, name = str(option).rpartition(".")
    values = OmegaConf.to_container(node, resolve=False)
    assert isinstance(values, dict)
    names = [str(other) for other in values if not str(other).startswith("_")]
    groups = [] if parent else [str(key) for key, value in values.items() if isinstance(value, dict) and name in value]
    similar = [f"{parent}.{other}".lstrip(".") for other in close_names(name, names)]
    more = f"; +{option}= adds it, if {values['_target_']} takes it" if "_target_" in values and not similar else ""
    return f"{option}: no such option{did_you_mean([*(f'{group}.{name}' for group in groups), *similar])}{more}"
