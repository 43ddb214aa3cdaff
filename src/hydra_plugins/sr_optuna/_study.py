"""A study that outlives its processes: where it is stored, who works on it, how it samples and prunes."""

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
    GRID: RandomSampler,  # its points are enqueued in turn: Optuna's own sampler cannot be resumed
}
_PRUNERS: dict[str, type[BasePruner]] = {
    "none": NopPruner,
    "median": MedianPruner,
    "halving": SuccessiveHalvingPruner,
    "hyperband": HyperbandPruner,
}


@dataclass(frozen=True)
class Place:
    """Where a study is and how its trials are pruned: all that a job needs, on whichever machine it runs.

    Attributes:
        storage: absolute path of a journal, URL of a database, or ``$NAME`` of an environment variable with one.
        study: its name there.
        pruner: name of the pruner.
        pruner_options: its arguments.
    """

    storage: str
    study: str
    pruner: str = "none"
    pruner_options: Mapping[str, Any] | None = None

    def to_text(self) -> str:
        """As one line, for an environment variable."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_text(line: str) -> "Place":
        """What `to_text` gave."""
        return Place(**json.loads(line))


def place_of(folder: Path, storage: str | None, study: str | None) -> Place:
    """The place of the study of a sweep's folder, by the sweeper's options."""
    folder = folder.absolute()
    where = storage or str(folder / JOURNAL)
    if "://" in _resolved(where):
        return Place(where, study or folder.name)
    where = os.path.abspath(_resolved(where))  # noqa: PTH100 - a lock on a relative path would depend on the folder
    if not where.endswith(_SUFFIX):
        raise SearchError(f"hydra.sweeper.storage={storage}: give a file *{_SUFFIX} or a URL of a database")
    return Place(where, study or "search")  # whatever the folder is called: it may be moved


@contextlib.contextmanager
def opened(place: Place, *, directions: list[str] | None = None) -> Iterator[tuple[Study, Locks]]:
    """Open the study, creating it if ``directions`` are given.

    Raises:
        SearchError: if there is none, or the database does not answer.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage, locks = _connect(place)
    pruner = make_pruner(place.pruner, place.pruner_options)
    try:
        if directions is None:
            study = optuna.load_study(study_name=place.study, storage=storage, pruner=pruner)
        else:
            ways = [StudyDirection[direction.upper()] for direction in directions]
            study = optuna.create_study(
                study_name=place.study, storage=storage, pruner=pruner, directions=ways, load_if_exists=True
            )
    except KeyError as error:
        raise SearchError(f"{_shown(_resolved(place.storage))}: has no study {place.study!r}") from error
    try:
        yield study, locks
    finally:
        if isinstance(storage, RDBStorage):  # give the connections back to the server
            storage.remove_session()
            storage.engine.dispose()


def _connect(place: Place) -> tuple[BaseStorage, Locks]:
    where = _resolved(place.storage)
    if "://" not in where:
        path = Path(where)
        path.parent.mkdir(parents=True, exist_ok=True)
        journal = JournalStorage(JournalFileBackend(str(path), lock_obj=_JournalLock(path)))
        return journal, FileLocks(_beside(path, place.study))
    url = _url(where)
    locks: Locks
    try:
        if url.get_backend_name() == "postgresql":
            engine = create_engine(url, poolclass=NullPool)
            locks = PostgresLocks(engine, place.study)
            tables: Locks = PostgresLocks(engine, "")
        else:
            locks = FileLocks(_beside(Path(str(url.database)).absolute(), place.study))
            tables = locks
        with tables.hold("tables", -1):
            storage = RDBStorage(url.render_as_string(hide_password=False), engine_kwargs={"pool_pre_ping": True})
    except (SQLAlchemyError, ImportError) as error:
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        raise SearchError(f"{_shown(where)}: {reason}") from error
    return storage, locks


def _resolved(storage: str) -> str:
    """The storage that an environment variable names, which no file then has to hold."""
    if not storage.startswith("$"):
        return storage
    if storage[1:] not in os.environ:
        raise SearchError(f"hydra.sweeper.storage={storage}: this environment variable is not set")
    return os.environ[storage[1:]]


def _beside(path: Path, study: str) -> Path:
    """The folder of the locks of a study in a file."""
    return path.parent / ".locks" / f"{path.name}.{quote(study, safe='')}"


def _url(storage: str) -> URL:
    """The URL of a database whose processes can tell who of them lives."""
    try:
        url = make_url(storage)
    except (SQLAlchemyError, ValueError) as error:  # their texts may hold the password
        raise SearchError(
            "hydra.sweeper.storage: is not the URL of a database, driver://user:word@host/name"
        ) from error
    if url.drivername == "postgresql":  # whichever driver SQLAlchemy would choose: the one we ask for
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() != "postgresql" and not (url.drivername == "sqlite" and url.database):
        raise SearchError(f"{_shown(storage)}: use a file *{_SUFFIX}, sqlite:///FILE, or PostgreSQL")
    return url


def _shown(storage: str) -> str:
    """A storage without user, password and options, safe to print."""
    if "://" not in storage:
        return storage
    url = make_url(storage)
    return url.set(username=None, password=None, query={}).render_as_string()


class _JournalLock(BaseJournalFileLock):
    """The operating system's, which a kill releases; Optuna's own would be waited for."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, FileLock(f"{path}.lock")

    def acquire(self) -> bool:
        """Wait for the lock, then cut what a killed writer left, before anything is written behind it."""
        self._lock.acquire(poll_interval=0.01)
        _cut_torn_line(self._path)
        return True

    def release(self) -> None:
        self._lock.release()


def _cut_torn_line(path: Path) -> None:
    """Drop what stands behind the last whole line, which Optuna could not read past."""
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        if not size:
            return
        file.seek(size - 1)
        if file.read(1) != b"\n":
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)


def make_sampler(name: str, options: Mapping[str, Any] | None, seed: int, number: int = 0) -> BaseSampler:
    """A sampler for one trial: what it proposes depends on seed, number and study alone.

    So a search that was resumed repeats nothing, and two processes of one search propose different points.

    Raises:
        SearchError: for an unknown name or options that the class does not take.
    """
    kind = _known("sampler", name, _SAMPLERS)
    mixed = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    sampler: BaseSampler = _built("sampler", name, kind, {**(options or {}), "seed": mixed})
    return sampler


def make_pruner(name: str, options: Mapping[str, Any] | None) -> BasePruner:
    """A pruner by name.

    Raises:
        SearchError: for an unknown name or options that the class does not take.
    """
    pruner: BasePruner = _built("pruner", name, _known("pruner", name, _PRUNERS), options or {})
    return pruner


def _known(what: str, name: str, kinds: Mapping[str, Any]) -> Any:
    if name not in kinds:
        raise SearchError(f"hydra.sweeper.{what} must be one of {', '.join(kinds)}, not {name!r}")
    return kinds[name]


def _built(what: str, name: str, kind: Any, options: Mapping[str, Any]) -> Any:
    try:
        return kind(**options)
    except (TypeError, ValueError) as error:
        raise SearchError(f"hydra.sweeper.{what}_options: {name}: {error}") from error
