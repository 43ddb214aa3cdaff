"""Load networks safely: the config in a checkpoint is data and builds nothing but our networks.

A network alone, without the state of its training, is a safetensors file with its config in the metadata.
"""

import importlib
import inspect
import json
import math
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from sr.errors import UserError, line_of, shortened
from sr.io.atomic import whole_file
from sr.terms import NetworkConfig
from sr.weights.archive import read_archive

SAFETENSORS = ".safetensors"

_TARGET = re.compile(r"(sr\.nets\.[a-z0-9_]+)\.([A-Za-z][A-Za-z0-9_]*)")
_CONFIG = "sr"  # its place in a checkpoint and in a safetensors file's metadata
_PREFIX = "net."  # of the network's tensors in a Lightning state dict

MOST_SCALE = 64  # of a network; the file may be untrusted
_MOST = 1024  # of any other number in a config: layers, channels
_SLACK = 4  # allowed parameters per stored weight: weight norm, for one, creates extra ones while building
_LONGEST = 100  # characters of a string in a config
_MOST_HEADER = 2**20  # bytes before the tensors of a safetensors file; ours have a hundredth
_FLOATS = frozenset({torch.float32, torch.float64, torch.float16, torch.bfloat16})


def network_config(
    model: dict[str, object], scale: int, protocol: str, scales: Sequence[int] | None = None
) -> NetworkConfig:
    """Describe a network for its checkpoint.

    Raises:
        UserError: for a scale that `load_network` would refuse.
    """
    for factor in (scale, *(scales or ())):
        if not 1 <= factor <= MOST_SCALE:
            raise UserError(f"scale must be an integer from 1 to {MOST_SCALE}, got {factor}")
    return {"model": model, "scale": scale, "protocol": protocol, "scales": list(scales or [scale])}


