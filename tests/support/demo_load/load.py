"""Send every kind of request concurrently and record how each ended."""

import queue
import random
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, NamedTuple

from tests.support.demo_load.target import Outcome, RequestKind, Target
from tests.support.demo_load.visitor import RefusedError, Visitor

_MAX_ERROR = 1000  # characters


class Ending(NamedTuple):
    """Outcome of a request, message of the server or violation, and duration."""

    outcome: Outcome
    message: str
    seconds: float


def send_all(
    target: Target, kinds: Mapping[str, RequestKind], clients: int, each: int, seconds: float, seed: int
) -> tuple[list[dict[str, Any]], list[str]]:
    """Send each kind ``each`` times, in random order, from concurrent clients.

    Returns:
        A row for each kind, and the violations; requests unanswered after ``seconds`` are violations, too.
    """
    pending: queue.SimpleQueue[str] = queue.SimpleQueue()
    names = list(kinds) * each
    random.Random(seed).shuffle(names)
    for name in names:
        pending.put(name)
    endings: dict[str, list[Ending]] = defaultdict(list)
    start_together = threading.Barrier(clients)
    deadline = time.monotonic() + seconds

    def send_pending() -> None:
        start_together.wait()
        while time.monotonic() < deadline:
            try:
                name = pending.get_nowait()
            except queue.Empty:
                return
            endings[name].append(send(target, kinds[name]))

    threads = [threading.Thread(target=send_pending, daemon=True) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline + 10 - time.monotonic()))
    violations = [
        f"{name}: {ending.message}" for name in kinds for ending in endings[name] if ending.outcome is Outcome.VIOLATED
    ]
    if (unanswered := len(names) - sum(map(len, endings.values()))) > 0:
        violations.append(f"{unanswered} of {len(names)} requests without an answer in {seconds:.0f} s")
    return [_row(name, endings[name]) for name in kinds], violations


def send(target: Target, kind: RequestKind) -> Ending:
    """Send one request."""
    start = time.monotonic()
    try:
        outcome = kind.send(target, Visitor(target.client))
        message = ""
    except RefusedError as error:
        outcome, message = Outcome.REFUSED, str(error)
    except Exception as error:
        outcome, message = Outcome.VIOLATED, f"{type(error).__name__}: {error}"
    if fault := _fault(target, kind, outcome, message):
        outcome, message = Outcome.VIOLATED, fault
    return Ending(outcome, message, time.monotonic() - start)


def _fault(target: Target, kind: RequestKind, outcome: Outcome, message: str) -> str:
    """Why this outcome is a violation; empty if it is none."""
    if outcome is Outcome.REFUSED:
        if len(message.strip().splitlines()) > 1 or "Traceback (" in message:
            return f"an error of several lines: {message[:300]!r}"
        if len(message) > _MAX_ERROR:
            return f"an error of {len(message)} characters"
        if str(target.temporary) in message or "site-packages" in message:
            return f"an error that names the server's folders: {message[:300]}"
        return f"refused: {message[:200]}" if kind.expected is Outcome.IMAGE else ""
    if outcome is not Outcome.VIOLATED and kind.expected not in (None, outcome):
        return f"ended in {outcome}"
    return ""


def _row(name: str, endings: list[Ending]) -> dict[str, Any]:
    counts = {str(outcome): sum(ending.outcome is outcome for ending in endings) for outcome in Outcome}
    return {
        "asked": name,
        "sent": len(endings),
        **counts,
        "slowest_seconds": round(max((ending.seconds for ending in endings), default=0.0), 2),
        "message": next((ending.message for ending in endings if ending.message), "")[:100],
    }
