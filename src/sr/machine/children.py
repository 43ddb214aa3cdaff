"""Processes that this one starts: they can be interrupted, and end with it where the system allows."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

_SET_PARENT_DEATH_SIGNAL = 1  # of prctl(2)


def start(command: Sequence[str], *, last_signal: int = signal.SIGTERM, **options: Any) -> "subprocess.Popen[str]":
    """Start a command that the terminal's Ctrl-C does not reach: `interrupt` passes it on, once.

    Args:
        command: the program and its arguments.
        last_signal: what the child gets when this process ends, however it ends. Only Linux can; elsewhere a child
            outlives a parent that was killed.
        options: of `subprocess.Popen`.
    """
    if sys.platform == "win32":
        return subprocess.Popen(command, creationflags=subprocess.CREATE_NEW_PROCESS_GROUP, **options)
    ends_with_parent = _ends_with_parent(last_signal) if sys.platform == "linux" else None
    return subprocess.Popen(command, start_new_session=True, preexec_fn=ends_with_parent, **options)


def interrupt(process: "subprocess.Popen[str]", number: int = signal.SIGINT) -> None:
    """Send a signal to a process of `start` and to those that it has started; nothing if it has ended.

    Windows knows only Ctrl-Break for a group of processes; `sr.train` takes it as Ctrl-C.
    """
    if process.poll() is not None:
        return
    if sys.platform == "win32":
        process.send_signal(signal.CTRL_BREAK_EVENT)
    else:
        os.killpg(process.pid, number)


def _ends_with_parent(number: int) -> Callable[[], object]:
    library = ctypes.CDLL(None)  # loaded here, since little may be done between fork and exec
    return lambda: library.prctl(_SET_PARENT_DEATH_SIGNAL, number)
