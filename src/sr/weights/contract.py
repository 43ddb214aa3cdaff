"""What every network has to do, checked before it is trained: no run ends with weights that nothing can use."""

import copy
import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from sr.errors import UserError, line_of
from sr.terms import WHOLE_IMAGE, NetworkConfig, image_channels
from sr.weights.checkpoint import build_network
from sr.weights.folding import folded, form_in_use

_SIZES = ((24, 24), (17, 13), (16, 31))  # the first is harmless, so that faults in code show there
_PROBES = (33, 65, 129)  # sides of the images that a halo is measured on
_ALIGNMENTS = (1, 2, 4, 8, 16, 32)
_TOLERANCE = 1e-3  # of the largest output, between a tile and the whole image
_FOLDING_TOLERANCE = 1e-4  # of the largest output, between the trained form and the folded one

_measured: dict[str, tuple[int, int]] = {}  # halo and alignment by the config of the network


def check_network(net: nn.Module, config: NetworkConfig, channels: int = 3) -> None:
    """Check that a network multiplies sides of any length by its scale, and that a checkpoint can rebuild it.

    A network that does not state its ``halo`` gets the measured one, and the grid that its tiles need, ``align``; both
    are recorded in ``config``.

    Args:
        net: on the CPU.
        config: of its checkpoints.
        channels: of the images that it will be trained on.

    Raises:
        UserError: if it does not, in a line that begins with ``model:``.
    """
    if image_channels(net) != channels:
        raise UserError(
            f"model: {type(net).__name__} takes images of another number of channels ({image_channels(net)}) than "
            f"data.channels={channels}: "
            "set model.image_channels; a network of your own says its number as the attribute image_channels"
        )
    with torch.random.fork_rng(devices=[]), _evaluating(net):
        for number, (height, width) in enumerate(_SIZES):
            _check_size(net, config["scale"], channels, height, width, may_raise=number == 0)
        if not hasattr(net, "halo"):
            key = json.dumps([config["model"], config["scale"]], default=str)
            if key not in _measured:
                _measured[key] = measured_tiles(net, config["scale"])
            config["halo"], config["align"] = _measured[key]
            for name in ("halo", "align"):
                setattr(net, name, config[name])
        else:
            _check_halo(net.halo)
        try:
            build_network(config, net.state_dict())
        except UserError as error:
            raise UserError(f"model: a checkpoint of it could not be loaded again: {error}") from error
        _check_folding(net, config)


def _check_folding(net: nn.Module, config: NetworkConfig) -> None:
    """Compare both forms with disturbed weights, as a head that starts at zero hides the rest."""
    if form_in_use(net) is net:
        return
    try:
        plain, plain_config = folded(_reweighted(net, _disturbed), config, _FOLDING_TOLERANCE)
        build_network(plain_config, plain.state_dict())
    except (UserError, TypeError) as error:
        raise UserError(
            f"model: its method folded() has to return what its class builds with folded=True: {line_of(error)}"
        ) from error


def _check_halo(halo: object) -> None:
    if type(halo) is not int or halo < 0:
        raise UserError(f"model: halo has to be an integer of 0 or more, got {halo!r}")


def _check_size(net: nn.Module, scale: int, channels: int, height: int, width: int, *, may_raise: bool) -> None:
    lr = torch.rand(1, channels, height, width)
    name = type(net).__name__
    try:
        with torch.no_grad():
            out = net(lr)
    except (RuntimeError, ValueError, IndexError, AssertionError) as error:
        if may_raise:
            raise
        raise UserError(
            f"model: {name} fails on an image of {width}x{height} pixels ({line_of(error)}): it has to accept any "
            "size; pad its input and crop its output inside forward"
        ) from error
    expected = (1, channels, scale * height, scale * width)
    if not isinstance(out, Tensor) or tuple(out.shape) != expected:
        got = f"a {type(out).__name__}" if not isinstance(out, Tensor) else f"a tensor {tuple(out.shape)}"
        raise UserError(
            f"model: {name} makes {got} of an input {tuple(lr.shape)}: at scale {scale} it has to be {expected}"
        )
    if not out.is_floating_point() or not out.isfinite().all():
        raise UserError(f"model: {name} makes values that are not finite floats of an image in [0, 1]")


