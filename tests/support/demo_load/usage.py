"""Memory, threads and files used by a server."""

import re
import threading
from contextlib import suppress
from pathlib import Path


class UsageMonitor(threading.Thread):
    """Records the peak memory (bytes) and threads of a process and its children until it is stopped."""

    def __init__(self, pid: int) -> None:
        """Measure once; call `start` to keep measuring."""
        super().__init__(daemon=True)
        self.pid = pid
        self.memory_before = self.peak_memory = memory_and_threads(pid)[0]
        self.peak_threads = 0
        self._stopped = threading.Event()

    def run(self) -> None:
        """Measure twenty times a second."""
        while not self._stopped.wait(0.05):
            memory, threads = memory_and_threads(self.pid)
            self.peak_memory, self.peak_threads = max(self.peak_memory, memory), max(self.peak_threads, threads)

    def stop(self) -> None:
        """Stop measuring."""
        self._stopped.set()
        self.join()


def memory_and_threads(pid: int) -> tuple[int, int]:
    """Resident bytes and threads of a process and its children, except strace."""
    memory = threads = 0
    for process in (pid, *_children(pid)):
        with suppress(OSError):
            status = Path(f"/proc/{process}/status").read_text()
            values = dict(re.findall(r"(?m)^(VmRSS|Threads):\s+(\d+)", status))
            memory += int(values.get("VmRSS", 0)) * 1024
            threads += int(values.get("Threads", 0))
    return memory, threads


def _children(pid: int) -> list[int]:
    children: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                name = Path(f"/proc/{child}/comm").read_text().strip()
                children += [] if name == "strace" else [int(child), *_children(int(child))]
    return children


def files_and_bytes(folder: Path) -> tuple[int, int]:
    """Number and total bytes of the files in a folder."""
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return len(sizes), sum(sizes)
