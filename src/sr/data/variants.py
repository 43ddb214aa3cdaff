"""Copies of sources: degraded by several factors, rotated by 45 degrees, or shrunk."""

from collections.abc import Sequence
from dataclasses import replace

from sr.data.sources import Source
from sr.errors import UserError


def with_factors(sources: Sequence[Source], factors: Sequence[int]) -> list[Source]:
    """List each source once per factor, named ``NAME@xFACTOR``, in the same group.

    Raises:
        UserError: for a source with a low-resolution file, since these inputs are always derived.
    """
    if paired := next((source for source in sources if source.lr), None):
        raise UserError(f"{paired.lr}: data.scales derives all low-resolution images: remove low_res/, or set scale")
    return [replace(source, name=f"{source.name}@x{factor}", factor=factor) for source in sources for factor in factors]


def rotated_copies(sources: Sequence[Source]) -> list[Source]:
    """Copies of those that may be trained on, rotated by 45 degrees: ``NAME@45``."""
    return [replace(source, name=f"{source.name}@45", rotated=True) for source in sources if source.part is None]


def shrunk_copies(sources: Sequence[Source], sizes: Sequence[float]) -> list[Source]:
    """Copies of those that may be trained on, with sides of these shares of their own: ``NAME@0.8``.

    Raises:
        UserError: for a source with a low-resolution file, which is not shrunk along.
    """
    if paired := next((source for source in sources if source.lr), None):
        raise UserError(f"{paired.lr}: data.augment.sizes would derive the low resolution of copies: set it to []")
    trained = [source for source in sources if source.part is None]
    return [replace(source, name=f"{source.name}@{size:g}", size=size) for source in trained for size in sizes]
