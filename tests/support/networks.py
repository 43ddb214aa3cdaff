"""Networks for tests."""

import torch
from torch import nn

from sr.nets.espcn import ESPCN


def sharp_network(seed: int = 0) -> ESPCN:
    """A network that changes its input visibly, for scale 2."""
    torch.manual_seed(seed)
    net = ESPCN(scale=2).eval()
    torch.nn.init.normal_(net.tail.weight, std=0.1)
    return net


def randomise_output(net: nn.Module, std: float) -> None:
    """Make the zero weights of the last layer nonzero, as the first training step does."""
    layers = [module for module in net.modules() if isinstance(module, nn.Conv2d | nn.ConvTranspose2d)]
    nn.init.normal_(layers[-1].weight, std=std)
