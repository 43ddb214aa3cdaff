"""Networks that are trained in one form and used in another: factors of a convolution fold into the convolution."""

from collections.abc import Collection

import torch
from torch import nn

from sr.errors import UserError
from sr.terms import NetworkConfig, image_channels

OPTION = "folded"  # of the constructor; the method of the same name returns what it builds

_SIDE = 16  # pixels of the image on which both forms are compared
_TOLERANCE = 1e-2  # of the largest output: rounding, which a network that diverged in training amplifies


def form_in_use(net: nn.Module) -> nn.Module:
    """What the network's method ``folded`` returns, with the halo of the network; itself if it has no such method."""
    fold = getattr(net, OPTION, None)
    if not callable(fold):
        return net
    plain: nn.Module = fold()
    for name in ("halo", "align"):  # measured ones, of a class that states none
        if hasattr(net, name) and not hasattr(plain, name):
            setattr(plain, name, getattr(net, name))
    return plain


def folded(net: nn.Module, config: NetworkConfig, tolerance: float = _TOLERANCE) -> tuple[nn.Module, NetworkConfig]:
    """The form in which a network is used and shipped, and the config that builds it, with ``folded=True``.

    Raises:
        UserError: if its output differs by more than ``tolerance`` of the largest.
    """
    if config["model"].get(OPTION) or (plain := form_in_use(net)) is net:
        return net, config
    difference = _difference(net, plain)
    if not difference <= tolerance:
        raise UserError(
            f"{type(net).__name__}.{OPTION}() returns a network whose output differs by {difference:.2g} of its largest"
        )
    return plain, {**config, "model": {**config["model"], OPTION: True}}


def refuse_other_form(net: nn.Module, names: Collection[str]) -> None:
    """Refuse weights, by their names, of the other form of a network than its own, of as many blocks or not.

    Raises:
        UserError: with the way from one to the other.
    """
    own, plain, given = set(net.state_dict()), set(form_in_use(net).state_dict()), set(names)
    if (plain - own) & given and not (own - plain) & given:
        raise UserError(f"holds the network in its folded form: model.{OPTION}=true trains that further")
    lacking = tuple(f"{name.removesuffix('.weight')}." for name in own - given if name.endswith(".weight"))
    if own == plain and hasattr(net, OPTION) and any(name.startswith(lacking) for name in given - own):
        raise UserError(
            f"holds the network before it is folded, and model.{OPTION}=true trains it afterwards: "
            "sr export writes it folded, as in sr export RUN -o NET.safetensors"
        )


@torch.no_grad()
def _difference(net: nn.Module, plain: nn.Module) -> float:
    lr = torch.rand(1, image_channels(net), _SIDE, _SIDE, generator=torch.Generator().manual_seed(0))
    expected = net(lr)
    return float((plain(lr) - expected).abs().max() / expected.abs().max())
