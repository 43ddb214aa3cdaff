"""A PostgreSQL server of the machine's own, on loopback, for the time of a test."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def server() -> Iterator[str]:
    """Start one, give its URL, and stop it; skips where the program or its Python driver is missing."""
    pytest.importorskip("psycopg", reason="needs psycopg")
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    program = shutil.which("initdb") or (str(programs[-1]) if programs else None)
    if program is None:
        pytest.skip("needs PostgreSQL (Debian: postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="sr-postgres-"))
    prefix: list[str] = []
    if os.geteuid() == 0:  # the server refuses to run as root
        try:
            owner = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("needs a user named postgres, since the server does not run as root")
        os.chown(folder, owner.pw_uid, owner.pw_gid)
        prefix = ["runuser", "-u", "postgres", "--"]
    control = [*prefix, str(Path(program).with_name("pg_ctl")), "-D", str(folder / "data"), "-w"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    try:
        _run([*prefix, program, "-D", str(folder / "data"), "-U", "sr", "--auth=trust"], folder)
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
        _run([*control, "-l", str(folder / "log"), "-o", options, "start"], folder)
        yield f"postgresql://sr@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], cwd=folder, capture_output=True, check=False)
        shutil.rmtree(folder, ignore_errors=True)


def _run(line: list[str], folder: Path) -> None:
    done = subprocess.run(
        line, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
