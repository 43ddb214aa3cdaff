"""What a network costs: parameters, multiply-adds and memory; `sr.machine.speed` measures its time."""

import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch
from torch import nn
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode

from sr.image import resizing_skipped
from sr.terms import image_channels

OUTPUT_SIDE = 256  # pixels, for multiply-adds and times
_SMALL_SIDE = 64  # input of networks that do not run on the device ``meta``
_PROCESS_STATUS = Path("/proc/self/status")
_RESET_PEAK = Path("/proc/self/clear_refs")


def count_parameters(net: nn.Module) -> int:
    """Parameters of the network, frozen ones included."""
    return sum(parameter.numel() for parameter in net.parameters())


def multiply_adds(net: nn.Module, scale: int) -> int:
    """Multiply-adds of the convolutions and matrix products of one forward pass with a 256x256 output.

    `sr.image.resize` does not count, since it is not part of the network. The pass runs on the device ``meta``, without
    computing anything. A network whose operations depend on values is run on a small image instead, and the count is
    scaled by the area.
    """
    training = net.training
    net.eval()
    tensors = {**dict(net.named_parameters()), **dict(net.named_buffers())}
    on_meta = {name: tensor.to("meta") for name, tensor in tensors.items()}
    side, channels = OUTPUT_SIDE // scale, image_channels(net)
    try:
        try:
            flops = _flops(
                lambda: functional_call(net, on_meta, (torch.zeros(1, channels, side, side, device="meta"),))
            )
        except Exception:  # whatever a network does with values that are not there; a fault of its own is raised below
            side = _SMALL_SIDE
            device = next(iter(tensors.values())).device if tensors else "cpu"
            flops = _flops(lambda: net(torch.zeros(1, channels, side, side, device=device)))
    finally:
        net.train(training)
    return round(flops / 2 * (OUTPUT_SIDE / (side * scale)) ** 2)


def _flops(forward: Callable[[], object]) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad(), resizing_skipped():
        forward()
    flops: int = counter.get_total_flops()
    return flops


def reset_peak_memory(device: torch.device) -> None:
    """Start measuring peak memory anew, where the system can; see `peak_memory_bytes`."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    with suppress(OSError):  # not Linux
        _RESET_PEAK.write_text("5", encoding="ascii")


def peak_memory_bytes(device: torch.device) -> int:
    """Peak memory since `reset_peak_memory`: what torch held on a CUDA device, otherwise what the process held.

    A process holds what it has imported and what earlier runs in it left open as well. Where the system cannot start
    anew (other than Linux), the peak is that since the start of the process.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        lines = _PROCESS_STATUS.read_text(encoding="ascii", errors="replace").splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return _peak_since_start()


def _peak_since_start() -> int:
    if sys.platform == "win32":
        import psutil  # type: ignore[import-untyped,unused-ignore]

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts in KiB