def load_network(path: Path, scale: int | None = None) -> tuple[nn.Module, NetworkConfig]:
    """Rebuild the network of a checkpoint, in evaluation mode on the CPU.

    Args:
        path: the checkpoint.
        scale: which scale to use if the network was trained for several; defaults to its only one.

    Returns:
        The network, and the config it was built from.

    Raises:
        UserError: if the file is missing, damaged or not a checkpoint of sr, names anything but a network of
            `sr.nets`, has weights that do not fit it, or was not trained for the scale.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such checkpoint")
    read = _read_safetensors if path.suffix == SAFETENSORS else read_archive
    try:
        checkpoint = read(path)
    except Exception as error:  # a foreign, damaged or hostile file fails in many ways
        raise UserError(f"{path}: cannot be read as a checkpoint, nothing in it was run ({line_of(error)})") from error
    if not isinstance(checkpoint, dict):
        raise UserError(f"{path}: is not a checkpoint of sr")
    try:
        stored, state = checkpoint[_CONFIG], checkpoint["state_dict"]
        if not isinstance(stored, dict) or not isinstance(state, dict):
            raise TypeError("config and weights by name")
        target, arguments = stored["model"]["_target_"], dict(stored["model"])
        weights = {name.removeprefix(_PREFIX): value for name, value in state.items() if name.startswith(_PREFIX)}
        del arguments["_target_"]
        config = NetworkConfig(
            model=stored["model"],
            scale=stored.get("scale", 1),
            scales=stored.get("scales") or [stored.get("scale", 1)],
            protocol=stored.get("protocol"),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: is not a checkpoint of sr (no {error})") from error
    try:
        _check_config(arguments, config)
        trained = config["scales"]
        if scale is None and len(trained) == 1:
            scale = trained[0]
        if scale is not None:
            if scale not in trained:
                known = " or ".join(map(str, trained))
                raise UserError(f"is a network for scale {known}, not {scale}: --scale {trained[0]}")
            arguments["scale"] = scale  # a network for several has no parameters that depend on it
        kind = _network_class(target)
        with _no_larger_than(weights):
            net = kind(**arguments)
        _check_weights(net, weights)
        net.load_state_dict(weights)
    except (TypeError, ValueError, RuntimeError, MemoryError) as error:
        raise UserError(f"{path}: {line_of(error)}") from error
    config["scale"] = scale or config["scale"]
    return net.eval(), config


def save_network(path: Path, net: nn.Module, config: NetworkConfig) -> None:
    """Write a network and the config that builds it as a safetensors file, which `load_network` reads."""
    tensors = {_PREFIX + name: value.contiguous() for name, value in net.state_dict().items()}
    with whole_file(path) as file:
        file.write(safetensors.torch.save(tensors, {_CONFIG: json.dumps(config)}))


def _read_safetensors(path: Path) -> dict[str, Any]:
    with path.open("rb") as start:
        if int.from_bytes(start.read(8), "little") > _MOST_HEADER:
            raise ValueError("its header is too long")
    with safetensors.safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    config = {_CONFIG: json.loads(metadata[_CONFIG])} if _CONFIG in metadata else {}
    return {**config, "state_dict": state}


def _check_config(arguments: Mapping[str, object], config: NetworkConfig) -> None:
    """Refuse values that no network of `sr.nets` takes, before one is built."""
    trained = config["scales"]  # of an untrusted file, as are all these values
    if not isinstance(trained, list) or not 0 < len(trained) <= MOST_SCALE:
        raise UserError(f"its config has scales that are not a list of 1 to {MOST_SCALE} integers")
    for factor in (*trained, config["scale"], arguments.get("scale", 1)):
        if type(factor) is not int or not 1 <= factor <= MOST_SCALE:
            raise UserError(
                f"its config has scale {_printable(factor)}, which is not an integer from 1 to {MOST_SCALE}"
            )
    if not isinstance(config["protocol"], str | None) or len(config["protocol"] or "") > _LONGEST:
        raise UserError(f"its config has protocol {_printable(config['protocol'])}, which does not exist")
    for name, value in arguments.items():
        items = [*value] if isinstance(value, list) and len(value) <= _LONGEST else [value]
        if not isinstance(name, str) or not all(map(_is_plain, items)):
            raise UserError(f"its config has {_printable(name)} = {_printable(value)}, which no network accepts")


def _is_plain(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= _LONGEST
    return value is None or (isinstance(value, int | float) and math.isfinite(value) and abs(value) <= _MOST)


def _printable(value: object) -> str:
    """Format an untrusted value, or only its type where its text could be endless."""
    is_short = isinstance(value, str | int | float) or value is None
    return shortened(repr(value)) if is_short else f"a {type(value).__name__}"


@contextmanager
def _no_larger_than(weights: Mapping[str, object]) -> Iterator[None]:
    """Refuse a network with far more parameters than a file has weights, at the first one too many.

    Building it without values, on the device ``meta``, would detect the same, but makes torch import its compiler.
    """
    tensors = [value for value in weights.values() if isinstance(value, Tensor)]
    stored = {value.untyped_storage().data_ptr(): value.numel() for value in tensors}
    left = [_SLACK * len(weights), _SLACK * sum(stored.values())]
    thread = threading.get_ident()

    def count(module: nn.Module, name: str, value: nn.Parameter | None) -> None:
        if value is None or threading.get_ident() != thread:
            return
        left[:] = left[0] - 1, left[1] - value.numel()
        if min(left) < 0:
            raise UserError("its config describes a larger network than its weights are for")

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()


def _check_weights(expected: nn.Module, weights: Mapping[str, object]) -> None:
    """Refuse weights that do not fit the network."""
    wanted = expected.state_dict()
    if missing := sorted(wanted.keys() - weights.keys()):
        raise UserError(f"lacks the weights {_listed(missing)}: its config is another network's")
    if left := sorted(weights.keys() - wanted.keys()):
        raise UserError(f"has weights that its network lacks: {_listed(left)}")
    for name, value in weights.items():
        if not isinstance(value, Tensor) or value.shape != wanted[name].shape:
            actual = tuple(value.shape) if isinstance(value, Tensor) else _printable(value)
            raise UserError(f"its weights {name} are {actual}, not {tuple(wanted[name].shape)} as its config says")
        if value.untyped_storage().nbytes() != value.numel() * value.element_size():
            raise UserError(f"its weights {name} are a view of a larger storage")
        if value.dtype not in _FLOATS and value.dtype != wanted[name].dtype:
            raise UserError(f"its weights {name} are of {value.dtype}, not of {wanted[name].dtype}")
        if not value.isfinite().all():
            raise UserError(f"its weights {name} are not finite: the training diverged, or the file is damaged")


def _listed(names: list[str]) -> str:
    more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
    return f"{_printable(names[0])}{more}"


def _network_class(target: object) -> type[nn.Module]:
    """Find the class by name; it must be defined in a module of sr.nets."""
    parts = _TARGET.fullmatch(target) if isinstance(target, str) and len(target) <= _LONGEST else None
    if parts is None:
        raise UserError(f"its config names {_printable(target)}, which is not a network of sr.nets: refused")
    module_name, name = parts.groups()
    try:
        network_class = getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError) as error:
        raise UserError(f"its config names {target!r}, which this version of sr does not have") from error
    ours = (
        inspect.isclass(network_class)
        and issubclass(network_class, nn.Module)
        and network_class.__module__ == module_name
    )
    if not ours or "scale" not in inspect.signature(network_class).parameters:
        raise UserError(f"its config names {target!r}, which is not a network of sr.nets: refused")
    return network_class  # type: ignore[no-any-return]
