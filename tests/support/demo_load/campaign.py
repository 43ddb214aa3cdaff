"""A campaign: start the server, load it, check what it did in the meantime, and stop it."""

import tempfile
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.demo_load.load import send, send_all
from tests.support.demo_load.pictures import encoded, photograph
from tests.support.demo_load.requests import HONEST, request_kinds
from tests.support.demo_load.server import Server, buttons_of, forbidden_address, serve
from tests.support.demo_load.target import MODEL, Outcome, Target
from tests.support.demo_load.trace import forbidden_calls, readable_folders
from tests.support.demo_load.usage import UsageMonitor, files_and_bytes, memory_and_threads
from tests.support.demo_load.visitor import ViolationError, Visitor, client_of

_MAX_MEMORY = 2_000_000_000  # bytes that the load may add to the server's memory
_MAX_THREADS = 128
_MAX_TEMPORARY = 4_500_000_000  # bytes that its temporary folder may hold


@dataclass
class Report:
    """Findings of a campaign: a row per kind of request, facts about the server, violations, the server's log."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    log: str = ""


def run_campaign(
    clients: int, each: int, seconds: float, seed: int = 0, only: str = "", runs: Path | None = None
) -> Report:
    """Start a server and load it.

    Args:
        clients: number of concurrent visitors.
        each: number of requests of each kind.
        seconds: time limit of the load.
        seed: seed for the order of the requests.
        only: send only kinds whose name contains this text.
        runs: folder of runs that the server shows; by default an empty one.
    """
    report = Report(facts={"clients": clients})
    with tempfile.TemporaryDirectory() as name, forbidden_address() as (forbidden_url, requested_paths):
        folder = Path(name).resolve()
        secret = folder / "secret.txt"
        secret.write_text(uuid.uuid4().hex)
        secret.with_suffix(".png").write_bytes(encoded(photograph(48, 40, 0)))
        try:
            with serve(folder, runs) as server, client_of(server.port) as client:
                target = Target(client, buttons_of(client), secret, forbidden_url, server.temporary)
                _warm_up(target)
                start = time.time()
                _load(report, server, target, clients, each, seconds, seed, only)
                if server.trace:
                    writable = (server.temporary, folder / "home")
                    report.violations += forbidden_calls(
                        server.trace, start, writable, readable_folders(runs or folder / "work")
                    )
                report.log = server.log.read_text(errors="replace")
                report.facts["tracebacks_in_log"] = report.log.count("Traceback (most recent call last)")
        except ViolationError as error:
            report.violations.append(str(error))
        report.violations += [f"requested {path} from the forbidden address" for path in requested_paths]
    report.violations += _exceeded(report.facts)
    return report


def _load(
    report: Report, server: Server, target: Target, clients: int, each: int, seconds: float, seed: int, only: str
) -> None:
    """Send the requests and measure the server in the meantime."""
    kinds = request_kinds()
    usage = UsageMonitor(server.process.pid)
    usage.start()
    start = time.monotonic()
    chosen = {name: kind for name, kind in kinds.items() if only in name}
    report.rows, report.violations = send_all(target, chosen, clients, each, seconds, seed)
    report.facts["seconds"] = round(time.monotonic() - start, 1)
    report.facts["requests"] = sum(row["sent"] for row in report.rows)
    if server.process.poll() is not None:
        report.violations.append(f"the server exited with code {server.process.returncode}")
    elif (ending := send(target, kinds[HONEST])).outcome is not Outcome.IMAGE:
        report.violations.append(f"afterwards: {ending.message}")
    files, size = files_and_bytes(server.temporary)
    usage.stop()
    report.facts |= {
        "memory_before": usage.memory_before,
        "memory_peak": usage.peak_memory,
        "threads_peak": usage.peak_threads,
        "memory_after": memory_and_threads(server.process.pid)[0],
        "temporary_files": files,
        "temporary_bytes": size,
        "strace": server.trace is not None,
    }


def _exceeded(facts: dict[str, Any]) -> list[str]:
    """Exceeded limits of memory, threads and files."""
    exceeded = []
    if facts.get("memory_peak", 0) - facts.get("memory_before", 0) > _MAX_MEMORY:
        exceeded.append(f"{facts['memory_peak'] / 1e9:.1f} GB of memory, {facts['memory_before'] / 1e9:.1f} before")
    if facts.get("threads_peak", 0) > _MAX_THREADS:
        exceeded.append(f"{facts['threads_peak']} threads")
    if facts.get("temporary_bytes", 0) > _MAX_TEMPORARY:
        exceeded.append(f"{facts['temporary_bytes'] / 1e9:.1f} GB of temporary files")
    return exceeded


def _warm_up(target: Target) -> None:
    """Send an honest request of each kind, so that files the server opens later are opened for a visitor."""
    visitor = Visitor(target.client)
    for file_format in ("PNG", "JPEG", "WEBP", "TIFF", "GIF"):
        target.enlarge(visitor, encoded(photograph(8, 8, 0), file_format), (16, 16))
    Visitor(target.client).call(target.buttons["metrics"], [[MODEL]])
