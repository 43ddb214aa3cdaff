"""Device, precision and compilation of a run, chosen for its machine."""

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
from sr.machine.memory import available_memory

_WORTH_COMPILING = 5000  # steps of a run on a GPU

_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
_MEASUREMENTS = Path("~/.cache/sr/bfloat16.json")
_TIMED_STEPS = 10
_CLEARLY_FASTER = 0.8  # share of the float32 time; the margin is for noisy machines


def find_device(wanted: str | torch.device | None) -> torch.device:
    """The device of ``--device``; by default a GPU if there is one.

    Raises:
        UserError: if it is not available.
    """
    try:
        device = torch.device(wanted or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"--device {wanted}: {str(error).splitlines()[0]}") from error
    return device


def device_in_turn(accelerator: str, number: int) -> int | list[int]:
    """The GPU for the job of this number in a sweep, in rotation; a single device if there is no GPU."""
    gpus = torch.cuda.device_count() if accelerator in ("auto", "gpu", "cuda") else 0
    return [number % gpus] if gpus else 1


def precision(accelerator: str) -> str:
    """Choose bfloat16 autocast if it is faster; parameters, output and loss stay float32."""
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
    return "bf16-mixed" if accelerator in ("auto", "cpu") and _bfloat16_pays() else "32-true"


def compile_from(setting: object, accelerator: str) -> int | None:
    """The least number of steps for which a run compiles its network; None: never.

    Compiling takes up to a minute, and on a CPU saves at most a tenth of the time (with channels last, as in all runs).
    """
    check_choice("trainer.compile", setting, ("auto", True, False))
    has_gpu = accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    has_compiler = any(shutil.which(name) for name in ("cc", "c++", "gcc", "g++", "clang", "clang++", "cl"))
    if setting is True and not has_compiler:
        raise UserError("trainer.compile=true needs a C++ compiler: install one, or set trainer.compile=false")
    if not setting or not has_compiler or (setting == "auto" and not has_gpu):
        return None
    keep_out_of_graphs()
    return 0 if setting is True else _WORTH_COMPILING


def free_memory(device: torch.device) -> int:
    """Free memory of a device in bytes."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else available_memory()


@lru_cache(maxsize=1)
def cache_bytes() -> int:
    """Size of the processor's largest cache; 32 MiB if the system does not report it."""
    try:
        sizes = [path.read_text(encoding="ascii").strip() for path in _CACHES.glob("index*/size")]
        return max(1024 * int(size.removesuffix("K")) for size in sizes)
    except (OSError, ValueError):
        return 2**25


@lru_cache(maxsize=1)
def _bfloat16_pays() -> bool:
    """Whether a convolution trains faster on this processor under bfloat16 autocast than in float32.

    The measurement is stored, so that all runs on a machine use the same precision.
    """
    capabilities = torch.cpu.get_capabilities()
    if not (capabilities.get("avx512_bf16") or capabilities.get("amx_bf16")):
        return False
    machine = f"{capabilities.get('cpu_name')}, {sum(map(bool, capabilities.values()))}, torch {torch.__version__}"
    path = _MEASUREMENTS.expanduser()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with hold(path.with_suffix(".lock")):  # one worker measures, the others wait and read
            faster = _read_measurements(path)
            if machine not in faster:
                faster[machine] = _is_faster_in_bfloat16()
                write_text(path, json.dumps(faster, indent=2) + "\n")
    except OSError:  # cannot be stored: each process measures again
        faster = _read_measurements(path)
        if machine not in faster:
            faster[machine] = _is_faster_in_bfloat16()
    return faster[machine]


def _read_measurements(path: Path) -> dict[str, bool]:
    """Whether bfloat16 was faster, by machine; empty if the file is missing or damaged."""
    try:
        content = dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}
    return {machine: faster for machine, faster in content.items() if isinstance(faster, bool)}


def _is_faster_in_bfloat16() -> bool:
    """Time both: some processors with bfloat16 instructions need half the time, others twice as much.

    Takes a third of a second. The fastest step of each counts, since other processes can only slow a step down.
    """
    with torch.random.fork_rng(devices=[]):
        layer = nn.Conv2d(64, 64, 3, padding=1)
    image = torch.zeros(16, 64, 48, 48).contiguous(memory_format=torch.channels_last).requires_grad_()
    fastest = {True: float("inf"), False: float("inf")}
    for step in range(1 + _TIMED_STEPS):
        for bfloat16 in fastest:
            start = time.perf_counter()
            with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
                out = layer(image)
            out.float().sum().backward()
            if step:  # the first step is a warm-up
                fastest[bfloat16] = min(fastest[bfloat16], time.perf_counter() - start)
    return fastest[True] < _CLEARLY_FASTER * fastest[False]
