"""Checks before Hydra writes into the folder of a run, and removal of the folder of a refused run."""

import copy
import inspect
import logging
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, cast

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from sr.errors import UserError, line_of
from sr.io.locks import is_held
from sr.io.run_folder import RunFolder
from sr.launch.names import check_name
from sr.options.annotations import is_component
from sr.options.check import check_options, plain_values
from sr.runs.status import PLAN

_SPACE = 64 * 1024  # bytes; more than Hydra writes before a run starts
_BAD_INPUT = 2  # exit code
_SWEEP_CONFIG = "multirun.yaml"  # that Hydra writes into the folder of a sweep


class WritableFolder(Callback):
    """Hydra callback: exits with code 2 and an error in one line if the output folder cannot be used.

    That is if it has an invalid name, is not writable, or would hold a run and a sweep.
    """

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check the folder of a run."""
        folder = _checked_folder(config, "hydra.run.dir")
        if any((folder / name).is_file() for name in (PLAN, _SWEEP_CONFIG)):
            refuse(f"{folder}: holds a sweep: choose another folder for a single run (name=, hydra.run.dir)")

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check the folder of a sweep."""
        folder = _checked_folder(config, "hydra.sweep.dir")
        if RunFolder(folder).result.is_file():
            refuse(f"{folder}: holds a single run: choose another folder for a sweep (name=, hydra.sweep.dir)")


class CheckedOptions(Callback):
    """Hydra callback: exits with code 2 and an error in one line if an option or the data folder of a run is wrong.

    Hydra writes into the run folder right after this, even if it contains an earlier run. The jobs of a sweep are
    checked by `sr.runs.fit.fit` when they start.
    """

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check the options and list the images."""
        try:
            with _as_in_run(config) as run_config:
                check_options(run_config)
                values = plain_values(run_config)
                _find_images(values["data"])
                _find_initial_weights(values)
        except UserError as error:
            refuse(str(error))


def remove_untouched_folder(folder: Path) -> None:
    """Remove the folder of a refused run if it contains nothing but the files of Hydra and locks that are not held.

    A folder with a record, a checkpoint, or any file of the user is kept.
    """
    hydra = HydraConfig.get()
    log_file, config_folder = folder / f"{hydra.job.name}.log", folder / str(hydra.output_subdir)
    files = [path for path in folder.rglob("*") if not path.is_dir()]
    locks = [path for path in files if path == RunFolder(path.parent).lock]
    removable = {log_file, *locks, *(path for path in files if config_folder in path.parents)}
    if folder.is_dir() and removable >= set(files) and not any(map(is_held, locks)):
        shutil.rmtree(folder, ignore_errors=True)


def expand_home(override: str) -> str:
    """Replace ``~`` at the start of a value with the home folder, since shells do so only at the start of a word.

    Hydra would reject the ``~`` there.

    >>> expand_home("~callbacks.search"), expand_home("data.root=~/a").endswith("/a")
    ('~callbacks.search', True)
    """
    return re.sub(r"(?<=[=,\[])~(?=[/,\]]|$)", lambda _: str(Path.home()), override)


def bracket_patterns(override: str) -> str:
    """Put the patterns of ``init_freeze`` into brackets; Hydra would take their commas for those of a sweep.

    >>> bracket_patterns("init_freeze=body.0.*,body.2.*")
    'init_freeze=[body.0.*,body.2.*]'
    """
    return re.sub(r"^init_freeze=([^\[\]'\"]+,[^\[\]'\"]+)$", r"init_freeze=[\1]", override)


def quote_pattern(override: str) -> str:
    """Put the value of ``data.low_res_name`` into quotes; Hydra would read its braces as a dictionary.

    >>> quote_pattern("data.low_res_name={stem}x{scale}")
    "data.low_res_name='{stem}x{scale}'"
    """
    return re.sub(r"^(data\.low_res_name)=([^'\"].*)$", lambda match: f"{match[1]}='{match[2]}'", override)


@contextmanager
def _visible_to_hydra(config: DictConfig) -> Iterator[None]:
    """Let interpolations resolve ``hydra:`` from a config that Hydra has not registered yet."""
    hydra_config = HydraConfig.instance()
    previous, hydra_config.cfg = hydra_config.cfg, cast(Any, config)
    try:
        yield
    finally:
        hydra_config.cfg = previous


@contextmanager
def _as_in_run(config: DictConfig) -> Iterator[DictConfig]:
    """The config that the run will get, with the path of its folder."""
    run_config = copy.deepcopy(config)
    with _visible_to_hydra(run_config):
        folder = Path(str(OmegaConf.select(run_config, "hydra.run.dir"))).absolute()
        with read_write(run_config.hydra.runtime), open_dict(run_config.hydra.runtime):
            run_config.hydra.runtime.output_dir = str(folder)
        yield run_config


def _find_images(data: Mapping[str, Any]) -> None:
    """List the images as the run will do, to find errors early.

    Raises:
        UserError: for a folder that does not exist or contains no images.
    """
    find = data.get("find")
    if not is_component(find):
        return
    from sr.data.parts import find_parts  # slow to import

    options = {name: data[name] for name in inspect.signature(find_parts).parameters if data.get(name) is not None}
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)  # the run will name the files that it skips
    try:
        find_parts(**{"root": None, **options, "find": instantiate(find)})
    finally:
        logging.disable(disabled)


def _find_initial_weights(values: Mapping[str, Any]) -> None:
    """Look for the weights that a run starts from, unless it is resumed from a checkpoint of its own.

    Raises:
        UserError: if there are none.
    """
    from sr.runs.trained_on import initial_checkpoint  # slow to import

    if values["init"] is not None and (values["retrain"] or not RunFolder(Path(values["run_dir"])).has_checkpoints):
        initial_checkpoint(values)


def _checked_folder(config: DictConfig, option: str) -> Path:
    """The folder that an option names, writable and validly named."""
    try:
        with _visible_to_hydra(config):
            if config.name is not None:
                check_name(config.name)
            folder = Path(OmegaConf.select(config, option))
    except (UserError, OmegaConfBaseException) as error:
        refuse(str(error) if isinstance(error, UserError) else f"{option}: {line_of(error)}")
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())  # creates no folder
    try:
        with tempfile.TemporaryFile(dir=existing) as file:
            file.write(bytes(_SPACE))
    except OSError as error:
        refuse(f"{folder}: cannot be written to ({error.strerror}): choose another with {option}=DIR")
    return folder


def refuse(reason: str) -> NoReturn:
    """Exit with code 2 and an error in one line; Hydra's logger would prefix it with the date and its name."""
    sys.stderr.write(f"error: {reason}\n")
    sys.exit(_BAD_INPUT)
