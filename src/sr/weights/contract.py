"""What every network has to do, checked before it is trained: no run ends with weights that nothing can use."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from sr.errors import UserError, line_of
from sr.terms import NetworkConfig
from sr.weights.checkpoint import WHOLE_IMAGE, build_network

_SIZES = ((24, 24), (17, 13), (16, 31))  # the first is harmless, so that faults in code show there
_PROBES = (33, 65, 129, 257)  # sides of the images that a halo is measured on


def check_network(net: nn.Module, config: NetworkConfig) -> None:
    """Check that a network multiplies sides of any length by its scale, and that a checkpoint can rebuild it.

    A network that does not state its ``halo`` gets the measured one, which is recorded in ``config``.

    Args:
        net: on the CPU.
        config: of its checkpoints.

    Raises:
        UserError: if it does not, in a line that begins with ``model:``.
    """
    with torch.random.fork_rng(devices=[]), _evaluating(net):
        for number, (height, width) in enumerate(_SIZES):
            _check_size(net, config["scale"], height, width, may_raise=number == 0)
        if not hasattr(net, "halo"):
            config["halo"] = measured_halo(net, config["scale"])
            setattr(net, "halo", config["halo"])  # noqa: B010 - nn.Module declares it a tensor
        try:
            build_network(config, net.state_dict())
        except UserError as error:
            text = str(error).removeprefix("its config ")
            raise UserError(f"model: a checkpoint of it could not be loaded again, since its config {text}") from error


def _check_size(net: nn.Module, scale: int, height: int, width: int, *, may_raise: bool) -> None:
    lr = torch.rand(1, 3, height, width)
    name = type(net).__name__
    try:
        with torch.no_grad():
            out = net(lr)
    except (RuntimeError, ValueError, IndexError) as error:
        if may_raise:
            raise
        raise UserError(
            f"model: {name} fails on an image of {width}x{height} pixels ({line_of(error)}): it has to accept any "
            "size; pad its input and crop its output inside forward"
        ) from error
    expected = (1, 3, scale * height, scale * width)
    if not isinstance(out, Tensor) or tuple(out.shape) != expected:
        got = f"a {type(out).__name__}" if not isinstance(out, Tensor) else f"a tensor {tuple(out.shape)}"
        raise UserError(
            f"model: {name} makes {got} of an input {tuple(lr.shape)}: at scale {scale} it has to be {expected}"
        )
    if not out.is_floating_point() or not out.isfinite().all():
        raise UserError(f"model: {name} makes values that are not finite floats of an image in [0, 1]")


def measured_halo(net: nn.Module, scale: int) -> int:
    """How many low-resolution pixels around a pixel its output depends on at most, from gradients.

    The weights are replaced by positive ones, so that no path is blocked by a rectifier, a head that starts at zero, or
    terms that cancel.

    Returns:
        The halo; `WHOLE_IMAGE` if the output depends on everything, as with attention over the image.
    """
    probe = copy.deepcopy(net)
    align = int(getattr(net, "align", 1))
    with torch.no_grad():
        for parameter in probe.parameters():
            parameter.copy_(torch.rand_like(parameter) / max(1, parameter[0].numel() if parameter.ndim else 1) + 1e-3)
    for side in _PROBES:
        centre = (side // 2) // align * align
        reach = max(_reach(probe, side, row, column, scale) for row, column in _corners(centre, align, scale))
        if reach + align < centre:
            return reach
    return WHOLE_IMAGE


def _corners(centre: int, align: int, scale: int) -> Iterator[tuple[int, int]]:
    """Corner pixels of the output of a block of ``align`` low-resolution pixels."""
    first, last = scale * centre, scale * (centre + align) - 1
    for row in {first, last}:
        for column in {first, last}:
            yield row, column


def _reach(net: nn.Module, side: int, row: int, column: int, scale: int) -> int:
    """Distance of the farthest low-resolution pixel on which an output pixel depends."""
    lr = torch.rand(1, 3, side, side, requires_grad=True)
    (gradient,) = torch.autograd.grad(net(lr)[0, :, row, column].sum(), lr)
    rows, columns = torch.nonzero(gradient[0].abs().sum(dim=0), as_tuple=True)
    if not len(rows):
        return 0
    return int(torch.stack([(rows - row // scale).abs().max(), (columns - column // scale).abs().max()]).max())


@contextmanager
def _evaluating(net: nn.Module) -> Iterator[None]:
    was_training = net.training
    net.eval()
    try:
        yield
    finally:
        net.train(was_training)
