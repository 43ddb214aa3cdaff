"""Save networks, and load them from untrusted files: a config can only build networks that `sr.weights.trust` allows.

A network without training state is a safetensors file with its config in the metadata.
"""

import json
import math
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
from sr.weights.trust import network_class

SAFETENSORS = ".safetensors"

_CONFIG = "sr"  # key of the config in a checkpoint, and in the metadata of a safetensors file
_PREFIX = "net."  # of the network's tensors in a Lightning state dict

MOST_SCALE = 64  # of a network; the file may be untrusted
_MAX_NUMBER = 1024  # of any other number in a config: layers, channels
WHOLE_IMAGE = 4096  # halo of a network whose output depends on the whole image
_SLACK = 4  # allowed parameters per stored weight: weight norm, for one, creates extra ones while building
_MAX_STEPS = 2**53
_MAX_LENGTH = 100  # characters of a string in a config
_MAX_HEADER = 2**20  # bytes before the tensors of a safetensors file; those of sr have a hundredth of it
_FLOATS = frozenset({torch.float32, torch.float64, torch.float16, torch.bfloat16})


def network_config(
    model: dict[str, object],
    scale: int,
    protocol: str,
    scales: Sequence[int] | None = None,
    shrink: int | None = None,
) -> NetworkConfig:
    """Describe a network for its checkpoint; ``shrink`` is kept at scale 1 only, where it says what was degraded.

    Raises:
        UserError: for a scale that `load_network` would refuse.
    """
    for factor in (scale, *(scales or ())):
        if not 1 <= factor <= MOST_SCALE:
            raise UserError(f"scale must be an integer from 1 to {MOST_SCALE}, got {factor}")
    config: NetworkConfig = {"model": model, "scale": scale, "protocol": protocol, "scales": list(scales or [scale])}
    if shrink is not None and config["scales"] == [1]:
        if not 1 <= shrink <= MOST_SCALE:
            raise UserError(f"data.shrink must be an integer from 1 to {MOST_SCALE}, got {shrink}")
        config["shrink"] = shrink
    return config


def load_network(path: Path, scale: int | None = None) -> tuple[nn.Module, NetworkConfig]:
    """Rebuild the network of a checkpoint, in evaluation mode on the CPU.

    Args:
        path: the checkpoint.
        scale: which scale to use; needed only if the network was trained for several.

    Returns:
        The network, and the config it was built from.

    Raises:
        UserError: if the file is missing, damaged or not a checkpoint of sr, if its config names anything but a
            network that is trusted, or if its weights do not fit the network or the scale.
    """
    stored, weights = read_checkpoint(path)
    try:
        if stored is None:
            raise TypeError("config")
        config = NetworkConfig(
            model={"_target_": stored["model"]["_target_"], **stored["model"]},
            scale=stored.get("scale", 1),
            scales=stored.get("scales") or [stored.get("scale", 1)],
            protocol=stored.get("protocol"),
        )
        if "shrink" in stored:
            config["shrink"] = stored["shrink"]
        if "halo" in stored:
            config["halo"] = stored["halo"]
            config["align"] = stored.get("align", 1)
        if "steps" in stored:
            config["steps"] = steps_of(stored)
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: is not a checkpoint of sr (no {error})") from error
    try:
        net = build_network(config, weights, scale)
    except (TypeError, ValueError, RuntimeError, MemoryError) as error:
        raise UserError(f"{path}: {line_of(error)}") from error
    return net, config


