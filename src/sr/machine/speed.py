"""How fast a network enlarges: latency of one image, throughput of a batch, and whether the machine was quiet."""

import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sr.machine.cost import OUTPUT_SIDE
from sr.machine.quiet import ProcessorWatch
from sr.terms import Measurement, Speed, image_channels

LEAST_REPEATS = 20
_LEAST_SECONDS = 0.5  # of repeats: the processor time of other processes is known to hundredths of a second
_WARM_UP = 2  # passes, before each block of repeats
_ROUNDS = 5  # of networks that take turns
_BATCH = 8
_BATCH_SECONDS = 3.0  # for all batches of a network
_RUN_SECONDS = 40.0  # for the latency at the end of a run
_OTHERS = 0.1  # share of the processors that others may use
_SPREAD = 0.2  # of the median, between the quartiles of the times
_TAILS = 40  # a 95 % interval leaves out a fortieth on each side


@dataclass(frozen=True)
class Timed:
    """A network to measure.

    Attributes:
        net: on its device, in the memory format ``channels_last``.
        scale: factor between input and output.
        context: makes what its passes run in, such as autocast; ``contextlib.nullcontext`` for nothing.
    """

    net: nn.Module
    scale: int
    context: Callable[[], AbstractContextManager[object]]

    @property
    def device(self) -> torch.device:
        """That of its parameters; the CPU for a network without any, such as an ONNX file."""
        parameter = next(self.net.parameters(), None)
        return torch.device("cpu") if parameter is None else parameter.device


def measure_speed(net: nn.Module, scale: int, context: Callable[[], AbstractContextManager[object]]) -> Speed:
    """The speed of one network at the end of its run, for whose latency 40 seconds have to do; see `measure_speeds`."""
    return measure_speeds([Timed(net, scale, context)], _RUN_SECONDS)[0]


def measure_speeds(networks: Sequence[Timed], most_seconds: float = math.inf) -> list[Speed]:
    """Latency and throughput of networks, with an output of 256x256 pixels an image.

    *Latency* is the time of one pass of one image, *throughput* that of a batch, each the median of at least 20 repeats
    and half a second after two passes of warm-up. On a GPU the clock is read when the device has finished. Several
    networks take turns, a fifth of the repeats each, so that a machine that slows down slows all of them.

    The batch has 8 images, or as many (4, 2, 1) as let 20 of them take 3 seconds, or as fit into a GPU's memory. With
    1, throughput is computed from the repeats of the latency. So a network that needs a second an image takes 22
    seconds.

    The machine counts as *not quiet* if other processes used more than a tenth of the processors that this process may
    use (see `sr.machine.quiet.ProcessorWatch`), or if the quartiles of a network's times are further apart than a fifth
    of the median. Other users of a GPU show in the times only. A measurement of fewer repeats counts as not quiet too.

    Args:
        networks: their training mode is restored afterwards, and the random state is left as it was.
        most_seconds: the repeats of a network end after these, even if they are fewer than 20.

    Returns:
        The speed of each network, in order.
    """
    gpus = sorted({network.device.index or 0 for network in networks if network.device.type == "cuda"})
    with _evaluation([network.net for network in networks]), torch.random.fork_rng(gpus), torch.inference_mode():
        watch = ProcessorWatch()
        singles = _times(networks, [1] * len(networks), most_seconds)
        batches = [
            _largest_batch(network, statistics.median(seconds))
            for network, seconds in zip(networks, singles, strict=True)
        ]
        batched = dict(enumerate(singles))
        several = [number for number, batch in enumerate(batches) if batch > 1]
        taking_turns = [networks[number] for number in several]
        batched |= zip(several, _times(taking_turns, [batches[n] for n in several], most_seconds), strict=True)
        others = watch.cores_of_others()
    speeds = []
    for number, (single, batch) in enumerate(zip(singles, batches, strict=True)):
        reason = _disturbance(others, len(watch.processors), [single, batched[number]])
        latency = median_interval([1000 * seconds for seconds in single])
        throughput = median_interval([batch / seconds for seconds in batched[number]])
        speeds.append(Speed(latency, throughput, batch, quiet=not reason, reason=reason))
    return speeds


