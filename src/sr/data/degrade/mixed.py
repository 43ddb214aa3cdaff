"""One of several degradations for each image."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from sr.data.degrade.base import Keyed
from sr.data.degrade.chain import checked_list
from sr.errors import UserError


@dataclass(frozen=True)
class Mixed(Keyed):
    """A degradation drawn for each image, by weights.

    Attributes:
        choices: the degradations.
        weights: how often each is drawn, relative to the others; None for all alike.
    """

    resizes: ClassVar[bool] = False
    choices: tuple[Any, ...]
    weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        """Check the options."""
        object.__setattr__(self, "choices", checked_list("mixed", "choices", self.choices))
        if self.weights is not None:
            weights: tuple[float, ...] = ()
            with suppress(TypeError, ValueError):
                weights = tuple(map(float, self.weights))
            if len(weights) != len(self.choices) or min(weights) < 0 or not sum(weights) > 0:
                raise UserError(
                    f"degrade=mixed: weights must be {len(self.choices)} numbers of 0 or more: {self.weights}"
                )
            object.__setattr__(self, "weights", weights)

    @property
    def is_random(self) -> bool:
        """Whether there is anything to draw."""
        return len(self.choices) > 1 or bool(self.choices[0].is_random)

    def __call__(self, image: Tensor, scale: int, random: np.random.Generator) -> Tensor:
        """See `Degradation`."""
        weights = np.array(self.weights or [1.0] * len(self.choices))
        number = int(random.choice(len(self.choices), p=weights / np.sum(weights)))
        degraded: Tensor = self.choices[number](image, scale, random)
        return degraded

    def margin(self, scale: int) -> int:
        """The largest of all."""
        return max(int(choice.margin(scale)) for choice in self.choices)