def measured_tiles(net: nn.Module, scale: int) -> tuple[int, int]:
    """The halo and the alignment with which tiles of an image give the same result as the whole of it.

    Returns:
        How many low-resolution pixels around a pixel its output depends on at most, by gradients; and the grid of
        low-resolution pixels on which tiles have to begin, by trying. `WHOLE_IMAGE` and 1 if there is no such halo, as
        with attention over the image.
    """
    probes = [_reweighted(net, kind) for kind in (_positive, _small, _normal)]
    own = getattr(net, "align", None)
    try:
        halo = 0
        for probe in probes:
            halo = max(halo, _reach(probe, scale) if halo < WHOLE_IMAGE else 0)
        if halo < WHOLE_IMAGE:
            for times in (1, 2):
                for align in _ALIGNMENTS if own is None else (int(own),):
                    if all(_tiles_agree(probe, scale, times * halo, align) for probe in (net, *probes)):
                        return times * halo, align
    except (MemoryError, RuntimeError):  # too large to be measured
        pass
    return WHOLE_IMAGE, 1


def _positive(parameter: Tensor) -> Tensor:
    """No path is blocked by a rectifier, a head that starts at zero, or terms that cancel."""
    return torch.rand_like(parameter) / _fan_in(parameter) + 1e-3


def _small(parameter: Tensor) -> Tensor:
    """No activation saturates."""
    return 1e-2 * _positive(parameter)


def _normal(parameter: Tensor) -> Tensor:
    """As trained weights may be."""
    return torch.randn_like(parameter) / math.sqrt(_fan_in(parameter))


def _disturbed(parameter: Tensor) -> Tensor:
    """As after the first steps; where weights are wholly random, a deep network amplifies rounding."""
    return parameter + 1e-2 * torch.randn_like(parameter)


def _fan_in(parameter: Tensor) -> int:
    return max(1, parameter[0].numel() if parameter.ndim else 1)


def _reweighted(net: nn.Module, weights: Callable[[Tensor], Tensor]) -> nn.Module:
    probe = copy.deepcopy(net)
    with torch.no_grad():
        for parameter in probe.parameters():
            parameter.copy_(weights(parameter))
    return probe


def _reach(net: nn.Module, scale: int) -> int:
    """How far the low-resolution pixels are on which an output pixel depends; 0 if no gradient shows any."""
    for side in _PROBES:
        centre = scale * (side // 2)
        lr = torch.rand(1, image_channels(net), side, side, requires_grad=True)
        out = net(lr.clone())
        reach = 0
        for row, column in ((centre, centre), (centre + scale - 1, centre + scale - 1)):
            (gradient,) = torch.autograd.grad(out[0, :, row, column].sum(), lr, retain_graph=True)
            rows, columns = torch.nonzero(gradient[0].abs().sum(dim=0), as_tuple=True)
            if len(rows):
                distances = torch.cat([(rows - row // scale).abs(), (columns - column // scale).abs()])
                reach = max(reach, int(distances.max()))
        if reach < side // 2 - 1:
            return reach
    return WHOLE_IMAGE


@torch.no_grad()
def _tiles_agree(net: nn.Module, scale: int, halo: int, align: int) -> bool:
    """Whether tiles with a margin, cut from an image of odd sides, give what the whole image gives there."""
    margin, tile = _rounded_up(halo, align), _rounded_up(max(8, halo // 2), align)
    side = 2 * margin + 3 * tile + 3
    lr = torch.rand(1, image_channels(net), side, side)
    whole = net(lr.clone())
    for top, left in ((0, 0), (margin + tile, margin + tile), (tile, _rounded_up(side - tile, align) - align)):
        first_row, first_column = max(0, top - margin), max(0, left - margin)
        bottom, right = min(side, top + tile), min(side, left + tile)
        part = net(lr[..., first_row : min(side, bottom + margin), first_column : min(side, right + margin)].clone())
        rows, columns = (
            slice(scale * (a - f), scale * (b - f))
            for a, b, f in ((top, bottom, first_row), (left, right, first_column))
        )
        expected = whole[..., scale * top : scale * bottom, scale * left : scale * right]
        if (part[..., rows, columns] - expected).abs().max() > _TOLERANCE * whole.abs().max():
            return False
    return True


def _rounded_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


@contextmanager
def _evaluating(net: nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in net.modules()]  # some may be frozen
    net.eval()
    try:
        yield
    finally:
        for module, was_training in modes:
            module.training = was_training