def median_interval(values: Sequence[float]) -> Measurement:
    """The median and its 95 % interval: between two order statistics, whatever the distribution of the values.

    With n independent values the r-th smallest and the r-th largest enclose the median with probability
    1 - 2 P(B < r), where B is binomial (n, 1/2); r is the largest for which this is at least 0.95 (Conover, *Practical
    Nonparametric Statistics*, 1999, section 3.2; recommended for times by Hoefler and Belli, *Scientific Benchmarking
    of Parallel Computing Systems*, SC 2015). For fewer than 6 values it is their whole range, and encloses it less
    often. The interval is that of repeats under the conditions of this measurement; another day's can be further off.

    >>> median_interval([float(value) for value in range(1, 21)])
    Measurement(median=10.5, low=6.0, high=15.0, repeats=20)
    """
    ordered = sorted(values)
    count = len(ordered)
    rank, coefficient, below = 0, 1, 1  # below: 2^n P(B <= rank)
    while _TAILS * below <= 2**count:
        rank += 1
        coefficient = coefficient * (count - rank + 1) // rank
        below += coefficient
    rank = max(rank, 1)
    return Measurement(statistics.median(ordered), ordered[rank - 1], ordered[-rank], count)


@contextmanager
def _evaluation(nets: Sequence[nn.Module]) -> Iterator[None]:
    """Evaluation mode; afterwards every module gets its own mode back."""
    modes = [(module, module.training) for net in nets for module in net.modules()]
    try:
        for net in nets:
            net.eval()
        yield
    finally:
        for module, is_training in modes:
            module.training = is_training


def _times(networks: Sequence[Timed], batches: Sequence[int], most_seconds: float) -> list[list[float]]:
    """Seconds of the passes of each network with its batch, without those of the warm-up; networks take turns."""
    rounds = _ROUNDS if len(networks) > 1 else 1
    seconds: list[list[float]] = [[] for _ in networks]
    for _ in range(rounds):
        for network, batch, passes in zip(networks, batches, seconds, strict=True):
            passes += _block(network, batch, rounds, most_seconds / rounds)
    return seconds


def _block(network: Timed, batch: int, rounds: int, most_seconds: float) -> list[float]:
    """Seconds of the consecutive passes of one of several rounds."""
    lr = _images(network, batch)
    seconds: list[float] = []
    with network.context():
        for _ in range(_WARM_UP):
            network.net(lr)
        while (len(seconds) * rounds < LEAST_REPEATS or sum(seconds) * rounds < _LEAST_SECONDS) and (
            sum(seconds) < most_seconds
        ):
            begun = _clock(network.device)
            network.net(lr)
            seconds.append(_clock(network.device) - begun)
    return seconds


def _clock(device: torch.device) -> float:
    """Seconds, once the device has finished."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
    return time.perf_counter()


def _images(network: Timed, batch: int) -> Tensor:
    """``(batch, C, h, w)`` of random values, the same in every process."""
    side = OUTPUT_SIDE // network.scale
    lr = torch.rand(batch, image_channels(network.net), side, side, generator=torch.Generator().manual_seed(0))
    return lr.to(network.device).contiguous(memory_format=torch.channels_last)


def _largest_batch(network: Timed, seconds: float) -> int:
    """Images of a batch, given the seconds that one image takes."""
    batch = _BATCH
    while batch > 1 and LEAST_REPEATS * batch * seconds > _BATCH_SECONDS:
        batch //= 2
    while batch > 1 and network.device.type == "cuda":
        try:
            with network.context():
                network.net(_images(network, batch))
            break
        except torch.cuda.OutOfMemoryError:
            batch //= 2
    return batch


def _disturbance(others: float | None, processors: int, times: Sequence[Sequence[float]]) -> str:
    """Why a measurement is not of a quiet machine, in a few words; empty if it is."""
    if others is not None and others > _OTHERS * processors:
        return f"other processes used {others:.1f} of {processors} processors"
    for seconds in times:
        if len(seconds) < LEAST_REPEATS:
            return f"only {len(seconds)} repeats in {sum(seconds):.0f} s"
        lower, median, upper = statistics.quantiles(seconds)
        if upper - lower > _SPREAD * median:
            return f"repeats differ by {(upper - lower) / median:.0%}"
    return ""
