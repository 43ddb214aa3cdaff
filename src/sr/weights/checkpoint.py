"""Save networks, and load them from untrusted files: a config can only build networks that `sr.weights.trust` allows.

A network without training state is a safetensors file with its config in the metadata.
"""

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

import safetensors.torch
from torch import Tensor, nn

from sr.errors import UserError, line_of
from sr.io.atomic import whole_file
from sr.terms import WHOLE_IMAGE, NetworkConfig
from sr.weights.model import MOST_SCALE
from sr.weights.reading.limits import NoLargerTensors, no_larger_than
from sr.weights.reading.stored import CONFIG, PREFIX, Stored, check_values, printable, read_checkpoint, steps_of
from sr.weights.trust import network_class

_OF_SPANDREL = "sr.nets.community.Community"  # derives tables from numbers in its config
_MAX_NUMBER = 1024  # of any other number in a config: layers, channels
DEFAULT_DEGRADATION = {"_target_": "sr.data.degrade.bicubic.Bicubic"}  # not recorded, as before there were others
_MAX_LENGTH = 100  # characters of a string in a config


def network_config(
    model: dict[str, object],
    scale: int,
    protocol: str,
    scales: Sequence[int] | None = None,
    shrink: int | None = None,
    degrade: dict[str, object] | None = None,
) -> NetworkConfig:
    """Describe a network for its checkpoint.

    ``shrink`` is kept at scale 1 only, where it says what was degraded, and ``degrade`` unless it is the default.

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
    if degrade and degrade != DEFAULT_DEGRADATION:
        config["degrade"] = degrade
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
    return rebuilt(path, read_checkpoint(path), scale)


def rebuilt(path: Path, contents: Stored, scale: int | None = None) -> tuple[nn.Module, NetworkConfig]:
    """Rebuild the network from the contents of a file, as `load_network` does."""
    stored = contents.config
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
        if isinstance(stored.get("degrade"), dict):
            config["degrade"] = stored["degrade"]
        if "halo" in stored:
            config["halo"] = stored["halo"]
            config["align"] = stored.get("align", 1)
        if "steps" in stored:
            config["steps"] = steps_of(stored)
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: is not a checkpoint of sr (no {error})") from error
    try:
        net = build_network(config, contents.weights, scale)
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
    is_of_spandrel = config["model"]["_target_"] == _OF_SPANDREL
    with no_larger_than(weights), NoLargerTensors(weights) if is_of_spandrel else nullcontext():
        net = chosen_class(**arguments)
    _check_weights(net, weights)
    net.load_state_dict(weights)
    if not hasattr(net, "halo"):
        for name, value in (("halo", config.get("halo", WHOLE_IMAGE)), ("align", config.get("align", 1))):
            setattr(net, name, value)
    return net.eval()


def save_network(path: Path, net: nn.Module, config: NetworkConfig, metadata: Mapping[str, str] | None = None) -> None:
    """Write a network and the config that builds it as a safetensors file, which `load_network` reads.

    ``metadata`` is added to that of the file.
    """
    tensors = {PREFIX + name: value.contiguous() for name, value in net.state_dict().items()}
    with whole_file(path) as file:
        file.write(safetensors.torch.save(tensors, {**(metadata or {}), CONFIG: json.dumps(config)}))


def _check_config(arguments: Mapping[str, object], config: NetworkConfig) -> None:
    """Refuse values that no network accepts, before building one."""
    trained_scales = config["scales"]  # untrusted, like all values here: they may contradict their types
    if not isinstance(trained_scales, list) or not 0 < len(trained_scales) <= MOST_SCALE:
        raise UserError(f"its config has scales that are not a list of 1 to {MOST_SCALE} integers")
    factors = [("scale", factor) for factor in (*trained_scales, config["scale"], arguments.get("scale", 1))]
    for name, factor in (*factors, ("shrink", config.get("shrink", 1))):
        if type(factor) is not int or not 1 <= factor <= MOST_SCALE:
            raise UserError(
                f"its config has {name} {printable(factor)}, which is not an integer from 1 to {MOST_SCALE}"
            )
    if not isinstance(config["protocol"], str | None) or len(config["protocol"] or "") > _MAX_LENGTH:
        raise UserError(f"its config has protocol {printable(config['protocol'])}, which does not exist")
    for name, least, pixels in (("halo", 0, config.get("halo", 0)), ("align", 1, config.get("align", 1))):
        if type(pixels) is not int or not least <= pixels <= WHOLE_IMAGE:
            raise UserError(
                f"its config has {name} {printable(pixels)}, which is not an integer from {least} to {WHOLE_IMAGE}"
            )
    for name, value in arguments.items():
        items = [*value] if isinstance(value, list) and len(value) <= _MAX_LENGTH else [value]
        if not isinstance(name, str) or not all(map(_is_plain, items)):
            raise UserError(
                f"its config has {printable(name)} = {printable(value)}: options of a network are strings, numbers "
                f"up to {_MAX_NUMBER}, and lists of them"
            )


def _is_plain(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= _MAX_LENGTH
    return value is None or (isinstance(value, int | float) and math.isfinite(value) and abs(value) <= _MAX_NUMBER)


def _check_weights(net: nn.Module, weights: Mapping[str, object]) -> None:
    """Refuse weights that do not fit the network."""
    expected = net.state_dict()
    if missing := sorted(expected.keys() - weights.keys()):
        raise UserError(f"lacks the weights {_listed(missing)}: its config is that of another network")
    if unexpected := sorted(weights.keys() - expected.keys()):
        raise UserError(f"has weights that its network does not have: {_listed(unexpected)}")
    for name, value in weights.items():
        if not isinstance(value, Tensor) or value.shape != expected[name].shape:
            actual = tuple(value.shape) if isinstance(value, Tensor) else printable(value)
            raise UserError(f"its weights {name} are {actual}, not {tuple(expected[name].shape)} as its config says")
        check_values(name, value, expected[name].dtype)


def _listed(names: list[str]) -> str:
    more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
    return f"{printable(names[0])}{more}"
