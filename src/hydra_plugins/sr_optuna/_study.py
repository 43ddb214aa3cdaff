"""The study of a search: its storage, the locks of its processes, its samplers and pruners."""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import optuna
from filelock import FileLock
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, CmaEsSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import BaseJournalFileLock
from optuna.study import Study, StudyDirection
from sqlalchemy import create_engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from hydra_plugins.sr_optuna._errors import SearchError
from hydra_plugins.sr_optuna._locks import FileLocks, Locks, PostgresLocks

JOURNAL = "study.journal"
_SUFFIX = Path(JOURNAL).suffix

GRID = "grid"
_SAMPLERS: dict[str, type[BaseSampler]] = {
    "tpe": TPESampler,
    "random": RandomSampler,
    "cmaes": CmaEsSampler,
    "nsgaii": NSGAIISampler,
    GRID: RandomSampler,  # the sweeper enqueues the grid's points, as Optuna's GridSampler cannot resume
}
_PRUNERS: dict[str, type[BasePruner]] = {
    "none": NopPruner,
    "median": MedianPruner,
    "halving": SuccessiveHalvingPruner,
    "hyperband": HyperbandPruner,
}


@dataclass(frozen=True)
class StudyConfig:
    """Where a study is stored and how its trials are pruned, as needed by jobs on any machine.

    Attributes:
        storage: absolute path of a journal, URL of a database, or ``$NAME`` of an environment variable with a URL.
        study: name of the study in the storage.
        pruner: name of the pruner.
        pruner_options: arguments of the pruner.
    """

    storage: str
    study: str
    pruner: str = "none"
    pruner_options: Mapping[str, Any] | None = None

    def to_text(self) -> str:
        """A single line, for an environment variable."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_text(line: str) -> "StudyConfig":
        """The inverse of `to_text`."""
        return StudyConfig(**json.loads(line))


def study_config(folder: Path, storage: str | None, study_name: str | None) -> StudyConfig:
    """The study of the sweep in ``folder``, by the options of the sweeper."""
    folder = folder.absolute()
    location = storage or str(folder / JOURNAL)
    if "://" in _resolve_variable(location):
        return StudyConfig(location, study_name or folder.name)
    location = os.path.abspath(_resolve_variable(location))  # noqa: PTH100 - jobs may run in another folder
    if not location.endswith(_SUFFIX):
        raise SearchError(f"hydra.sweeper.storage={storage}: must be a *{_SUFFIX} file or a database URL")
    return StudyConfig(location, study_name or "search")  # not the folder's name: the folder may be moved


@contextlib.contextmanager
def open_study(config: StudyConfig, *, directions: list[str] | None = None) -> Iterator[tuple[Study, Locks]]:
    """Open the study, or create it if ``directions`` are given.

    Raises:
        SearchError: if the study does not exist, or the database cannot be reached.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage, locks = _connect(config)
    pruner = make_pruner(config.pruner, config.pruner_options)
    try:
        if directions is None:
            study = optuna.load_study(study_name=config.study, storage=storage, pruner=pruner)
        else:
            study = optuna.create_study(
                study_name=config.study,
                storage=storage,
                pruner=pruner,
                directions=[StudyDirection[direction.upper()] for direction in directions],
                load_if_exists=True,
            )
    except KeyError as error:
        location = _without_credentials(_resolve_variable(config.storage))
        raise SearchError(f"{location}: no study named {config.study!r}") from error
    try:
        yield study, locks
    finally:
        if isinstance(storage, RDBStorage):  # close the connections to the server
            storage.remove_session()
            storage.engine.dispose()


