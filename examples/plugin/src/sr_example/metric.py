"""A metric that looks at edges."""

from torch import Tensor


def edge_error(sr: Tensor, hr: Tensor) -> Tensor:
    """Mean absolute error of the differences between neighbours; 0 for equal edges.

    Args:
        sr: outputs ``(N, C, H, W)`` in [0, 1], as the protocol has them.
        hr: their targets.

    Returns:
        A value for each image, ``(N,)``.
    """
    rows, columns = ((sr.diff(dim=dim) - hr.diff(dim=dim)).abs().mean(dim=(1, 2, 3)) for dim in (-2, -1))
    return (rows + columns) / 2
