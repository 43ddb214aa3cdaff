"""Build a degradation from plain values, such as those of a checkpoint."""

import importlib
from collections.abc import Callable
from typing import Any

from sr.data.degrade.base import Degradation, is_degradation
from sr.errors import UserError
from sr.terms import OUR_DEGRADATIONS

_DEEPEST = 6  # lists and nodes inside each other
_LONGEST = 100  # items of a list or node, characters of a string


def build(config: object, is_allowed: Callable[[str], bool] = lambda target: False) -> Degradation:
    """Build a degradation from an untrusted config.

    Args:
        config: a mapping with ``_target_`` and the fields of that class, where lists may hold further ones.
        is_allowed: whether the class of a name may be used that is not one of ours.

    Raises:
        UserError: for a class that is not allowed, or values that it refuses.
    """
    degradation = _built(config, is_allowed, _DEEPEST)
    if not is_degradation(degradation):
        raise UserError("its config names no degradation")
    return degradation  # type: ignore[return-value]


def _built(value: object, is_allowed: Callable[[str], bool], depth: int) -> object:
    if isinstance(value, list | dict) and (depth == 0 or len(value) > _LONGEST):
        raise UserError("its config of the degradation is too large")
    if isinstance(value, list):
        return [_built(item, is_allowed, depth - 1) for item in value]
    if isinstance(value, dict):
        target = value.get("_target_")
        if not isinstance(target, str) or len(target) > _LONGEST:
            raise UserError("its config of the degradation has a node without _target_")
        arguments = {
            str(name): _built(item, is_allowed, depth - 1)
            for name, item in value.items()
            if name not in ("_target_", "_convert_")
        }
        try:
            return _class(target, is_allowed)(**arguments)
        except (TypeError, ValueError, AttributeError, ImportError) as error:
            if isinstance(error, UserError):
                raise
            raise UserError(f"its degradation {target} cannot be built: {error}") from error
    return value


def _class(target: str, is_allowed: Callable[[str], bool]) -> Any:
    module, _, name = target.rpartition(".")
    if not module.startswith(OUR_DEGRADATIONS) and not is_allowed(target):
        package = module.rpartition(".")[0] or module
        raise UserError(
            f"its config names the degradation {target!r}: if you trust the code of {package}, add --trust {package}"
        )
    found = getattr(importlib.import_module(module), name)
    if not isinstance(found, type) or not is_degradation(found):
        raise UserError(f"its config names {target!r}, which is not a degradation")
    return found
