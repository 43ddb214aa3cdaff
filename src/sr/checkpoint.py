"""Load networks safely: the config in a checkpoint is data and builds nothing but our networks.

A network alone, without the state of its training, is a safetensors file with its config in the metadata.
"""

import importlib
import inspect
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import nn

from sr.errors import UserError
from sr.writing import whole_file

SAFETENSORS = ".safetensors"

_TARGETS = "sr.nets."
_CONFIG = "sr"  # its place in a checkpoint and in a safetensors file's metadata
_PREFIX = "net."  # of the network's tensors in a Lightning state dict


def network_config(
    model: dict[str, Any], scale: int, protocol: str, scales: Sequence[int] | None = None
) -> dict[str, Any]:
    """What a checkpoint has to carry: the network's target and arguments, all plain values."""
    return {"model": model, "scale": scale, "protocol": protocol, "scales": list(scales or [scale])}


def load_network(path: Path, scale: int | None = None) -> tuple[nn.Module, dict[str, Any]]:
    """Rebuild the network of a checkpoint, in evaluation mode on the CPU.

    Args:
        path: the checkpoint.
        scale: for a network that was trained for several, the one it is to enlarge by; the only one by default.

    Returns:
        The network, and the config it was built from: ``model``, ``scale``, ``scales``, ``protocol``.

    Raises:
        UserError: if the file is missing, damaged, foreign, names anything but a network of ours, or does not fit it,
            and for a scale that it was not trained for.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such checkpoint")
    read = _read_safetensors if path.suffix == SAFETENSORS else _read_torch
    try:
        checkpoint = read(path)
    except Exception as error:  # a foreign, damaged or hostile file fails in many ways
        raise UserError(f"{path}: cannot be read as a checkpoint, nothing in it was run") from error
    if not isinstance(checkpoint, dict):
        raise UserError(f"{path}: is not a checkpoint of sr")
    try:
        config, state = checkpoint[_CONFIG], checkpoint["state_dict"]
        target, arguments = config["model"]["_target_"], dict(config["model"])
        weights = {name.removeprefix(_PREFIX): value for name, value in state.items() if name.startswith(_PREFIX)}
        del arguments["_target_"]
        trained = config.get("scales") or [config.get("scale", 1)]
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: is not a checkpoint of sr (no {error})") from error
    if scale is None and len(trained) == 1:
        scale = trained[0]
    if scale is not None:
        if scale not in trained:
            known = " or ".join(map(str, trained))
            raise UserError(f"{path}: is a network for scale {known}, not {scale}: --scale {trained[0]}")
        arguments["scale"] = scale  # a network for several has no parameters that depend on it
    try:
        net = _network_class(target)(**arguments)
        net.load_state_dict(weights)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{path}: {str(error).splitlines()[0]}") from error
    return net.eval(), {**config, "scale": scale or config.get("scale", 1), "scales": trained}


def save_network(path: Path, net: nn.Module, config: dict[str, Any]) -> None:
    """Write a network and the config that builds it as a safetensors file, which `load_network` reads."""
    tensors = {_PREFIX + name: value.contiguous() for name, value in net.state_dict().items()}
    with whole_file(path) as file:
        file.write(safetensors.torch.save(tensors, {_CONFIG: json.dumps(config)}))


def _read_torch(path: Path) -> Any:
    return torch.load(path, map_location="cpu", weights_only=True)


def _read_safetensors(path: Path) -> dict[str, Any]:
    with safetensors.safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dict
    config = {_CONFIG: json.loads(metadata[_CONFIG])} if _CONFIG in metadata else {}
    return {**config, "state_dict": state}


def _network_class(target: object) -> type[nn.Module]:
    """Find the class by name; only one that is defined in a module of sr.nets will do."""
    if not isinstance(target, str) or not target.startswith(_TARGETS):
        raise UserError(f"its config names {target!r}, which is not a network of sr.nets: refused")
    module_name, _, name = target.rpartition(".")
    try:
        found = getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError) as error:
        raise UserError(f"its config names {target!r}, which this version of sr does not have") from error
    if not (inspect.isclass(found) and issubclass(found, nn.Module) and found.__module__ == module_name):
        raise UserError(f"its config names {target!r}, which is not a network of sr.nets: refused")
    return found
