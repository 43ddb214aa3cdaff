"""Several degradations, one after the other."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from sr.data.degrade.base import Degradation, Keyed, is_degradation
from sr.errors import UserError


@dataclass(frozen=True)
class Chain(Keyed):
    """Degradations in the order of a list.

    The first that only resizes (``bicubic``, ``pillow``, ``nearest``, ``area``, ``lanczos``) shrinks the image; without
    one, the first of all does, as it would alone: ``[blur, jpeg]`` is blurred, shrunk by bicubic, and compressed.

    Attributes:
        steps: the degradations.
    """

    resizes: ClassVar[bool] = False
    steps: tuple[Any, ...]

    def __post_init__(self) -> None:
        """Check the options."""
        object.__setattr__(self, "steps", checked_list("chain", "steps", self.steps))

    @property
    def is_random(self) -> bool:
        """Whether any step is."""
        return any(step.is_random for step in self.steps)

    def __call__(self, image: Tensor, scale: int, random: np.random.Generator) -> Tensor:
        """See `Degradation`."""
        for number, step in enumerate(self.steps):
            image = step(image, scale if number == self._shrinks else 1, random).clamp(0, 1)
        return image

    @property
    def _shrinks(self) -> int:
        return next((number for number, step in enumerate(self.steps) if step.resizes), 0)

    def margin(self, scale: int) -> int:
        """The sum over the steps, in pixels of the image that comes in."""
        margins = [
            step.margin(scale) if number == self._shrinks else step.margin(1) * (scale if number > self._shrinks else 1)
            for number, step in enumerate(self.steps)
        ]
        return sum(margins)


def checked_list(owner: str, name: str, values: Any) -> tuple[Degradation, ...]:
    """Degradations that were configured as a list.

    Raises:
        UserError: if there are none, or one is something else.
    """
    items = tuple(values)
    if not items or not all(map(is_degradation, items)):
        raise UserError(
            f"degrade={owner}: {name} must be a list of degradations, each a node with _target_, and "
            "its file needs _convert_: all"
        )
    return items
