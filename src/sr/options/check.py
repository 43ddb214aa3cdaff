"""Check the options of a run before building anything; their schema is the signature of each ``_target_``."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Union, get_type_hints

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from sr.errors import UserError, close_names, did_you_mean, line_of
from sr.options.annotations import (
    Component,
    annotations_of,
    describe,
    display,
    fits,
    is_component,
    mismatches,
)
from sr.options.known import ALSO_VALID, ANNOTATIONS, FOLDERS, FORWARDED_TO, PASSED_BY_NAME, PASSED_FIRST, TopLevel

_MAX_LISTED = 10  # options in a message
RESERVED = ("_target_", "_partial_", "_recursive_", "_convert_", "_args_")


class Fault(NamedTuple):
    """An invalid option, and the message that follows its name."""

    option: str
    text: str


def check_options(config: DictConfig | Mapping[str, Any]) -> None:
    """Check every option against the parameter that it is passed to.

    Args:
        config: the composed config of a run; the key ``hydra`` is ignored.

    Raises:
        UserError: for a value of the wrong type or out of range, an unknown name, a missing value, or a GPU that is
            requested but not available. The message describes the first of these and counts the others.
    """
    by_option: dict[str, Fault] = {}
    for fault in find_faults(plain_values(config)):
        by_option.setdefault(fault.option, fault)
    faults = list(by_option.values())
    faults = [fault for fault in faults if not _is_copied(config, fault.option)] or faults
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise UserError(f"{faults[0].option}{faults[0].text}{more}")


def plain_values(config: DictConfig | Mapping[str, Any]) -> dict[str, Any]:
    """Resolve a config to plain values, without the key ``hydra``.

    Raises:
        UserError: for a missing value, or an interpolation that cannot be resolved.
    """
    values: dict[str, Any] = {}
    try:
        for name in map(str, config):
            value = config[name] if name != "hydra" else None
            is_config = OmegaConf.is_config(value)
            values[name] = OmegaConf.to_container(value, resolve=True, throw_on_missing=True) if is_config else value
    except MissingMandatoryValue as error:
        raise UserError(f"{error.full_key}: a value is needed") from error
    except OmegaConfBaseException as error:
        raise UserError(f"{error.full_key}: {line_of(error)}") from error
    values.pop("hydra", None)
    return values


def _is_copied(config: DictConfig | Mapping[str, Any], option: str) -> bool:
    """Whether an option takes its value from another one, such as ``data.seed: ${seed}``."""
    parent, _, name = option.rpartition(".")
    node = OmegaConf.select(config, parent) if parent and isinstance(config, DictConfig) else config
    return isinstance(node, DictConfig) and name in node and OmegaConf.is_interpolation(node, name)


def find_faults(values: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield a fault for each invalid option."""
    annotations = get_type_hints(TopLevel, include_extras=True)
    for name, value in values.items():
        if name in annotations:
            yield from _mismatches(name, value, annotations[name])
            yield from _faults_of_nodes(name, value)
        else:
            yield Fault(name, f"={display(value)}: nothing reads this option{_elsewhere(name, values)}")
    for name in annotations.keys() - values.keys():
        yield Fault(name, f": {describe(annotations[name])} is needed")
    if fits(values.get("trainer"), Component):
        yield from _missing_device(values["trainer"])
    if fits(values.get("data"), Component):
        yield from _faults_of_root(values["data"])
    if values.get("init") is None:
        for name in ("init_strict", "init_freeze"):
            if values.get(name):
                text = f"={display(values[name])}: there are no weights to start from: set init, or leave this out"
                yield Fault(name, text)


def _mismatches(option: str, value: object, annotation: Any) -> Iterator[Fault]:
    for name, item, needed in mismatches(option, value, annotation):
        yield Fault(name, f"={display(item)}: {describe(needed)} is needed")


def _elsewhere(name: str, values: Mapping[str, Any]) -> str:
    """Suggest options of the same name in groups, or of a similar name."""
    inside = [f"{group}.{name}" for group, node in values.items() if isinstance(node, Mapping) and name in node]
    return did_you_mean([*inside, *close_names(name, get_type_hints(TopLevel))])


def _faults_of_nodes(path: str, value: object) -> Iterator[Fault]:
    """Check all components in a node, at any depth."""
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from _faults_of_nodes(f"{path}[{number}]", item)
    elif isinstance(value, Mapping):
        if is_component(value):
            yield from _faults_of_component(path, value)
        if value.get("_recursive_", True):
            for name, item in value.items():
                yield from _faults_of_nodes(f"{path}.{name}", item)


def locate(name: str) -> Any:
    """Import the class or function of a dotted name; `hydra.utils.get_object` would also log errors."""
    try:
        return pkgutil.resolve_name(name)
    except AttributeError:
        importlib.import_module(name.rpartition(".")[0])  # raises the error of a module that cannot be imported
        raise


