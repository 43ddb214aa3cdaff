"""How much other processes use the processor while something is measured."""

import os
import time
from pathlib import Path

_STATISTICS = Path("/proc/stat")
_BUSY_COLUMNS = (1, 2, 3, 6, 7, 8)  # user, nice, system, irq, softirq, steal; of the others two are idle, two in user


class ProcessorWatch:
    """Watches, from its construction on, the processors that this process may use.

    What other processes used is what the processors were busy, less the processor time of this process, all its
    threads included. Time that a hypervisor gave to other virtual machines ("steal") counts as used by others.
    Linux counts in hundredths of a second: a watch of less than half a second says little.
    """

    def __init__(self) -> None:
        """Begin to watch."""
        self.processors = _allowed_processors()
        self._begun, self._own = time.perf_counter(), time.process_time()
        self._busy = _busy_seconds(self.processors)

    @property
    def seconds(self) -> float:
        """How long it has been watching."""
        return time.perf_counter() - self._begun

    def cores_of_others(self) -> float | None:
        """Processors that others kept busy, on average so far; None where the system does not report it."""
        busy, own = _busy_seconds(self.processors), time.process_time() - self._own
        if self._busy is None or busy is None:
            return None
        return max(0.0, (busy - self._busy - own) / self.seconds)


def _allowed_processors() -> frozenset[int]:
    """Numbers of the processors that the system lets this process run on; empty if it does not say."""
    return frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else frozenset()


def _busy_seconds(processors: frozenset[int]) -> float | None:
    """Seconds that some processors were busy since the system started; None if it does not say of all of them."""
    try:
        rows = [line.split() for line in _STATISTICS.read_text(encoding="ascii").splitlines()]
        ticks = {row[0]: sum(int(row[column]) for column in _BUSY_COLUMNS) for row in rows if row[0].startswith("cpu")}
        busy = sum(ticks[f"cpu{number}"] for number in processors)
    except (OSError, ValueError, LookupError):
        return None
    return busy / os.sysconf("SC_CLK_TCK") if processors else None
