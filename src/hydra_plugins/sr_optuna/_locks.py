"""Named locks that are released when their process ends, even if it is killed: they show which processes are alive."""

import contextlib
import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, Engine, text

from hydra_plugins.sr_optuna._filelocks import hold

_POLL_SECONDS = 0.1


class Locks(Protocol):
    """Locks by name."""

    def hold(self, name: str, timeout: float) -> contextlib.AbstractContextManager[bool]:
        """Hold a lock inside a ``with`` block; yields whether it was acquired in ``timeout`` seconds (-1: no limit)."""

    def is_held(self, name: str) -> bool:
        """Whether any process holds the lock."""


class FileLocks:
    """Locks on files of a folder, for processes that share it."""

    def __init__(self, folder: Path) -> None:
        """Keep the lock files in ``folder``."""
        self._folder = folder

    def hold(self, name: str, timeout: float) -> contextlib.AbstractContextManager[bool]:
        """See `Locks.hold`."""
        self._folder.mkdir(parents=True, exist_ok=True)
        return hold(self._folder / name, timeout)

    def is_held(self, name: str) -> bool:
        """See `Locks.is_held`."""
        with self.hold(name, 0) as acquired:
            return not acquired


class PostgresLocks:
    """Advisory locks of a PostgreSQL server, for processes on any machine; released when the connection ends."""

    def __init__(self, engine: Engine, namespace: str) -> None:
        """Use the server of ``engine``; the same name in two namespaces means two locks."""
        self._engine, self._namespace = engine, namespace

    @contextlib.contextmanager
    def hold(self, name: str, timeout: float) -> Iterator[bool]:
        """See `Locks.hold`."""
        key = int.from_bytes(hashlib.sha256(f"{self._namespace}/{name}".encode()).digest()[:8], signed=True)
        deadline = time.monotonic() + timeout
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            while not (acquired := _call(connection, "pg_try_advisory_lock", key)):
                if timeout >= 0 and time.monotonic() >= deadline:
                    break
                time.sleep(_POLL_SECONDS)
            if acquired:  # the server then notices within two minutes if this machine loses power
                for setting in ("idle = 60", "interval = 15", "count = 4"):
                    connection.execute(text(f"SET tcp_keepalives_{setting}"))
            try:
                yield acquired
            finally:
                if acquired:
                    _call(connection, "pg_advisory_unlock", key)

    def is_held(self, name: str) -> bool:
        """See `Locks.is_held`."""
        with self.hold(name, 0) as acquired:
            return not acquired


def _call(connection: Connection, function: str, key: int) -> bool:
    return bool(connection.execute(text(f"SELECT {function}(:key)"), {"key": key}).scalar())
