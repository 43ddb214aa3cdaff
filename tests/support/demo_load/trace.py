"""Find forbidden file accesses, programs and connections of a server in a log of strace."""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import sr

_WRITING = (
    *("creat", "unlink", "unlinkat", "rename", "renameat", "renameat2", "mkdir", "mkdirat", "rmdir", "link", "linkat"),
    *("symlink", "symlinkat", "truncate", "chmod", "fchmodat", "chown", "fchownat", "mknod", "mknodat"),
)
TRACED = ("open", "openat", "openat2", "connect", "execve", *_WRITING)
_CALL = re.compile(r"^\d+\s+(?P<time>[\d.]+) (?P<name>\w+)\((?P<rest>.*)$")
_PATH = re.compile(r'(?:(?:AT_FDCWD|\d+)<(?P<folder>[^>]*)>, )?"(?P<path>(?:[^"\\]|\\.)*)"')
_SYSTEM = (
    *("/usr/lib", "/lib", "/lib64", "/usr/share", "/usr/local/lib", "/proc", "/sys", "/dev/null", "/dev/urandom"),
    *("/etc/ld.so.cache", "/etc/localtime", "/etc/mime.types", "/etc/fonts"),
)


def forbidden_calls(trace: Path, since: float, writable: tuple[Path, ...], readable: tuple[Path, ...]) -> list[str]:
    """File accesses outside the allowed folders, and all started programs and connections to addresses.

    Args:
        trace: the log, written by ``strace -f -ttt -y`` of the calls in `TRACED`.
        since: seconds since 1970 before which calls are ignored.
        writable: folders that it may write to and read from.
        readable: folders that it may only read from.
    """
    forbidden: set[str] = set()
    for line in trace.read_text(errors="replace").splitlines():
        call = _CALL.match(line)
        if not call or float(call["time"]) < since or "resumed>" in line:
            continue
        name, rest = call["name"], call["rest"]
        if name == "connect":
            if "AF_INET" in rest:
                forbidden.add(f"connects: {rest[:120]}")
        elif name == "execve":
            forbidden.add(f"starts: {rest[:120]}")
        else:
            writes = not name.startswith("open") or bool(re.search(r"O_(WRONLY|RDWR|CREAT|TRUNC|APPEND)", rest))
            allowed = writable if writes else (*writable, *readable)
            if writes and name.startswith("open"):
                allowed = (*allowed, Path("/dev/null"))
            verb = "writes" if writes else "reads"
            forbidden.update(f"{verb}: {path}" for path in _paths(rest) if not _is_in(path, allowed))
    return sorted(forbidden)


def _paths(arguments: str) -> Iterator[Path]:
    """All paths in the arguments of a call, absolute and without ``..``."""
    for match in _PATH.finditer(arguments):
        path = match["path"].encode().decode("unicode_escape")
        yield Path(os.path.normpath(Path(match["folder"] or "/", path)))


def _is_in(path: Path, folders: tuple[Path, ...]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def readable_folders(runs: Path) -> tuple[Path, ...]:
    """What a running server may read: its code, its configuration and the runs, but no other user files."""
    paths = [*sys.path, sys.prefix, sys.base_prefix, str(Path(sr.__file__).parent)]
    code = {Path(path).resolve() for path in paths if path}
    return (*code, *map(Path, _SYSTEM), runs.resolve())
