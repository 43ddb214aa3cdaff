import torch

from sr.image import resize
from sr.infer import enlarge
from sr.nets.espcn import ESPCN


def test_the_ensemble_is_the_mean_of_eight_transforms_done_by_hand() -> None:
    torch.manual_seed(0)
    net = ESPCN(scale=2).eval()
    net.tail.weight.data.normal_(std=0.1)
    lr = torch.rand(1, 3, 6, 9)
    outputs = []
    for turns in range(4):
        for mirrored in (False, True):
            turned = torch.rot90(lr.flip(-1) if mirrored else lr, turns, (-2, -1))
            back = torch.rot90(net(turned.contiguous()), -turns, (-2, -1))
            outputs.append(back.flip(-1) if mirrored else back)
    expected = torch.stack(outputs).mean(0)
    assert torch.allclose(enlarge(net, lr, ensemble=True), expected, atol=1e-6)
    assert not torch.allclose(expected, net(lr), atol=1e-4)


def test_without_an_ensemble_it_is_the_networks_output_and_needs_no_graph() -> None:
    lr = torch.rand(2, 3, 5, 4)
    out = enlarge(ESPCN(scale=3).eval(), lr)
    assert torch.equal(out, resize(lr, 3))
    assert not out.requires_grad
