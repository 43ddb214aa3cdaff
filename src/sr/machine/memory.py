"""Main memory that this process may use: of the machine, or less in a container or a batch job."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

_ASSUMED_TOTAL, _ASSUMED_FREE = 8 << 30, 1 << 30  # bytes, if the system does not report them
_OF_MACHINE = Path("/proc/meminfo")
_OWN_GROUPS = Path("/proc/self/cgroup")
_GROUPS = Path("/sys/fs/cgroup")
# Files of limits and of use, and what of the latter can be dropped (Linux: admin-guide/cgroup-v2 and cgroup-v1/memory).
_SECOND = ("memory.max", "memory.current", "inactive_file")
_FIRST = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def total_memory() -> int:
    """Bytes of main memory, or the limit of the control group; 8 GiB if the system does not report it."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else _ASSUMED_TOTAL
    return min([total, *(limit for limit, _ in _limits())])


def available_memory() -> int:
    """Free bytes of main memory, or of the control group; 1 GiB if a Linux system does not report it."""
    if sys.platform in ("win32", "darwin"):
        import psutil

        return int(psutil.virtual_memory().available)
    try:
        lines = _OF_MACHINE.read_text(encoding="ascii").splitlines()
        free = next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        free = _ASSUMED_FREE
    return min([free, *(max(0, limit - used) for limit, used in _limits())])


def _limits() -> Iterator[tuple[int, int]]:
    """The limit and the use, in bytes, of each control group that this process is in."""
    try:
        lines = [line.split(":", 2) for line in _OWN_GROUPS.read_text(encoding="utf-8").splitlines()]
    except OSError:  # not Linux
        return
    for _, controllers, name in lines:
        if controllers and "memory" not in controllers.split(","):
            continue
        root, files = (_GROUPS / "memory", _FIRST) if controllers else (_GROUPS, _SECOND)
        folder = root / name.strip("/")
        for group in (folder, *folder.parents):
            if group.is_relative_to(root):
                yield from _limit_of(group, *files)


def _limit_of(group: Path, limit_file: str, use_file: str, cached: str) -> Iterator[tuple[int, int]]:
    try:
        limit = int((group / limit_file).read_text(encoding="ascii"))
        used = int((group / use_file).read_text(encoding="ascii"))
        rows = (line.split() for line in (group / "memory.stat").read_text(encoding="ascii").splitlines())
        yield limit, used - sum(int(value) for key, value in rows if key == cached)
    except (OSError, ValueError):  # no such group inside a container, or no limit: "max"
        return
