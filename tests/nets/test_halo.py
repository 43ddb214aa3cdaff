"""The halo that a network states is how far it looks, to the pixel."""

from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from torch import nn

from sr.nets.compact import Compact
from sr.nets.fsrcnn import FSRCNN
from sr.nets.resblock import ResBlockNet
from sr.nets.rlfn import RLFN
from sr.nets.span import SPAN
from tests.support.runs import Compose

HALOS = {"compact": 18, "fsrcnn": 8, "resblock": 21, "rlfn": 115, "span": 21}  # at scale 2, by default


def measured_reach(net: Any) -> int:
    """The farthest low-resolution pixel that changes an output pixel, on either side, for every position on the grid.

    Weights are positive, so that nothing cancels. All pixels from a position on become brighter than the others, which
    are equal, so that no maximum ignores them.
    """
    generator = torch.Generator().manual_seed(0)
    net = net.double().eval()
    with torch.no_grad():
        for parameter in net.parameters():
            values = torch.rand(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_(values / max(1, parameter[0].numel()) + 1e-3)
    align = getattr(net, "align", 1)
    side = -(-(2 * net.halo + 4 * align + 3) // align) * align
    reach = 0
    for first in range(side // 2, side // 2 + align):
        for changed in (slice(first, None), slice(0, first)):
            lr = torch.ones(1, 3, 9, side, dtype=torch.float64)
            other = lr.clone()
            other[..., changed] = 1000
            with torch.no_grad():
                columns = (net(lr) != net(other)).flatten(0, 2).any(dim=0).nonzero()
            left, right = int(columns.min()) // net.scale, int(columns.max()) // net.scale
            reach = max(reach, first - left if changed.start else right - (first - 1))
    return reach


@pytest.mark.parametrize("network", [Compact, FSRCNN, ResBlockNet, SPAN])
@pytest.mark.parametrize("num_blocks", [1, 2, 3])
@pytest.mark.parametrize("scale", [1, 2, 3, 4, 5])
def test_halo_is_the_measured_reach(network: Any, num_blocks: int, scale: int) -> None:
    net: nn.Module = network(scale=scale, num_blocks=num_blocks, channels=4)
    assert net.halo == measured_reach(net)


@pytest.mark.parametrize(("num_blocks", "halo"), [(1, 25), (2, 43), (3, 61)])
@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_the_reach_of_rlfn_grows_by_eighteen_with_each_block(num_blocks: int, halo: int, scale: int) -> None:
    net = RLFN(scale=scale, num_blocks=num_blocks, channels=4)
    assert net.halo == halo == measured_reach(net)


@pytest.mark.parametrize("name", HALOS)
def test_halo_of_the_network_at_its_published_size(compose_config: Compose, name: str) -> None:
    assert instantiate(compose_config([f"model={name}", "scale=2"]).model).halo == HALOS[name]
