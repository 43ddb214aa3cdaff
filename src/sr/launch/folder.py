"""The folder of a run: nothing is written into it before the options and the data are in order."""

import copy
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

from sr.errors import UserError
from sr.io.locks import is_held
from sr.io.run_folder import RunFolder
from sr.options.annotations import is_component
from sr.options.check import check_options, plain_values

_SPACE = 64 * 1024  # bytes; more than Hydra writes before a run begins
_BAD_INPUT = 2  # exit code


class WritableFolder(Callback):
    """Hydra callback: ends the process with exit code 2 and one line if the output folder cannot be written to."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check the folder of a run."""
        _check_writable(config, "hydra.run.dir")

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check the folder of a sweep."""
        _check_writable(config, "hydra.sweep.dir")


class CheckedOptions(Callback):
    """Hydra callback: ends a single run with exit code 2 and one line if an option or the data folder is wrong.

    Hydra writes into the run folder right after this, even if it holds an earlier run. The jobs of a sweep are checked
    one by one when they start, by `sr.runs.fit.fit`.
    """

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check the options and list the images."""
        try:
            with _as_in_run(config) as run_config:
                check_options(run_config)
                _find_images(plain_values(run_config)["data"])
        except UserError as error:
            _refuse(str(error))


def remove_untouched_folder(folder: Path) -> None:
    """Remove the folder of a run that was refused, unless it holds more than Hydra's files and locks nobody holds.

    A folder with a record, a checkpoint, or any file of the user's stays as it is.
    """
    hydra = HydraConfig.get()
    own_files = {folder / f"{hydra.job.name}.log"}
    own_folder = folder / str(hydra.output_subdir)
    files = [path for path in folder.rglob("*") if not path.is_dir()]
    locks = [path for path in files if path == RunFolder(path.parent).lock]
    written = own_files | {path for path in files if own_folder in path.parents} | set(locks)
    if folder.is_dir() and written >= set(files) and not any(map(is_held, locks)):
        shutil.rmtree(folder, ignore_errors=True)


def expand_home(override: str) -> str:
    """Put the home folder in place of ``~`` at the start of a value, as shells do for a word of their own.

    Hydra's grammar has no ``~`` there.

    >>> expand_home("~callbacks.search"), expand_home("data.root=~/a").endswith("/a")
    ('~callbacks.search', True)
    """
    return re.sub(r"(?<=[=,\[])~(?=[/,\]]|$)", lambda _: str(Path.home()), override)


@contextmanager
def _hydra_knows(config: DictConfig) -> Iterator[None]:
    """Let interpolations see a config that Hydra will make known only later."""
    known = HydraConfig.instance()
    before, known.cfg = known.cfg, cast(Any, config)
    try:
        yield
    finally:
        known.cfg = before


@contextmanager
def _as_in_run(config: DictConfig) -> Iterator[DictConfig]:
    """The config as the run will get it, with the path of its folder."""
    run_config = copy.deepcopy(config)
    with _hydra_knows(run_config):
        folder = Path(str(OmegaConf.select(run_config, "hydra.run.dir"))).absolute()
        with read_write(run_config.hydra.runtime), open_dict(run_config.hydra.runtime):
            run_config.hydra.runtime.output_dir = str(folder)
        yield run_config


def _find_images(data: Mapping[str, Any]) -> None:
    """List the images as the run will, for the errors that this raises.

    Raises:
        UserError: for a folder that does not exist or holds no images.
    """
    find = data.get("find")
    if not is_component(find):
        return
    options = {"on_bad_file": "skip"} if data.get("on_bad_file") == "skip" else {}
    logging.disable(logging.WARNING)  # the run will name the files that it skips
    try:
        instantiate(find)(data.get("root"), **options)
    finally:
        logging.disable(logging.NOTSET)


def _check_writable(config: DictConfig, option: str) -> None:
    with _hydra_knows(config):
        folder = Path(OmegaConf.select(config, option))
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())  # nothing is left behind
    try:
        with tempfile.TemporaryFile(dir=existing) as file:
            file.write(bytes(_SPACE))
    except OSError as error:
        _refuse(f"{folder}: cannot be written to ({error.strerror}): name another with {option}=DIR")


def _refuse(reason: str) -> NoReturn:
    """End the process; Hydra's log would put a date and its name before the line."""
    sys.stderr.write(f"error: {reason}\n")
    sys.exit(_BAD_INPUT)
