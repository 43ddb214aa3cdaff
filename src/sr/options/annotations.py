"""Check the values in a config against type annotations, and describe the annotations in words."""

import math
import os
import re
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, is_dataclass
from enum import Enum
from typing import Annotated, Any, Literal, NewType, Union, get_args, get_origin, get_type_hints, is_typeddict

from omegaconf import DictConfig, ListConfig

from sr.errors import shortened


class Component:
    """Annotation of a config node that Hydra instantiates: a mapping with ``_target_``."""


@dataclass(frozen=True)
class Range:
    """Bounds of a number, for `typing.Annotated`; ``open_start`` excludes ``least``.

    >>> Range(1), Range(0, 1, open_start=True).holds(0), Range(0, 1).holds(0)
    (Range(least=1, most=inf, open_start=False), False, True)
    """

    least: float
    most: float = math.inf
    open_start: bool = False

    def holds(self, value: Any) -> bool:
        """Whether a number lies within the bounds; NaN does not."""
        above = self.least < value if self.open_start else self.least <= value
        return bool(above and value <= self.most)

    def __str__(self) -> str:
        """The bounds in words, to follow "a number"."""
        if self.open_start:
            return f"above {self.least}" + (f" and at most {self.most}" if self.most < math.inf else "")
        return f"from {self.least} to {self.most}" if self.most < math.inf else f"of {self.least} or more"


@dataclass(frozen=True)
class Matching:
    """A regular expression that a string must match, for `typing.Annotated`; ``label`` describes it in words."""

    pattern: str
    label: str

    def holds(self, value: Any) -> bool:
        """Whether the string matches."""
        return re.fullmatch(self.pattern, value) is not None

    def __str__(self) -> str:
        """The label."""
        return self.label


