"""How many threads a training on the CPU uses, beside whatever else the machine is doing."""

import logging
import math
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from sr.machine.processes import in_worker
from sr.machine.quiet import ProcessorWatch

log = logging.getLogger(__name__)

_VARIABLE = "OMP_NUM_THREADS"
_LEAST_WATCH = 0.3  # seconds: the system counts in hundredths
_IDLE = 0.25  # processors that others may use before anything is tried
_TRIAL_SECONDS = 0.6
_LEAST_STEPS = 2  # with each number of threads, however long they take
_CLEARLY_FASTER = 0.9  # share of the time with all threads; the margin is for noise


@contextmanager
def restored_threads() -> Iterator[None]:
    """Give the process its number of threads back afterwards: the next run of a sweep may need another one."""
    threads, variable = torch.get_num_threads(), os.environ.get(_VARIABLE)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        if variable is None:
            os.environ.pop(_VARIABLE, None)
        else:
            os.environ[_VARIABLE] = variable


def choose_threads(setting: str | int, watch: ProcessorWatch, *, may_reduce: bool) -> None:
    """Use a number of threads, here and in processes that a training starts; call it in `restored_threads`.

    Args:
        setting: the number; ``auto`` reduces it on a busy machine, see `reduce_threads`.
        watch: see `reduce_threads`.
        may_reduce: whether ``auto`` applies: to a single process that trains on the CPU.
    """
    if isinstance(setting, int):
        torch.set_num_threads(setting)
        os.environ[_VARIABLE] = str(setting)  # without it, Lightning chooses a number for each of several processes
    elif may_reduce:
        reduce_threads(watch)


def reduce_threads(watch: ProcessorWatch) -> None:
    """Use fewer threads if that is faster, because other processes use the processors, and say so.

    Every parallel loop ends when its last thread has finished. With a thread more than there are free processors, all
    wait for the one that is not running, so a step can take ten times as long as with a single thread. If others use
    more than a quarter of a processor, a small training step is timed with all threads, and with as many as leave
    others their processors, for 0.6 seconds.

    Nothing is changed where ``OMP_NUM_THREADS`` is set, in a worker of a sweep (whose launcher sets it), and where the
    system does not report what others use.

    Args:
        watch: begun a third of a second ago or earlier; otherwise this waits.
    """
    threads = torch.get_num_threads()
    if threads == 1 or _VARIABLE in os.environ or in_worker():
        return
    time.sleep(max(0.0, _LEAST_WATCH - watch.seconds))
    others = watch.cores_of_others()
    if others is None or others < _IDLE:
        return
    processors = len(watch.processors)
    fewer = max(1, math.floor(processors - others))
    if fewer >= threads:
        return
    seconds = _seconds_of_step((threads, fewer))
    if seconds[fewer] > _CLEARLY_FASTER * seconds[threads]:
        return
    torch.set_num_threads(fewer)
    log.warning(
        "threads: other processes use %.1f of %d processors: training with %d thread%s (trainer.threads=N)",
        *(others, processors, fewer, "" if fewer == 1 else "s"),
    )


def _seconds_of_step(candidates: Sequence[int]) -> dict[int, float]:
    """Mean seconds of a small training step with each number of threads, which take turns."""
    with torch.random.fork_rng(devices=[]):
        net = nn.Sequential(nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1))
    images = torch.zeros(4, 32, 32, 32).contiguous(memory_format=torch.channels_last)
    before = torch.get_num_threads()
    seconds: dict[int, list[float]] = {threads: [] for threads in candidates}
    begun = time.perf_counter()
    try:
        while time.perf_counter() - begun < _TRIAL_SECONDS or len(seconds[candidates[-1]]) < 1 + _LEAST_STEPS:
            for threads, of_steps in seconds.items():
                torch.set_num_threads(threads)
                start = time.perf_counter()
                net(images).sum().backward()
                of_steps.append(time.perf_counter() - start)
    finally:
        torch.set_num_threads(before)
    return {threads: statistics.fmean(of_steps[1:]) for threads, of_steps in seconds.items()}  # the first is a warm-up
