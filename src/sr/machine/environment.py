"""Versions of the packages, the machine, and the git commit that a run used."""

import platform
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import torch

from sr.version import __version__

_PACKAGES = ("torch", "lightning", "torchmetrics", "hydra-core", "numpy", "pillow")


@dataclass(frozen=True)
class Environment:
    """Software and hardware of a run.

    Attributes:
        versions: of Python, and of the packages that affect scores.
        machine: ``processor``, ``threads``, and ``gpu`` if available.
        git_commit: of the source tree, with ``-dirty`` if files were changed; None for an installed package.
    """

    versions: dict[str, str]
    machine: dict[str, str | int]
    git_commit: str | None


def environment(device: torch.device | None = None) -> Environment:
    """The versions, the machine and the commit of this process; of several GPUs the one of ``device``, or the first."""
    versions = {"python": platform.python_version(), "sr": __version__}
    versions |= {package: metadata.version(package) for package in _PACKAGES}
    processor = str(torch.cpu.get_capabilities().get("cpu_name", ""))
    machine: dict[str, str | int] = {"processor": processor, "threads": torch.get_num_threads()}
    if torch.cuda.is_available():
        machine["gpu"] = torch.cuda.get_device_name(device if device and device.type == "cuda" else None)
    return Environment(versions, machine, _git_commit())


def _git_commit() -> str | None:
    """Commit of the source tree, with ``-dirty`` if files were changed; None for an installed package."""
    folder = str(Path(__file__).parent)
    try:
        ls_files = subprocess.run(
            ["git", "-C", folder, "ls-files", "--error-unmatch", __file__], capture_output=True, check=False
        )
        if ls_files.returncode:
            return None
        describe = subprocess.run(
            ["git", "-C", folder, "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return describe.stdout.strip()