def _faults_of_component(path: str, node: Mapping[str, Any]) -> Iterator[Fault]:
    try:
        target = locate(node["_target_"])
    except Exception as error:  # importing a user's module can raise anything
        yield Fault(f"{path}._target_", f"={display(node['_target_'])}: cannot be imported: {line_of(error)}")
        return
    try:
        parameters = inspect.signature(target).parameters
    except (TypeError, ValueError):
        return  # implemented in C, without a signature
    yield from _faults_of_call(path, node, target, parameters)


def _faults_of_call(
    path: str, node: Mapping[str, Any], target: Any, parameters: Mapping[str, inspect.Parameter]
) -> Iterator[Fault]:
    """Check the arguments of a component against the parameters of its target."""
    names, annotations = parameters_by_name(parameters), annotations_of(target)
    passed = (*list(parameters)[: PASSED_FIRST.get(path, 0)], *PASSED_BY_NAME.get(path, ()))
    has_kwargs = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    arguments = {name: value for name, value in node.items() if name not in RESERVED}
    positional = [name for name in parameters if parameters[name].kind is not inspect.Parameter.KEYWORD_ONLY]
    arguments |= dict(zip(positional, node.get("_args_", ()), strict=False))
    for name, value in arguments.items():
        option = f"{path}.{name}"
        if name in passed:
            yield Fault(option, ": is set by sr itself: remove this option")
        elif name in names or option in ANNOTATIONS:
            yield from _faults_of_value(option, value, annotations.get(name, Any), names.get(name))
        elif not has_kwargs or not _is_forwarded(node["_target_"], name):
            valid_names = [other for other in names if other not in passed]
            yield Fault(option, f": {_no_such_option(path, name, target, valid_names)}")
    if not node.get("_partial_"):
        for name, parameter in names.items():
            if parameter.default is parameter.empty and name not in (*arguments, *passed):
                yield Fault(f"{path}.{name}", f": {describe(annotations.get(name, Any))} is needed")


def _is_forwarded(target_name: str, name: str) -> bool:
    """Whether a target with ``**kwargs`` accepts an argument; true unless it is known what it forwards them to."""
    if target_name not in FORWARDED_TO:
        return True
    return name in inspect.signature(locate(FORWARDED_TO[target_name])).parameters


def parameters_by_name(parameters: Mapping[str, inspect.Parameter]) -> dict[str, inspect.Parameter]:
    """The parameters that can be passed by name."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {name: parameter for name, parameter in parameters.items() if parameter.kind in kinds}


def _faults_of_value(
    option: str, value: object, annotation: Any, parameter: inspect.Parameter | None
) -> Iterator[Fault]:
    if option in ALSO_VALID:
        annotation = Union[ALSO_VALID[option], annotation]  # noqa: UP007 - both are variables
    annotation = ANNOTATIONS.get(option, annotation)
    if option in FOLDERS:
        value = _folder_names(value)
    if parameter and option not in ANNOTATIONS and value is parameter.default is None:
        return  # as in `size: int = None`
    yield from _mismatches(option, value, annotation)


def _no_such_option(path: str, name: str, target: Any, names: Sequence[str]) -> str:
    listed = f" (it has {', '.join(names)})" if 0 < len(names) <= _MAX_LISTED else ""
    similar = [f"{path}.{other}" for other in close_names(name, names)]
    return f"{getattr(target, '__name__', target)} has no such option{listed}{did_you_mean(similar)}"


def _missing_device(trainer: Mapping[str, Any]) -> Iterator[Fault]:
    accelerator = trainer.get("accelerator")
    if accelerator not in ("gpu", "cuda", "mps"):
        return
    from lightning.pytorch.accelerators import CUDAAccelerator, MPSAccelerator

    has_cuda, has_mps = CUDAAccelerator.is_available(), MPSAccelerator.is_available()
    if not {"gpu": has_cuda or has_mps, "cuda": has_cuda, "mps": has_mps}[accelerator]:
        yield Fault("trainer.accelerator", f"={accelerator}: no GPU was found; use trainer=cpu or trainer=auto")


def _folder_names(root: object) -> object:
    """Convert numbers to strings, since YAML reads a folder named 2024 as a number."""
    if isinstance(root, list):
        return [_folder_names(folder) for folder in root]
    return str(root) if isinstance(root, int | float) and not isinstance(root, bool) else root


def _faults_of_root(data: Mapping[str, Any]) -> Iterator[Fault]:
    """Check ``data.root`` against the first parameter of ``data.find``, the function that lists the images."""
    root, find = _folder_names(data.get("root")), data.get("find")
    if root is None or not isinstance(find, Mapping) or not find.get("_partial_"):
        return
    try:
        target = locate(find["_target_"])
        first = next(iter(inspect.signature(target).parameters))
    except Exception:  # reported by the check of the component
        return
    annotation = annotations_of(target).get(first, Any)
    if describe(annotation) == "null":
        name = getattr(target, "__name__", target)
        yield Fault("data.root", f"={display(root)}: {name} reads no folder: choose data=folder or data=isr")
    else:
        yield from _mismatches("data.root", root, annotation)
