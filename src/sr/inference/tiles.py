"""Enlarge images of any size with a network of torch: whole, or in tiles that give the same result."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from sr.arrays import DIHEDRAL_CODES
from sr.image import dihedral, to_float, undo_dihedral
from sr.inference.windows import Seen, each_tile


@torch.inference_mode()
def enlarge(net: nn.Module, lr: Tensor, *, ensemble: bool = False) -> Tensor:
    """Enlarge ``(N, C, h, w)`` in [0, 1] to ``(N, C, scale*h, scale*w)``, unclamped.

    Args:
        net: a network in evaluation mode, on the device of ``lr``.
        lr: the images.
        ensemble: average over the eight flips and quarter turns of the input, each undone on the output (the x8
            self-ensemble of Timofte et al. 2016, arXiv:1511.02228, section 3.6): eight times the work, about 0.1 dB.
    """
    if not ensemble:
        out: Tensor = net(lr)
        return out
    turned = [undo_dihedral(net(dihedral(lr, code).contiguous()), code) for code in DIHEDRAL_CODES]
    return torch.stack(turned).mean(dim=0)


def enlarge_in_tiles(
    net: nn.Module,
    lr: Tensor,
    scale: int,
    tile: int,
    *,
    ensemble: bool = False,
    wrap: bool = False,
    device: torch.device | None = None,
) -> Iterator[tuple[int, int, Tensor]]:
    """Enlarge one image tile by tile, see `sr.inference.windows.each_tile`.

    Args:
        net: has ``halo`` and ``align``: how many low-resolution pixels around a pixel its output depends on at most,
            and the grid of low-resolution pixels that its strides need.
        lr: ``(1, C, h, w)`` in [0, 1], or uint8 or uint16, which become that tile by tile, on the device.
        scale: of the network.
        tile: side of a tile in low-resolution pixels, margin not counted; 0 for the whole image.
        ensemble: see `enlarge`.
        wrap: whether the image goes on at its opposite edge, as a texture does.
        device: to compute on; None: that of the network's parameters, or of the image if there are none.

    Yields:
        (top, left, ``(1, C, scale*h', scale*w')``): place and content of a part of the output, row by row of tiles.
    """
    place = device or next((parameter.device for parameter in net.parameters()), lr.device)

    def part(rows: Seen, columns: Seen) -> Tensor:
        seen = _cut(_cut(lr, -2, rows), -1, columns)
        return enlarge(net, to_float(seen.to(place)).contiguous(memory_format=torch.channels_last), ensemble=ensemble)

    halo, align = int(getattr(net, "halo", 0)), int(getattr(net, "align", 1))
    size = (int(lr.shape[-2]), int(lr.shape[-1]))
    return each_tile(part, size, scale, tile, halo=halo, align=align, wrap=wrap, ensemble=ensemble)


def _cut(image: Tensor, dim: int, seen: Seen) -> Tensor:
    """Rows (``dim`` -2) or columns (-1) of an image."""
    if isinstance(seen, slice):
        return image.narrow(dim, seen.start, seen.stop - seen.start)
    return image.index_select(dim, torch.from_numpy(seen).to(image.device))
