"""Components for `_target_` nodes in tests, with every kind of signature."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


class Required:
    """Two required parameters and an optional one."""

    def __init__(self, width: int, *, rates: Mapping[str, float], depth: int | None = None) -> None: ...


class TakesAnything:
    """Keyword arguments of any name."""

    def __init__(self, **options: Any) -> None: ...


def unannotated(root, size=3):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """No annotations at all."""


def implicit_none(size: int = None) -> None:  # type: ignore[assignment]  # noqa: RUF013
    """A default that contradicts its annotation."""


def only_for_checkers(size: "Tensor") -> None:
    """An annotation that cannot be resolved at run time."""
