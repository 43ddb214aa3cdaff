"""Which classes a checkpoint may name as its network.

A checkpoint names the class that it is rebuilt with, and importing a class runs the code of its module. So only classes
of three kinds of packages are imported: `sr.nets`; installed packages that announce themselves (entry point group
``sr.networks``); and those that the user trusts by ``--trust PACKAGE``, by ``trust=[PACKAGE]``, or in the environment
variable ``SR_TRUST``, a list with commas. Nothing in a file adds to them.
"""

import importlib
import inspect
import os
import re
from collections.abc import Iterable
from functools import cache
from importlib.metadata import entry_points

from torch import nn

from sr.errors import UserError, shortened

GROUP = "sr.networks"  # of entry points
VARIABLE = "SR_TRUST"

_OURS = "sr.nets"
_TARGET = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\.([A-Za-z_]\w*)")
_PACKAGE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_LONGEST = 200  # characters of the name of a class

_trusted: set[str] = set()  # by this process


def trust(packages: str | Iterable[str]) -> None:
    """Let checkpoints name the classes of a package or of several, and their modules, for the rest of this process.

    Raises:
        UserError: for a name that no package can have.
    """
    for name in [packages] if isinstance(packages, str) else packages:
        if not _PACKAGE.fullmatch(name):
            raise UserError(f"trust: {name!r} is not the name of a package, such as mypackage or mypackage.nets")
        _trusted.add(name)


def network_class(target: object) -> type[nn.Module]:
    """Import the network that a config names.

    Raises:
        UserError: if its package is not trusted, it does not exist, or it is no network with a ``scale``.
    """
    parts = _TARGET.fullmatch(target) if isinstance(target, str) and len(target) <= _LONGEST else None
    if parts is None:
        shown = shortened(repr(target)) if isinstance(target, str) else f"a {type(target).__name__}"
        raise UserError(f"its config names {shown}, which is not the name of a network: refused")
    module, name = parts.groups()
    if "__main__" in module.split("."):
        raise UserError(f"its config names {shortened(repr(target))}: a program is no network: refused")
    if not _is_trusted(module):
        package = package_of(f"{module}.{name}")
        raise UserError(
            f"its config names {shortened(repr(target))}, which is not a network of {_OURS}: if you trust the code of "
            f"{package}, add --trust {package}, or set {VARIABLE}={package}"
        )
    try:
        imported = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # something that the user's own module imports
        advice = "this version of sr does not have" if _is_ours(module) else "cannot be imported"
        more = "" if _is_ours(module) else ": install its package, or add the folder that holds it to PYTHONPATH"
        raise UserError(f"its config names {target!r}, which {advice}{more}") from error
    if not hasattr(imported, name):
        raise UserError(f"its config names {target!r}, but {module} has no {name}")
    found = getattr(imported, name)
    is_network = inspect.isclass(found) and issubclass(found, nn.Module) and _is_trusted(found.__module__)
    if not is_network or "scale" not in inspect.signature(found).parameters:
        raise UserError(f"its config names {target!r}, which is not a network whose class takes a scale: refused")
    return found  # type: ignore[no-any-return]


def package_of(target: str) -> str:
    """The package to trust for a class: that of its module, or the module itself if it is in none.

    >>> package_of("mynets.tiny.Tiny"), package_of("tiny.Tiny")
    ('mynets', 'tiny')
    """
    module = target.rpartition(".")[0]
    return module.rpartition(".")[0] or module


def needs_trust(target: str) -> bool:
    """Whether a class is neither of `sr` nor of a package that announces networks, so that users have to trust it."""
    return not _is_public(target.rpartition(".")[0])


def is_allowed(target: str) -> bool:
    """Whether a checkpoint may name a class."""
    return _is_trusted(target.rpartition(".")[0])


def _is_trusted(module: str) -> bool:
    by_environment = {name.strip() for name in os.environ.get(VARIABLE, "").split(",")} - {""}
    return _is_public(module) or any(_is_in(module, package) for package in _trusted | by_environment)


def _is_public(module: str) -> bool:
    """Whether nobody has to trust a module: it is one of `sr`, or in a package that announces networks."""
    return _is_ours(module) or any(_is_in(module, package) for package in announced())


def _is_ours(module: str) -> bool:
    return _is_in(module, _OURS)


def _is_in(module: str, package: str) -> bool:
    return f"{module}.".startswith(f"{package}.")


@cache
def announced() -> frozenset[str]:
    """The packages that announce networks."""
    return frozenset(package_of(f"{point.module}.{point.attr}") for point in entry_points(group=GROUP))
