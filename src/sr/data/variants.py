"""Copies of sources, degraded by several factors or rotated by 45 degrees."""

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


def with_rotated(sources: Sequence[Source]) -> list[Source]:
    """List the sources, followed by copies of those that may be trained on, rotated by 45 degrees: ``NAME@45``."""
    trained = [source for source in sources if source.part is None]
    return [*sources, *(replace(source, name=f"{source.name}@45", rotated=True) for source in trained)]
