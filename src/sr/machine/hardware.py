"""What a run uses of its machine: which device, which precision, and whether it compiles its network."""

import json
import shutil
import time
from functools import lru_cache
from pathlib import Path

import torch
from torch import nn

from sr.errors import UserError, check_choice
from sr.image import keep_out_of_graphs
from sr.io.atomic import write_text
from sr.io.locks import hold

# Steps of a run that compiles its network on a GPU by itself.
_WORTH_COMPILING = 5000

_MEASURED = Path("~/.cache/sr/bfloat16.json")
_TIMED_STEPS = 10
_CLEARLY = 0.8  # of the other's time: what a noisy machine will not turn round


def device_in_turn(accelerator: str, number: int) -> int | list[int]:
    """The GPU of a sweep's run of this number, or one device where there is no GPU."""
    gpus = torch.cuda.device_count() if accelerator in ("auto", "gpu", "cuda") else 0
    return [number % gpus] if gpus else 1


def precision(accelerator: str) -> str:
    """bfloat16 autocast where it is faster; parameters, output and loss stay float32."""
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
    return "bf16-mixed" if accelerator in ("auto", "cpu") and _bfloat16_pays() else "32-true"


def compile_from(wanted: object, accelerator: str) -> int | None:
    """Number of steps from which on a run compiles its network, or None for never.

    Compiling takes up to a minute. On a CPU it gains a tenth at best (with channels last, which all runs have).
    """
    check_choice("trainer.compile", wanted, ("auto", True, False))
    gpu = accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    compiler = any(shutil.which(name) for name in ("cc", "c++", "gcc", "g++", "clang", "clang++", "cl"))
    if wanted is True and not compiler:
        raise UserError("trainer.compile=true needs a C++ compiler: install one, or set trainer.compile=false")
    if not wanted or not compiler or (wanted == "auto" and not gpu):
        return None
    keep_out_of_graphs()
    return 0 if wanted is True else _WORTH_COMPILING


def free_memory(device: torch.device) -> int:
    """Bytes that can still be had on a device; where the system does not say, 1 GiB."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return 2**30


@lru_cache(maxsize=1)
def _bfloat16_pays() -> bool:
    """Whether a convolution trains faster on this processor under bfloat16 autocast than in float32.

    Measured once on a machine and written down, so that the runs of a sweep and those of another day agree.
    """
    capabilities = torch.cpu.get_capabilities()
    if not (capabilities.get("avx512_bf16") or capabilities.get("amx_bf16")):
        return False
    machine = f"{capabilities.get('cpu_name')}, {sum(map(bool, capabilities.values()))}, torch {torch.__version__}"
    path = _MEASURED.expanduser()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with hold(path.with_suffix(".lock")):  # of several workers one measures, and the others read
            known = _read_measured(path)
            if machine not in known:
                known[machine] = _is_faster_in_bfloat16()
                write_text(path, json.dumps(known, indent=2) + "\n")
    except OSError:  # nowhere to write: measured again by the next process
        known = _read_measured(path)
        if machine not in known:
            known[machine] = _is_faster_in_bfloat16()
    return known[machine]


def _read_measured(path: Path) -> dict[str, bool]:
    """What was measured on each machine; empty for a missing or damaged file."""
    try:
        content = dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}
    return {machine: pays for machine, pays in content.items() if isinstance(pays, bool)}


def _is_faster_in_bfloat16() -> bool:
    """Processors that have the instructions differ: on some they take half the time, on others twice the time.

    A third of a second of both in turn decides, by the fastest of each: what else runs beside it only adds time.
    """
    with torch.random.fork_rng(devices=[]):
        layer = nn.Conv2d(64, 64, 3, padding=1)
    image = torch.zeros(16, 64, 48, 48).contiguous(memory_format=torch.channels_last).requires_grad_()
    least = {True: float("inf"), False: float("inf")}
    for step in range(1 + _TIMED_STEPS):
        for bfloat16 in least:
            begun = time.perf_counter()
            with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
                out = layer(image)
            out.float().sum().backward()
            if step:  # the first warms up
                least[bfloat16] = min(least[bfloat16], time.perf_counter() - begun)
    return least[True] < _CLEARLY * least[False]