def _connect(config: StudyConfig) -> tuple[BaseStorage, Locks]:
    location = _resolve_variable(config.storage)
    if "://" not in location:
        path = Path(location)
        path.parent.mkdir(parents=True, exist_ok=True)
        journal = JournalStorage(JournalFileBackend(str(path), lock_obj=_JournalLock(path)))
        return journal, FileLocks(_lock_folder(path, config.study))
    url = _database_url(location)
    locks: Locks
    try:
        if url.get_backend_name() == "postgresql":
            engine = create_engine(url, poolclass=NullPool)
            locks = PostgresLocks(engine, config.study)
            table_locks: Locks = PostgresLocks(engine, "")
        else:
            locks = FileLocks(_lock_folder(Path(str(url.database)).absolute(), config.study))
            table_locks = locks
        with table_locks.hold("tables", -1):
            storage = RDBStorage(url.render_as_string(hide_password=False), engine_kwargs={"pool_pre_ping": True})
    except (SQLAlchemyError, ImportError) as error:
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        raise SearchError(f"{_without_credentials(location)}: {reason}") from error
    return storage, locks


def _resolve_variable(storage: str) -> str:
    """The storage, read from an environment variable if given as ``$NAME``, which keeps passwords out of files."""
    if not storage.startswith("$"):
        return storage
    if storage[1:] not in os.environ:
        raise SearchError(f"hydra.sweeper.storage={storage}: this environment variable is not set")
    return os.environ[storage[1:]]


def _lock_folder(path: Path, study: str) -> Path:
    """The folder of the locks of a study that is stored in the file ``path``."""
    return path.parent / ".locks" / f"{path.name}.{quote(study, safe='')}"


def _database_url(storage: str) -> URL:
    """The URL of a database with locks that show which processes are alive."""
    try:
        url = make_url(storage)
    except (SQLAlchemyError, ValueError) as error:  # their messages may contain the password
        raise SearchError("hydra.sweeper.storage: not a database URL (driver://user:password@host/name)") from error
    if url.drivername == "postgresql":  # psycopg 3, not the default driver of SQLAlchemy
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() != "postgresql" and not (url.drivername == "sqlite" and url.database):
        raise SearchError(f"{_without_credentials(storage)}: use a *{_SUFFIX} file, sqlite:///FILE or PostgreSQL")
    return url


def _without_credentials(storage: str) -> str:
    """A storage without user, password and options, safe to print."""
    if "://" not in storage:
        return storage
    url = make_url(storage)
    return URL.create(url.drivername, host=url.host, port=url.port, database=url.database).render_as_string()


class _JournalLock(BaseJournalFileLock):
    """A lock that the operating system releases when its process is killed, unlike Optuna's own lock."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, FileLock(f"{path}.lock")

    def acquire(self) -> bool:
        """Wait for the lock, then remove a partial line that a killed writer left, before new lines are appended."""
        self._lock.acquire(poll_interval=0.01)
        _remove_partial_line(self._path)
        return True

    def release(self) -> None:
        self._lock.release()


def _remove_partial_line(path: Path) -> None:
    """Truncate the file after its last complete line, since Optuna cannot read past a partial one."""
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        if not size:
            return
        file.seek(size - 1)
        if file.read(1) != b"\n":
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)


def make_sampler(name: str, options: Mapping[str, Any] | None, seed: int, number: int = 0) -> BaseSampler:
    """A sampler for one trial; its proposals depend only on the seed, the trial's number and the study.

    This way a resumed search does not repeat points, and two processes of one search propose different points.

    Raises:
        SearchError: for an unknown name, or options that the class does not accept.
    """
    trial_seed = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    sampler: BaseSampler = _instantiate("sampler", name, _SAMPLERS, {**(options or {}), "seed": trial_seed})
    return sampler


def make_pruner(name: str, options: Mapping[str, Any] | None) -> BasePruner:
    """A pruner by name.

    Raises:
        SearchError: for an unknown name, or options that the class does not accept.
    """
    pruner: BasePruner = _instantiate("pruner", name, _PRUNERS, options or {})
    return pruner


def _instantiate(option: str, name: str, classes: Mapping[str, Any], arguments: Mapping[str, Any]) -> Any:
    if name not in classes:
        raise SearchError(f"hydra.sweeper.{option} must be one of {', '.join(classes)}, not {name!r}")
    try:
        return classes[name](**arguments)
    except (TypeError, ValueError) as error:
        raise SearchError(f"hydra.sweeper.{option}_options: {name}: {error}") from error
