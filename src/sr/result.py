"""result.json: what a run was, what it reached, and what it takes to repeat it."""

import json
import platform
import resource
import shlex
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from sr.errors import UserError
from sr.files import write_text

NAME = "result.json"
_PACKAGES = ("sr", "torch", "lightning", "torchmetrics", "hydra-core", "numpy", "pillow")

# Multiply-adds are counted on an input of one side and stated for an output of the other: they grow with the area.
_COUNTED_SIDE, _OUTPUT_SIDE = 64, 256

# Settings that change where or how fast a run goes, not what it computes.
_NOT_COMPARED = ("run_dir", "retrain", "test", "logger")


def write_result(folder: Path, result: Mapping[str, Any]) -> None:
    """Write ``result.json`` whole; values that JSON lacks (nan, infinity) become null."""
    write_text(folder / NAME, json.dumps(_finite(dict(result)), indent=2) + "\n")


def read_result(folder: Path) -> dict[str, Any] | None:
    """Read ``result.json``, or None if there is none.

    Raises:
        UserError: if it is damaged.
    """
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path}: is damaged ({error}): delete it, the run goes on from its checkpoint") from error
    return result


def same_run(result: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
    """Whether a result was made under this config, apart from what does not change it."""
    mine, theirs = ({k: v for k, v in one.items() if k not in _NOT_COMPARED} for one in (config, result["config"]))
    return mine == theirs


def summarise(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Mean and standard deviation over images of each score in the rows of an image table.

    >>> summarise([{"name": "a", "psnr": 30.0}, {"name": "b", "psnr": 32.0}])
    {'psnr': {'mean': 31.0, 'sd': 1.4142135623730951}}
    """
    scores = [name for name, value in rows[0].items() if isinstance(value, float)] if rows else []
    columns = {name: [row[name] for row in rows] for name in scores}
    return {
        name: {"mean": statistics.fmean(column), "sd": statistics.stdev(column) if len(column) > 1 else 0.0}
        for name, column in columns.items()
    }


def count_parameters(net: nn.Module) -> int:
    """Trainable parameters."""
    return sum(parameter.numel() for parameter in net.parameters() if parameter.requires_grad)


def multiply_adds(net: nn.Module, scale: int) -> int:
    """Multiply-adds of one forward pass that makes a 256x256 image, counted on a small one."""
    lr = torch.zeros(1, 3, _COUNTED_SIDE, _COUNTED_SIDE)
    training = net.training
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net.eval()(lr)
    net.train(training)
    flops: int = counter.get_total_flops()
    return round(flops / 2 * (_OUTPUT_SIDE / (_COUNTED_SIDE * scale)) ** 2)


def peak_memory_bytes(device: torch.device) -> int:
    """Most memory held so far: by torch on a CUDA device, else by the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts in KiB


def environment() -> dict[str, Any]:
    """Versions, machine and git commit."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:  # run from a source tree
            versions[package] = "unknown"
    machine = {"processor": torch.cpu.get_capabilities().get("cpu_name", ""), "threads": torch.get_num_threads()}
    if torch.cuda.is_available():
        machine["gpu"] = torch.cuda.get_device_name()
    return {"versions": versions, "machine": machine, "git_commit": _git_commit()}


def command(overrides: Sequence[str], changes: Mapping[str, Any]) -> str:
    """The command line that repeats a run: its overrides, and options that replace some of them."""
    kept = [override for override in overrides if override.partition("=")[0] not in changes]
    return shlex.join(["python", "-m", "sr.train", *kept, *(f"{name}={value}" for name, value in changes.items())])


def _git_commit() -> str | None:
    """Commit of the source tree, ``-dirty`` behind it if files differ; None for an installed package."""
    here = Path(__file__).parent
    try:
        tracked = subprocess.run(
            ["git", "-C", str(here), "ls-files", "--error-unmatch", __file__], capture_output=True, check=False
        )
        if tracked.returncode:
            return None
        described = subprocess.run(
            ["git", "-C", str(here), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return described.stdout.strip()


def _finite(value: Any) -> Any:
    if isinstance(value, float) and (value != value or abs(value) == float("inf")):
        return None
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, list | tuple) else value
