"""Start a network from the weights of another one: copy what fits, and freeze parameters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import torch
from torch import Tensor, nn

from sr.errors import UserError, shortened
from sr.weights import zoo
from sr.weights.community import architecture_of
from sr.weights.edsr_layouts import NOTE, as_ours, fits_edsr, is_edsr
from sr.weights.folding import refuse_other_form
from sr.weights.reading.stored import PREFIX, Stored, check_values, read_checkpoint, steps_of


@dataclass(frozen=True)
class Copied:
    """What a network took from a file of weights.

    Attributes:
        loaded: names of the tensors that were copied.
        fresh: names of the tensors that were not, each with the reason.
        unused: names of the tensors of the file that the network does not have.
        steps: optimizer steps behind the weights; None if unknown.
        note: how the weights were converted; empty if they were not.
    """

    loaded: list[str]
    fresh: dict[str, str]
    unused: list[str]
    steps: int | None
    note: str = ""


def copy_weights(net: nn.Module, path: Path) -> Copied:
    """Copy the tensors of a file whose names and shapes a network has; nothing in the file is run.

    Args:
        net: changed in place; its other tensors stay as they are.
        path: a checkpoint or a safetensors file, of this or another network.

    Raises:
        UserError: if the file cannot be read, a tensor of it cannot be used, or none fits.
    """
    stored = read_checkpoint(path)
    own = net.state_dict()
    try:
        weights, note = _ours(stored, own)
        refuse_other_form(net, weights)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    fresh: dict[str, str] = {}
    fitting: dict[str, Tensor] = {}
    for name, tensor in own.items():
        value = weights.get(name)
        if not isinstance(value, Tensor):
            fresh[name] = "not in the file"
        elif value.shape != tensor.shape:
            fresh[name] = f"{_shape(tensor)}, there {_shape(value)}"
        else:
            try:
                check_values(name, value, tensor.dtype)
            except UserError as error:
                raise UserError(f"{path}: {error}") from error
            fitting[name] = value
    unused = [
        name if name.isprintable() else repr(name) for name in map(shortened, sorted(weights.keys() - own.keys()))
    ]
    if not fitting:
        name, reason = next(iter(fresh.items()))
        raise UserError(f"{path}: none of its weights fits this network, such as {name} ({reason})")
    with torch.no_grad():
        for name, value in fitting.items():
            own[name].copy_(value)  # shares its memory with the network
    shipped_steps = [entry.about["steps"] for entry in zoo.entries() if entry.weights == path]
    return Copied(list(fitting), fresh, unused, shipped_steps[0] if shipped_steps else steps_of(stored.config), note)


def _ours(stored: Stored, own: Mapping[str, Tensor]) -> tuple[Mapping[str, object], str]:
    """The weights of a file by our names, and how they were converted.

    Raises:
        UserError: if they are those of an architecture that this network is not.
    """
    weights = stored.weights
    if stored.config is not None or weights.keys() <= own.keys():
        return weights, ""
    for prefix in ("model.", PREFIX):  # of model=community before names of spandrel; of a network that has a part "net"
        prefixed = {f"{prefix}{name}": value for name, value in weights.items()}
        if prefixed.keys() <= own.keys():
            return prefixed, ""
    of_module = {name.removeprefix(PREFIX): value for name, value in weights.items() if name.startswith(PREFIX)}
    if own.keys() <= of_module.keys():  # the bare state dict of a training, with more than the network in it
        return of_module, ""
    if is_edsr(weights):
        converted = as_ours(weights)
        if converted is None:
            raise UserError(
                "is an EDSR that cannot be converted: only those of 64 channels for RGB say all that is needed"
            )
        if not fits_edsr(own):
            raise UserError("is an EDSR of another program: it takes model=edsr")
        return converted, NOTE
    if architecture := architecture_of(weights):
        raise UserError(
            f"is a model of {architecture} by other names than those of this network: it can be used, but not trained "
            "further by it (model=community has the same names; Compact goes into model=compact, EDSR into model=edsr)"
        )
    return weights, ""


def freeze(net: nn.Module, patterns: str | Sequence[str]) -> list[str]:
    """Keep parameters fixed.

    Args:
        net: its parameters are marked in place.
        patterns: shell patterns for names of parameters, such as ``body.*``; a string separates them by commas.

    Returns:
        The names of the parameters, in their order.

    Raises:
        UserError: if a pattern matches no parameter, or nothing is left to train.
    """
    parameters = dict(net.named_parameters())
    frozen: set[str] = set()
    for pattern in patterns.split(",") if isinstance(patterns, str) else patterns:
        matching = [name for name in parameters if fnmatchcase(name, pattern.strip())]
        if not matching:
            parts = list(dict.fromkeys(name.partition(".")[0] for name in parameters))
            raise UserError(
                f"init_freeze: no parameter is called {pattern.strip()!r}: this network has {', '.join(parts)}; "
                f"all of one are '{parts[0]}*', the first is {next(iter(parameters))}"
            )
        frozen.update(matching)
    if len(frozen) == len(parameters):
        raise UserError("init_freeze: freezes every parameter: nothing is left to train")
    for name in frozen:
        parameters[name].requires_grad_(False)
    return [name for name in parameters if name in frozen]


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a number"
