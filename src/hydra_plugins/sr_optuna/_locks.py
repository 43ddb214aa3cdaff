"""Named locks that vanish with the process that holds them, however it ends: they tell who is alive."""

import contextlib
import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, Engine, text

from hydra_plugins.sr_optuna._filelocks import hold

_POLL = 0.1  # seconds


class Locks(Protocol):
    """Locks by name."""

    def hold(self, name: str, wait: float) -> contextlib.AbstractContextManager[bool]:
        """Hold one inside a ``with`` block, which is told whether it was free within ``wait`` seconds (-1: ever)."""

    def is_held(self, name: str) -> bool:
        """Whether someone holds it."""


class FileLocks:
    """Locks of the operating system on files of a folder, for processes that share it."""

    def __init__(self, folder: Path) -> None:
        """Keep the files in ``folder``."""
        self._folder = folder

    def hold(self, name: str, wait: float) -> contextlib.AbstractContextManager[bool]:
        """See `Locks.hold`."""
        self._folder.mkdir(parents=True, exist_ok=True)
        return hold(self._folder / name, wait)

    def is_held(self, name: str) -> bool:
        """See `Locks.is_held`."""
        with self.hold(name, 0) as free:
            return not free


class PostgresLocks:
    """Advisory locks of a PostgreSQL server, for processes on any machine; they end with their connection."""

    def __init__(self, engine: Engine, space: str) -> None:
        """Ask the server behind ``engine``; equal names in two spaces are two locks."""
        self._engine, self._space = engine, space

    @contextlib.contextmanager
    def hold(self, name: str, wait: float) -> Iterator[bool]:
        """See `Locks.hold`."""
        key = int.from_bytes(hashlib.sha256(f"{self._space}/{name}".encode()).digest()[:8], signed=True)
        deadline = time.monotonic() + wait
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            while not (mine := _ask(connection, "pg_try_advisory_lock", key)):
                if wait >= 0 and time.monotonic() >= deadline:
                    break
                time.sleep(_POLL)
            if mine:  # a machine that lost power is noticed within two minutes
                for setting in ("idle = 60", "interval = 15", "count = 4"):
                    connection.execute(text(f"SET tcp_keepalives_{setting}"))
            try:
                yield mine
            finally:
                if mine:
                    _ask(connection, "pg_advisory_unlock", key)

    def is_held(self, name: str) -> bool:
        """See `Locks.is_held`."""
        with self.hold(name, 0) as free:
            return not free


def _ask(connection: Connection, function: str, key: int) -> bool:
    return bool(connection.execute(text(f"SELECT {function}(:key)"), {"key": key}).scalar())
