"""The package spandrel: import it without torchvision, and find its architectures by name.

Both networks that are trained (`sr.nets.community`) and weights of others (`sr.weights.community`) need it.
"""

import importlib
import inspect
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from torch import nn

from sr.errors import UserError, close_names, did_you_mean

OTHER_USES = {"GFPGAN": "faces", "RestoreFormer": "faces", "LaMa": "filling holes"}  # by spandrel's names

_INSTALL = "pip install 'sr-compare[community]', or beside a CPU build of torch: pip install --no-deps spandrel einops"


class MissingSpandrelError(UserError):
    """Spandrel, or a package that it needs, is not installed; the message names the package and how to install it."""


@dataclass(frozen=True)
class NetworkClass:
    """A class of networks of spandrel.

    Attributes:
        builds: the class.
        architecture: spandrel's ``Architecture``, which recognises its weights.
    """

    builds: type[nn.Module]
    architecture: Any


def find_class(name: str) -> NetworkClass:
    """Find a class of networks by the name of its architecture, or by its own where there are several.

    Raises:
        MissingSpandrelError: if spandrel is not installed.
        UserError: for an unknown name, or one of an architecture for other purposes.
    """
    classes = _classes()
    if use := OTHER_USES.get(name):
        raise UserError(f"{name} is for {use}, not for enlarging images")
    if name not in classes:
        similar = did_you_mean(close_names(name, classes))
        raise UserError(f"spandrel has no {name!r}" + (similar or f": it has {', '.join(sorted(classes))}"))
    return classes[name]


@cache
def _classes() -> dict[str, NetworkClass]:
    """The classes that enlarge or restore images, by the identifiers of their architectures and by their own names."""
    by_class: dict[str, NetworkClass] = {}
    by_architecture: dict[str, NetworkClass] = {}
    for support in import_spandrel().MAIN_REGISTRY.architectures():
        architecture = support.architecture
        if str(architecture.id) in OTHER_USES:
            continue
        module = importlib.import_module(type(architecture).__module__)
        for name in module.__all__:
            found = getattr(module, name)
            if inspect.isclass(found) and issubclass(found, nn.Module):
                by_class.setdefault(name, NetworkClass(found, architecture))
                by_architecture.setdefault(str(architecture.id), NetworkClass(found, architecture))
    return by_class | by_architecture


@cache
def import_spandrel() -> Any:
    """The package; beside a stand-in for torchvision where that is missing, or does not fit the installed torch.

    Raises:
        MissingSpandrelError: if it is not installed.
    """
    warnings.filterwarnings("ignore", "torch.meshgrid: in an upcoming release")  # of SwinIR and others
    with nullcontext() if _has_torchvision() else _stand_in_for_torchvision():
        try:
            import spandrel
        except ImportError as error:
            raise MissingSpandrelError(f"the package {error.name}: {_INSTALL}") from error
    return spandrel


def _has_torchvision() -> bool:
    before = set(sys.modules)
    try:
        import torchvision.transforms.functional  # noqa: F401
    except Exception:  # not only ImportError: RuntimeError if it was built for another torch
        for name in {name for name in sys.modules if name.partition(".")[0] == "torchvision"} - before:
            del sys.modules[name]
        return False
    return True


@contextmanager
def _stand_in_for_torchvision() -> Iterator[None]:
    """Let spandrel import the names of torchvision that two of its architectures use, which are refused anyway."""
    names = ("torchvision", "torchvision.transforms", "torchvision.transforms.functional")
    for name in names:
        sys.modules[name] = module = ModuleType(name)
        module.__spec__ = ModuleSpec(name, None, is_package=True)
    for name in ("InterpolationMode", "normalize", "rotate"):
        setattr(sys.modules[names[-1]], name, None)
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]
