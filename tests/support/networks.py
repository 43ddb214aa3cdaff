"""Networks for tests."""

import torch

from sr.nets.espcn import ESPCN


def sharp_network(seed: int = 0) -> ESPCN:
    """A network that changes its input visibly, for scale 2."""
    torch.manual_seed(seed)
    net = ESPCN(scale=2).eval()
    torch.nn.init.normal_(net.tail.weight, std=0.1)
    return net
