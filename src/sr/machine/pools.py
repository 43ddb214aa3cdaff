"""Pools of threads in which torch computes."""

import logging
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Thread, current_thread

import torch

log = logging.getLogger(__name__)

_LIMIT = 10.0  # seconds; on an idle machine it takes microseconds
_PAUSE = 1e-4


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit torch to one thread in the whole process, which is faster for small images. Do not overlap two of them."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def thread_pool(workers: int | None = None) -> Iterator[ThreadPoolExecutor]:
    """A pool whose threads are gone at the end of the context: see `wait_until_gone`.

    Meanwhile torch has one thread, or each of the pool would start helpers of its own, which end later than it does.

    Args:
        workers: number of threads; by default that of `concurrent.futures`.
    """
    threads: list[Thread] = []
    try:
        with one_thread(), ThreadPoolExecutor(workers, initializer=lambda: threads.append(current_thread())) as pool:
            yield pool
    finally:
        wait_until_gone(threads)


def wait_until_gone(threads: Iterable[Thread]) -> None:
    """Wait until the system, where it lists them, has ended threads that Python has joined.

    Before version 3.13, Python takes a thread for ended when its function has returned; the destructors of its
    thread-local values run after that. MKL's hold the locks of its memory meanwhile: a process forked then, as
    loading processes are, has these locks without the thread that would release them, and its first product of matrices
    never ends.
    """
    deadline = time.monotonic() + _LIMIT
    for thread in threads:
        while Path(f"/proc/self/task/{thread.native_id}").exists():
            if time.monotonic() > deadline:
                log.warning("a thread takes more than %.0f s to end: a loading process may wait for it forever", _LIMIT)
                return
            time.sleep(_PAUSE)
