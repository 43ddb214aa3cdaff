"""Start and stop the real `sr demo`, under strace if it is installed."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from tests.support.demo_load.pictures import encoded, photograph
from tests.support.demo_load.trace import TRACED
from tests.support.demo_load.visitor import ViolationError, Visitor, client_of

_START_TIMEOUT, _STOP_TIMEOUT = 120, 30  # seconds


@dataclass(frozen=True)
class Server:
    """A running server: process, port, log, log of strace if it is installed, and temporary folder."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    trace: Path | None
    temporary: Path


@contextmanager
def serve(folder: Path, runs: Path | None = None) -> Iterator[Server]:
    """Run `sr demo` with its home, temporary and working folders in ``folder``, and stop it with SIGTERM.

    Raises:
        ViolationError: if it does not start, does not stop, or leaves files behind.
    """
    home, temporary, work = folder / "home", folder / "temporary", folder / "work"
    for path in (home, temporary, work):
        path.mkdir()
    port, log = _free_port(), folder / "demo.log"
    trace = folder / "strace.txt" if shutil.which("strace") else None
    environment = {"HOME": str(home), "TMPDIR": str(temporary), "PYTHONDONTWRITEBYTECODE": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(str(Path(path).resolve()) for path in sys.path if path)  # the same sr
    with log.open("wb") as file:
        process = subprocess.Popen(
            _command(port, runs or work, trace), cwd=work, env={**os.environ, **environment}, stdout=file, stderr=file
        )
    server = Server(process, port, log, trace, temporary)
    try:
        _wait_until_ready(server)
        yield server
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired as error:
            raise ViolationError("does not exit on SIGTERM") from error
        if leftovers := sorted(path.name for path in temporary.iterdir()):
            raise ViolationError(f"left behind: {', '.join(leftovers)}")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _command(port: int, runs: Path, trace: Path | None) -> list[str]:
    command = [sys.executable, "-c", "from sr.cli import main; main()", "demo", "--port", str(port), "--device", "cpu"]
    command += ["--runs", str(runs)]
    if trace is None:
        return command
    # -D: the started process remains the server; -y: log the folders that paths are relative to
    strace = ["strace", "-D", "-f", "-ttt", "-y", "-s", "4096", "--seccomp-bpf", "-e", f"trace={','.join(TRACED)}"]
    return [*strace, "-e", "signal=none", "-o", str(trace), *command]


def _wait_until_ready(server: Server) -> None:
    deadline = time.monotonic() + _START_TIMEOUT
    with client_of(server.port) as client:
        while True:
            with suppress(httpx.TransportError):
                if Visitor(client).request("GET", "/config")[0] == 200:
                    return
            if server.process.poll() is not None or time.monotonic() > deadline:
                raise ViolationError(f"sr demo does not start: {server.log.read_text()[-2000:]}")
            time.sleep(0.2)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def buttons_of(client: httpx.Client) -> dict[str, int]:
    """The number of each button in the queue, by the button's name on the page."""
    config = json.loads(Visitor(client).request("GET", "/config")[1])
    names = {component["id"]: component["props"].get("elem_id") for component in config["components"]}
    return {
        names[component]: event["id"]
        for event in config["dependencies"]
        for component, _ in event["targets"]
        if names.get(component)
    }


@contextmanager
def forbidden_address() -> Iterator[tuple[str, list[str]]]:
    """The URL of a local image that the server must not request, and a list of the paths requested."""
    requested_paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requested_paths.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(encoded(photograph(48, 40, 0)))

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listener.server_address[1]}/secret.png", requested_paths
        listener.shutdown()
