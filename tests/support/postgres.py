"""A temporary PostgreSQL server on localhost."""

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
    """Start a server, yield its URL, and stop it; skips the test if PostgreSQL or psycopg is missing."""
    pytest.importorskip("psycopg", reason="needs psycopg")
    debian_paths = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    initdb = shutil.which("initdb") or (str(debian_paths[-1]) if debian_paths else None)
    if initdb is None:
        pytest.skip("needs PostgreSQL (Debian: postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="sr-postgres-"))
    runuser: list[str] = []
    if os.geteuid() == 0:  # the server refuses to run as root
        try:
            owner = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("needs a user named postgres, as the server does not run as root")
        os.chown(folder, owner.pw_uid, owner.pw_gid)
        runuser = ["runuser", "-u", "postgres", "--"]
    pg_ctl = [*runuser, str(Path(initdb).with_name("pg_ctl")), "-D", str(folder / "data"), "-w"]
    with socket.socket() as unused_port:
        unused_port.bind(("127.0.0.1", 0))
        port = unused_port.getsockname()[1]
    try:
        _run([*runuser, initdb, "-D", str(folder / "data"), "-U", "sr", "--auth=trust"], folder)
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
        _run([*pg_ctl, "-l", str(folder / "log"), "-o", options, "start"], folder)
        yield f"postgresql://sr@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([*pg_ctl, "-m", "immediate", "stop"], cwd=folder, capture_output=True, check=False)
        shutil.rmtree(folder, ignore_errors=True)


def _run(command: list[str], folder: Path) -> None:
    process = subprocess.run(
        command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False
    )
    assert process.returncode == 0, process.stderr.decode()
