"""Enlarge images with a network."""

import torch
from torch import Tensor, nn

from sr.image import dihedral, undo_dihedral

_CODES = range(8)


@torch.inference_mode()
def enlarge(net: nn.Module, lr: Tensor, *, ensemble: bool = False) -> Tensor:
    """Enlarge ``(N, 3, h, w)`` in [0, 1] to ``(N, 3, scale*h, scale*w)``, unclamped.

    Args:
        net: a network in evaluation mode, on the device of ``lr``.
        lr: the images.
        ensemble: average over the eight flips and quarter turns of the input, each undone on the output (the x8
            self-ensemble of Timofte et al. 2016, arXiv:1511.02228, section 3.6): eight times the work, about 0.1 dB.
    """
    if not ensemble:
        out: Tensor = net(lr)
        return out
    turned = [undo_dihedral(net(dihedral(lr, code).contiguous()), code) for code in _CODES]
    return torch.stack(turned).mean(dim=0)