def build_network(config: NetworkConfig, weights: Mapping[str, object], scale: int | None = None) -> nn.Module:
    """Build the network that an untrusted config describes, in evaluation mode, and give it its weights.

    Args:
        config: gets the scale that was chosen.
        weights: by the names of the network's parameters and buffers.
        scale: which scale to use; needed only if the network was trained for several.

    Raises:
        UserError: if the config names no network that is trusted, or the weights do not fit it.
        TypeError: if the config does not fit the class; further errors are those of the class.
    """
    arguments = {name: value for name, value in config["model"].items() if name != "_target_"}
    _check_config(arguments, config)
    trained_scales = config["scales"]
    if scale is None and len(trained_scales) == 1:
        scale = trained_scales[0]
    if scale is not None:
        if scale not in trained_scales:
            choices = " or ".join(map(str, trained_scales))
            raise UserError(f"is a network for scale {choices}, not {scale}: --scale {trained_scales[0]}")
        arguments["scale"] = scale  # does not affect the parameters of a network for several scales
        config["scale"] = scale
    chosen_class = network_class(config["model"]["_target_"])
    with _no_larger_than(weights):
        net = chosen_class(**arguments)
    _check_weights(net, weights)
    net.load_state_dict(weights)
    if not hasattr(net, "halo"):
        for name, value in (("halo", config.get("halo", WHOLE_IMAGE)), ("align", config.get("align", 1))):
            setattr(net, name, value)
    return net.eval()


