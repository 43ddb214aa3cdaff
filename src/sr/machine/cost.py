"""What a network costs: parameters, multiply-adds, time and memory."""

import resource
import statistics
import sys
import time
from contextlib import AbstractContextManager

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

# Sides of the counted input and of the output that multiply-adds are stated for; they are proportional to the area.
_COUNTED_SIDE, _OUTPUT_SIDE = 64, 256
_TIMED_PASSES = 5
_RESIZE_OPERATIONS = frozenset({"aten.mm", "aten.bmm"})


def count_parameters(net: nn.Module) -> int:
    """Trainable parameters."""
    return sum(parameter.numel() for parameter in net.parameters() if parameter.requires_grad)


def multiply_adds(net: nn.Module, scale: int) -> int:
    """Multiply-adds of one forward pass with a 256x256 output, extrapolated from a smaller one.

    Convolutions, linear layers and attention count. Plain matrix products do not: `sr.image.resize` uses them.
    """
    lr = torch.zeros(1, 3, _COUNTED_SIDE, _COUNTED_SIDE)
    training = net.training
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net.eval()(lr)
    net.train(training)
    counts = counter.get_flop_counts()["Global"]
    flops: int = sum(count for operation, count in counts.items() if str(operation) not in _RESIZE_OPERATIONS)
    return round(flops / 2 * (_OUTPUT_SIDE / (_COUNTED_SIDE * scale)) ** 2)


def milliseconds_per_image(net: nn.Module, scale: int, context: AbstractContextManager[object]) -> float:
    """Median time of one forward pass with a 256x256 output, one image at a time, on the network's device.

    Args:
        net: its training mode is restored afterwards.
        scale: factor between input and output.
        context: entered for the passes, such as autocast.
    """
    device = next(net.parameters()).device
    lr = torch.rand(1, 3, _OUTPUT_SIDE // scale, _OUTPUT_SIDE // scale, device=device)
    lr = lr.contiguous(memory_format=torch.channels_last)
    training = net.training
    net.eval()
    times = []
    with torch.inference_mode(), context:
        for _ in range(1 + _TIMED_PASSES):
            start = time.perf_counter()
            net(lr)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            times.append(1000 * (time.perf_counter() - start))
    net.train(training)
    return statistics.median(times[1:])  # the first pass is a warm-up


def peak_memory_bytes(device: torch.device) -> int:
    """Peak memory so far: that of torch on a CUDA device, otherwise that of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts in KiB
