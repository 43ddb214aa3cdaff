"""A shell in which ``sr`` and ``python`` start at once and take small budgets.

Importing torch and lightning takes seconds, for each of the many commands of the documentation. `Shell` imports them
once, in a server that forks for every command; the programs ``sr`` and ``python`` on its PATH only pass their
arguments, folder, environment and files to it. No other program is on PATH but those in ``_PROGRAMS``: a block with
any other command fails.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.support.documents import commands

ROOT = Path(__file__).parents[3]

_PROGRAMS = ("cat",)
_STARTED = 60.0  # seconds
_LIMIT = 300.0  # of a block
_MOST_BYTES = 2**20  # of a request

_CLIENT = """#!{python} -SE
import json, os, socket, sys
request = {{"program": {program!r}, "words": sys.argv[1:], "folder": os.getcwd(), "environment": dict(os.environ)}}
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [json.dumps(request).encode() + b"\\n"], [0, 1, 2])
    sys.exit(int(server.makefile().readline()))
"""


class Shell:
    """Runs blocks of commands; use it as a context."""

    def __init__(self, place: Path) -> None:
        """Write the programs into ``place``."""
        self._address, self._bin = str(place / "server"), place / "bin"
        self._bin.mkdir()
        for program in ("sr", "python"):
            client = self._bin / program
            client.write_text(_CLIENT.format(python=sys.executable, program=program, address=self._address))
            client.chmod(0o755)
        for program in _PROGRAMS:
            (self._bin / program).symlink_to(shutil.which(program) or program)

    def __enter__(self) -> "Shell":
        """Start the server."""
        path = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.support.documents.shell", self._address],
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,
        )
        deadline = time.monotonic() + _STARTED
        while not Path(self._address).exists():
            assert self._server.poll() is None, "the server died"
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.05)
        return self

    def __exit__(self, *error: object) -> None:
        """End the server, and whatever it started."""
        os.killpg(self._server.pid, signal.SIGKILL)
        self._server.wait()

    def run(self, block: str, folder: Path, *, mode: str = "run") -> tuple[int, str]:
        """Run a block of commands in a folder; the first that fails ends it.

        Args:
            block: its text.
            folder: where.
            mode: ``compose`` to compose the configs of trainings only.

        Returns:
            The exit code and all output.
        """
        environment = {**os.environ, "PATH": str(self._bin), commands.MODE: mode, "OMP_NUM_THREADS": "1"}
        bash = [shutil.which("bash") or "bash", "-euo", "pipefail", "-c", block]
        done = subprocess.run(
            bash,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_LIMIT,
            check=False,
        )
        return done.returncode, done.stdout


def serve(address: str) -> None:
    """Fork for every request, for ever."""
    commands.preload()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        while True:
            client, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                _answer(client)
            client.close()
            _reap()


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def _answer(client: socket.socket) -> None:
    """Run the command of one request in this process's only child, and send its exit code."""
    text, files, _, _ = socket.recv_fds(client, _MOST_BYTES, 3)
    while not text.endswith(b"\n"):
        text += client.recv(_MOST_BYTES)
    request = json.loads(text)
    child = os.fork()
    if child == 0:
        client.close()
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        os.chdir(request["folder"])
        own = [path for path in request["environment"].get("PYTHONPATH", "").split(os.pathsep) if path]
        search_path = os.pathsep.join([*sys.path[:2], *own])
        os.environ.clear()
        os.environ.update(request["environment"] | {"PYTHONPATH": search_path})
        sys.path.extend(own)
        commands.run(request["program"], request["words"])
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    client.sendall(f"{code if code >= 0 else 128 - code}\n".encode())
    os._exit(0)


if __name__ == "__main__":
    serve(sys.argv[1])