def read_checkpoint(path: Path) -> tuple[dict[str, Any] | None, dict[str, object]]:
    """Read a checkpoint or a safetensors file without running anything from it; its values are not checked yet.

    Returns:
        The config of its network with the steps behind its weights, None if it has none; and its weights by the names
        of the network's parameters and buffers.

    Raises:
        UserError: if the file is missing or damaged, or holds no named weights.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such checkpoint")
    read_file = _read_safetensors if path.suffix == SAFETENSORS else read_archive
    try:
        checkpoint = read_file(path)
    except Exception as error:  # a foreign, damaged or hostile file fails in many ways
        raise UserError(f"{path}: cannot be read as a checkpoint; no code in it was run ({line_of(error)})") from error
    state = checkpoint.get("state_dict") if isinstance(checkpoint, dict) else None
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise UserError(f"{path}: is not a checkpoint of sr (no named weights)")
    config = checkpoint.get(_CONFIG)
    if not isinstance(config, dict):
        config = None
    elif "steps" not in config and "global_step" in checkpoint:
        config = {**config, "steps": checkpoint["global_step"]}  # of an earlier version
    is_bare = config is None and not any(name.startswith(_PREFIX) for name in state)
    prefix = "" if is_bare else _PREFIX  # a bare state dict has the names of the network itself
    return config, {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def steps_of(config: Mapping[str, object] | None) -> int | None:
    """The steps behind the weights of a config from `read_checkpoint`; None if they are not known."""
    steps = (config or {}).get("steps")
    return steps if type(steps) is int and 0 <= steps <= _MAX_STEPS else None


def save_network(path: Path, net: nn.Module, config: NetworkConfig) -> None:
    """Write a network and the config that builds it as a safetensors file, which `load_network` reads."""
    tensors = {_PREFIX + name: value.contiguous() for name, value in net.state_dict().items()}
    with whole_file(path) as file:
        file.write(safetensors.torch.save(tensors, {_CONFIG: json.dumps(config)}))


def _read_safetensors(path: Path) -> dict[str, Any]:
    with path.open("rb") as header:
        if int.from_bytes(header.read(8), "little") > _MAX_HEADER:
            raise ValueError("its header is too long")
    with safetensors.safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    config = {_CONFIG: json.loads(metadata[_CONFIG])} if _CONFIG in metadata else {}
    return {**config, "state_dict": state}


def _check_config(arguments: Mapping[str, object], config: NetworkConfig) -> None:
    """Refuse values that no network accepts, before building one."""
    trained_scales = config["scales"]  # untrusted, like all values here: they may contradict their types
    if not isinstance(trained_scales, list) or not 0 < len(trained_scales) <= MOST_SCALE:
        raise UserError(f"its config has scales that are not a list of 1 to {MOST_SCALE} integers")
    factors = [("scale", factor) for factor in (*trained_scales, config["scale"], arguments.get("scale", 1))]
    for name, factor in (*factors, ("shrink", config.get("shrink", 1))):
        if type(factor) is not int or not 1 <= factor <= MOST_SCALE:
            raise UserError(
                f"its config has {name} {_printable(factor)}, which is not an integer from 1 to {MOST_SCALE}"
            )
    if not isinstance(config["protocol"], str | None) or len(config["protocol"] or "") > _MAX_LENGTH:
        raise UserError(f"its config has protocol {_printable(config['protocol'])}, which does not exist")
    for name, least, pixels in (("halo", 0, config.get("halo", 0)), ("align", 1, config.get("align", 1))):
        if type(pixels) is not int or not least <= pixels <= WHOLE_IMAGE:
            raise UserError(
                f"its config has {name} {_printable(pixels)}, which is not an integer from {least} to {WHOLE_IMAGE}"
            )
    for name, value in arguments.items():
        items = [*value] if isinstance(value, list) and len(value) <= _MAX_LENGTH else [value]
        if not isinstance(name, str) or not all(map(_is_plain, items)):
            raise UserError(
                f"its config has {_printable(name)} = {_printable(value)}: options of a network are strings, numbers "
                f"up to {_MAX_NUMBER}, and lists of them"
            )


def _is_plain(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= _MAX_LENGTH
    return value is None or (isinstance(value, int | float) and math.isfinite(value) and abs(value) <= _MAX_NUMBER)


def _printable(value: object) -> str:
    """Format an untrusted value, or only its type if its text could be very long."""
    is_short = isinstance(value, str | int | float) or value is None
    return shortened(repr(value)) if is_short else f"a {type(value).__name__}"


@contextmanager
def _no_larger_than(weights: Mapping[str, object]) -> Iterator[None]:
    """Stop building a network once it has far more parameters than the file has weights.

    Building it on the device ``meta`` would detect the same, but makes torch import its compiler.
    """
    tensors = [value for value in weights.values() if isinstance(value, Tensor)]
    stored = {value.untyped_storage().data_ptr(): value.numel() for value in tensors}
    remaining = [_SLACK * len(weights), _SLACK * sum(stored.values())]
    thread = threading.get_ident()

    def count(module: nn.Module, name: str, value: nn.Parameter | None) -> None:
        if value is None or threading.get_ident() != thread:
            return
        remaining[:] = remaining[0] - 1, remaining[1] - value.numel()
        if min(remaining) < 0:
            raise UserError("its config describes a larger network than its weights are for")

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()


def _check_weights(net: nn.Module, weights: Mapping[str, object]) -> None:
    """Refuse weights that do not fit the network."""
    expected = net.state_dict()
    if missing := sorted(expected.keys() - weights.keys()):
        raise UserError(f"lacks the weights {_listed(missing)}: its config is that of another network")
    if unexpected := sorted(weights.keys() - expected.keys()):
        raise UserError(f"has weights that its network does not have: {_listed(unexpected)}")
    for name, value in weights.items():
        if not isinstance(value, Tensor) or value.shape != expected[name].shape:
            actual = tuple(value.shape) if isinstance(value, Tensor) else _printable(value)
            raise UserError(f"its weights {name} are {actual}, not {tuple(expected[name].shape)} as its config says")
        check_values(name, value, expected[name].dtype)


def check_values(name: str, value: Tensor, dtype: torch.dtype) -> None:
    """Refuse a tensor of a file whose values cannot become weights of a type; its shape is not looked at."""
    if value.untyped_storage().nbytes() != value.numel() * value.element_size():
        raise UserError(f"its weights {name} are a view of a larger storage")
    if value.dtype not in _FLOATS and value.dtype != dtype:
        raise UserError(f"its weights {name} are of {value.dtype}, not of {dtype}")
    if not value.isfinite().all():
        raise UserError(f"its weights {name} are not finite: training diverged, or the file is damaged")


def _listed(names: list[str]) -> str:
    more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
    return f"{_printable(names[0])}{more}"
