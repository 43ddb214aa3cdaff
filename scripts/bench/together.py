"""Several small networks on one device, trained in turn, stacked into one, or each in its own process.

python -m scripts.bench.together         # about 2 minutes on two cores; writes benchmarks/together.json

ESPCN, batches of 16 crops of 96x96, Adam; training steps of all networks per second, so larger is better. Stacked: one
tensor holds a parameter of all networks, and torch.func.vmap maps over them, as for the folds of one cell.
"""

import argparse
import copy
import multiprocessing
import os
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from scripts.bench.timing import device, interleaved, rate, save
from sr.nets.espcn import ESPCN

BATCH, PATCH = 16, 96


def batch() -> tuple[Tensor, Tensor]:
    """A random input and target, each ``(BATCH, 3, PATCH, PATCH)``."""
    lr, hr = (torch.rand(BATCH, 3, PATCH, PATCH, device=device()) for _ in range(2))
    return lr, hr


def synchronize() -> None:
    """Wait for the GPU to finish."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def in_turn(count: int) -> Callable[[], int]:
    """A function that makes a step of each network in turn and returns their number."""
    nets = [ESPCN().to(device(), memory_format=torch.channels_last) for _ in range(count)]  # type: ignore[call-overload]
    optimizers = [torch.optim.Adam(net.parameters()) for net in nets]
    lr, hr = batch()

    def step() -> int:
        for net, optimizer in zip(nets, optimizers, strict=True):
            optimizer.zero_grad()
            F.mse_loss(net(lr), hr).backward()
            optimizer.step()
        synchronize()
        return count

    return step


def stacked(count: int) -> Callable[[], int]:
    """A function that makes a step of all networks at once and returns their number."""
    nets: list[nn.Module] = [ESPCN().to(device()) for _ in range(count)]
    parameters, buffers = stack_module_state(nets)
    skeleton = copy.deepcopy(nets[0]).to("meta")
    optimizer = torch.optim.Adam(parameters.values())
    lr, hr = batch()

    def loss(net_parameters: dict[str, Tensor], net_buffers: dict[str, Tensor]) -> Tensor:
        return F.mse_loss(functional_call(skeleton, (net_parameters, net_buffers), (lr,)), hr)

    def step() -> int:
        optimizer.zero_grad()
        vmap(loss)(parameters, buffers).sum().backward()
        optimizer.step()
        synchronize()
        return count

    return step


def worker(threads: int, seconds: float, start: Any, speeds: Any) -> None:
    """Train one network in this process, and put its steps per second into ``speeds``."""
    torch.set_num_threads(threads)
    step = in_turn(1)
    step()
    start.wait()
    speeds.put(rate(step, seconds))


def processes(count: int, seconds: float) -> float:
    """Steps per second of ``count`` processes that share the cores."""
    context = multiprocessing.get_context("spawn")
    start, speeds = context.Barrier(count), context.Queue()
    threads = max(1, (os.cpu_count() or 1) // count)
    workers = [context.Process(target=worker, args=(threads, seconds, start, speeds)) for _ in range(count)]
    for process in workers:
        process.start()
    total = sum(speeds.get() for _ in workers)
    for process in workers:
        process.join()
    return float(total)


def main() -> None:
    """Measure, print a table and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rows = []
    for count in options.counts:
        in_turn_step, stacked_step = in_turn(count), stacked(count)
        speeds = interleaved(
            {
                "in turn": lambda: rate(in_turn_step, options.seconds),  # noqa: B023
                "stacked": lambda: rate(stacked_step, options.seconds),  # noqa: B023
                "processes": lambda: processes(count, options.seconds),  # noqa: B023
            },
            options.rounds,
        )
        rows += [{"networks": count, "way": way, "steps/s": value} for way, value in speeds.items()]
    save("together", rows)


if __name__ == "__main__":
    main()
