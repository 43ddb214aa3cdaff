"""Networks on images of other channels than their own, in torch or numpy."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Planes = TypeVar("Planes")  # (N, C, H, W), an array or tensor


@dataclass(frozen=True)
class Operations(Generic[Planes]):
    """What is done to images beside a network.

    Attributes:
        gray: the gray value of RGB.
        enlarge: bicubic by the scale of the network.
        join: concatenate along the channels.
    """

    gray: Callable[[Planes], Planes]
    enlarge: Callable[[Planes], Planes]
    join: Callable[[Sequence[Planes]], Planes]


def enlarge_channels(lr: Planes, own: int, run: Callable[[Planes], Planes], operations: Operations[Planes]) -> Planes:
    """Networks for RGB keep gray gray, networks for gray get the luma of RGB.

    Whatever they do not see is enlarged by bicubic: alpha, and the colours beside the luma.

    Args:
        lr: ``(N, C, h, w)``, C from 1 (gray) to 4 (RGB and alpha), or ``own``.
        own: channels of the network.
        run: the network, on images of its own channels.
        operations: on such images.

    Returns:
        ``(N, C, scale*h, scale*w)``.
    """
    if own not in (1, 3):
        return run(lr)
    image: Any = lr
    channels = image.shape[1]
    colours = image[:, :3] if channels > 2 else image[:, :1]
    if own == 1:
        out: Any = run(operations.gray(colours))
        if channels > 2:
            enlarged: Any = operations.enlarge(colours)
            out = enlarged + (out - operations.gray(enlarged))
    else:
        out = run(colours if channels > 2 else operations.join([colours] * 3))
        out = out if channels > 2 else operations.gray(out)
    result: Planes = operations.join([out, operations.enlarge(image[:, -1:])]) if channels in (2, 4) else out
    return result
