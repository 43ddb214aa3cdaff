"""The contract of a degradation, its random numbers, and the key that identifies it."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, ClassVar, Protocol, TypeAlias

import numpy as np
from torch import Tensor

from sr.errors import UserError
from sr.terms import OUR_DEGRADATIONS

Interval: TypeAlias = tuple[float, float]


class Degradation(Protocol):
    """A pure function of an image, a factor and random numbers.

    An instance is a frozen dataclass of plain values, so that it can be compared, sent to loading processes and kept in
    checkpoints. It runs on the CPU: the same numbers give the same pixels, whatever device trains.

    Attributes:
        resizes: whether it only changes the size. In a `Chain`, such a step is given the factor.
        is_random: whether it draws numbers; if so, training images are degraded anew in every epoch.

    A class may also have a method ``drawn_margin(scale, random)``: the margin of a crop that is degraded with these
    random numbers, so that less of the image has to be degraded for it.
    """

    resizes: ClassVar[bool]

    @property
    def is_random(self) -> bool:
        """See the class."""
        ...

    def __call__(self, image: Tensor, scale: int, random: np.random.Generator) -> Tensor:
        """Degrade an image.

        Args:
            image: ``(C, H, W)``, float64 in [0, 1]; the sides are multiples of ``scale``.
            scale: factor to shrink the sides by; with 1 the size stays.
            random: the only source of random numbers.

        Returns:
            ``(C, H / scale, W / scale)``, float64; the caller clamps and rounds it.
        """
        ...

    def margin(self, scale: int) -> int:
        """How many pixels of ``image`` beyond the border of a crop change the crop, at most."""
        ...

    def key(self) -> str:
        """What it is, with every setting: equal for degradations that do the same."""
        ...


def generator(*parts: object) -> np.random.Generator:
    """Random numbers that depend on some values alone, such as a seed, an epoch and the name of an image.

    >>> float(generator(1, "a").random()) == float(generator(1, "a").random()) != float(generator(1, "b").random())
    True
    """
    digest = hashlib.blake2b("/".join(["degrade", *map(str, parts)]).encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=[int.from_bytes(digest[:8]), int.from_bytes(digest[8:])]))


class Keyed:
    """The key of a dataclass: its name and the values of its fields, as ``jpeg(quality=[30, 95])``.

    The name of a class that is not one of ours has its module: ``mypackage.degrade.Jpeg(quality=[30, 95])``.
    """

    def key(self) -> str:
        """See `Degradation`."""
        name = type(self).__name__.lower() if _is_ours(self) else _full_name(self)
        values = ", ".join(f"{field.name}={_value(getattr(self, field.name))}" for field in fields(self))  # type: ignore[arg-type]
        return f"{name}({values})" if values else name


def full_key(degradation: Degradation) -> str:
    """The key of any degradation: one of another package never has the key of one of ours, whatever it says."""
    key = degradation.key()
    is_clear = _is_ours(degradation) or key.startswith(_full_name(degradation))
    return key if is_clear else f"{_full_name(degradation)}:{key}"


def name_of(degradation: Degradation) -> str:
    """Its key without the settings: ``jpeg``."""
    return full_key(degradation).partition("(")[0]


def is_degradation(value: object) -> bool:
    """Whether a configured value, or a class, has what a degradation needs."""
    return callable(value) and all(hasattr(value, name) for name in ("resizes", "is_random", "margin", "key"))


def _is_ours(value: object) -> bool:
    return type(value).__module__.startswith(OUR_DEGRADATIONS)


def _full_name(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _value(value: Any) -> str:
    """A field as text; 1 and 1.0 are the same number."""
    if is_list(value):
        return f"[{', '.join(map(_value, value))}]"
    if is_degradation(value):
        return full_key(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value)


def interval(owner: str, name: str, values: Any, least: float, most: float, *, whole: bool = False) -> Interval:
    """A range that was configured as two numbers, or as one for both.

    Raises:
        UserError: unless ``least <= low <= high <= most``, and both are whole numbers if they have to be.
    """
    ends = [values, values] if _is_number(values) else values
    is_pair = is_list(ends) and len(ends) == 2 and all(map(_is_number, ends))
    if not is_pair or not least <= ends[0] <= ends[1] <= most or (whole and any(end % 1 for end in ends)):
        said = list(ends) if is_list(ends) else ends
        numbers = f"two {'whole ' if whole else ''}numbers from {least} to {most}, the lower first"
        raise UserError(f"degrade={owner}: {name} must be {numbers}: {said}")
    return (int(ends[0]), int(ends[1])) if whole else (ends[0], ends[1])


def is_list(value: object) -> bool:
    """Whether a configured value is a list or a tuple, Hydra's lists among them."""
    return isinstance(value, Sequence) and not isinstance(value, str)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def uniform(random: np.random.Generator, ends: Interval) -> float:
    """A number from a range."""
    return float(random.uniform(*ends))


def chance(owner: str, name: str, value: float) -> float:
    """A probability that was configured.

    Raises:
        UserError: unless it lies in [0, 1].
    """
    if not _is_number(value) or not 0 <= value <= 1:
        raise UserError(f"degrade={owner}: {name} must be a number from 0 to 1, got {value}")
    return value