def annotations_of(target: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of the parameters of a function or constructor; empty if they cannot be resolved."""
    function = target.__init__ if isinstance(target, type) else target  # type: ignore[misc]
    try:
        return get_type_hints(function, include_extras=True)
    except Exception:  # names imported only for type checking, or any other failure in an annotation
        return {}


def is_component(value: object) -> bool:
    """Whether Hydra instantiates a value in a config, instead of passing it unchanged."""
    return isinstance(value, Mapping) and "_target_" in value


def fits(value: object, annotation: Any) -> bool:
    """Whether a value has the type of an annotation.

    Components fit any annotation, since their type is known only once they are built. Any value fits an annotation that
    is not understood here, such as a type variable.

    >>> fits(1, float), fits(True, int), fits([1, 2], tuple[int, int]), fits("a", list[int] | None)
    (True, False, True, False)
    """
    if annotation is Any or is_component(value):
        return True
    if isinstance(annotation, NewType):
        return fits(value, annotation.__supertype__)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return fits(value, arguments[0]) and all(
            check.holds(value) for check in arguments[1:] if isinstance(check, Range | Matching)
        )
    if origin in (Union, types.UnionType):
        return any(fits(value, alternative) for alternative in arguments)
    if origin is Literal:
        return any(type(value) is type(choice) and value == choice for choice in arguments)
    if annotation is None:
        return value is None
    kind = annotation if origin is None else origin
    return not isinstance(kind, type) or _fits_class(value, kind, arguments)


def _fits_class(value: object, kind: type, arguments: tuple[Any, ...]) -> bool:
    if kind is object or kind is type:
        return True
    if kind in (int, float, complex) and isinstance(value, bool):
        return False
    if kind in (float, complex):
        return isinstance(value, int | float)
    if issubclass(kind, Enum):
        return any(value in (member.value, name) for name, member in kind.__members__.items())
    if isinstance(value, str) and (issubclass(kind, os.PathLike) or _is_list(kind)):
        return issubclass(kind, os.PathLike)
    if isinstance(value, list | tuple) and _is_list(kind):
        return _elements_fit(value, kind, arguments)
    if isinstance(value, Mapping):
        if kind is DictConfig or is_typeddict(kind) or is_dataclass(kind):
            return True
        return issubclass(kind, Mapping) and (
            len(arguments) < 2 or all(fits(item, arguments[1]) for item in value.values())
        )
    try:
        return isinstance(value, kind)
    except TypeError:  # a protocol that is not runtime-checkable
        return True


def _is_list(kind: type) -> bool:
    """Whether a list fits a parameter of this class; tuples and sets are given as lists."""
    try:
        return kind is ListConfig or issubclass(kind, tuple | set | frozenset) or issubclass(list, kind)
    except TypeError:  # a protocol that is not runtime-checkable
        return False


def _elements_fit(values: list[Any] | tuple[Any, ...], kind: type, arguments: tuple[Any, ...]) -> bool:
    if not arguments:
        return True
    if kind is tuple and arguments[-1] is not Ellipsis:
        return len(values) == len(arguments) and all(map(fits, values, arguments))
    return all(fits(value, arguments[0]) for value in values)


def mismatches(path: str, value: object, annotation: Any) -> Iterator[tuple[str, object, Any]]:
    """Yield the name, value and annotation of what does not fit: the value, or the items of a mapping.

    >>> list(mismatches("loss.weights", {"mae": 1, "vgg": "abc"}, Mapping[str, float]))
    [('loss.weights.vgg', 'abc', <class 'float'>)]
    """
    if fits(value, annotation):
        return
    item_annotation = _annotation_of_items(annotation)
    if isinstance(value, Mapping) and item_annotation is not None:
        for name, item in value.items():
            yield from mismatches(f"{path}.{name}", item, item_annotation)
    else:
        yield path, value, annotation


def _annotation_of_items(annotation: Any) -> Any:
    """The annotation of the items of a mapping, or None if there is none."""
    for alternative in _alternatives(annotation):
        origin, arguments = get_origin(alternative), get_args(alternative)
        if isinstance(origin, type) and issubclass(origin, Mapping) and len(arguments) == 2:
            return arguments[1]
    return None


def display(value: object) -> str:
    """Format a value as on the command line, but with quoted strings.

    >>> display(None), display(True), display([8, "a"])
    ('null', 'true', "[8, 'a']")
    """
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return shortened(repr(value))


_NAMES: dict[Any, list[str]] = {
    bool: ["true", "false"],
    int: ["an integer"],
    float: ["a number"],
    complex: ["a number"],
    str: ["a string"],
    types.NoneType: ["null"],
    None: ["null"],
    Any: ["a value"],
    Component: ["a node with _target_"],
}
_PLURALS = {"an integer": "integers", "a number": "numbers", "a string": "strings", "a path": "paths"}


def describe(annotation: Any) -> str:
    """Describe in words what an annotation allows.

    >>> describe(int | None), describe(tuple[float, float]), describe(Annotated[int, Range(1)])
    ('an integer or null', 'a list of 2 numbers', 'an integer of 1 or more')
    """
    names = list(dict.fromkeys(_names(annotation)))
    if "a number" in names and "an integer" in names:
        names.remove("an integer")
    writable = [name for name in names if not name.startswith("a node with _target_ (")]
    if any(name != "null" for name in writable):  # omit types that are hard to write in a config, such as a Tensor
        names = writable
    *others, last = names
    comma = "," if len(others) > 1 else ""
    return f"{', '.join(others)}{comma} or {last}" if others else last


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)


def _names(annotation: Any) -> Iterator[str]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        checks = [check for check in arguments[1:] if isinstance(check, Range | Matching)]
        is_described = any(isinstance(check, Matching) for check in checks)
        yield " ".join([*([] if is_described else [describe(arguments[0])]), *map(str, checks)])
    elif origin in (Union, types.UnionType):
        for alternative in arguments:
            yield from _names(alternative)
    elif origin is Literal:
        yield from (choice if isinstance(choice, str) else display(choice) for choice in arguments)
    elif annotation in _NAMES:
        yield from _NAMES[annotation]
    else:
        yield _name_of_class(annotation if origin is None else origin, arguments)


def _name_of_class(kind: Any, arguments: tuple[Any, ...]) -> str:
    if not isinstance(kind, type):
        return "another value"
    if issubclass(kind, Enum):
        return describe(Literal[tuple(str(member.value) for member in kind)])
    if issubclass(kind, os.PathLike):
        return "a path"
    if issubclass(kind, Mapping):
        return "a mapping"
    if _is_list(kind):
        return _name_of_list(kind, arguments)
    return f"a node with _target_ ({kind.__name__})"


def _name_of_list(kind: type, arguments: tuple[Any, ...]) -> str:
    if not arguments:
        return "a list"
    count = f"{len(arguments)} " if kind is tuple and arguments[-1] is not Ellipsis else ""
    if count and len({describe(argument) for argument in arguments}) > 1:
        return f"a list of {count}values"
    elements = describe(arguments[0])
    for singular, plural in _PLURALS.items():
        elements = elements.replace(singular, plural)
    return f"a list of {count}{elements}"
