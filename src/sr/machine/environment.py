"""Versions of the packages, the machine, and the git commit that a run used."""

import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

_PACKAGES = ("sr", "torch", "lightning", "torchmetrics", "hydra-core", "numpy", "pillow")


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
