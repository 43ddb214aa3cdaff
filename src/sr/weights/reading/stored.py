"""What a file of weights holds, read without running anything from it: named tensors, and a config if sr wrote it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import torch
from torch import Tensor

from sr.errors import UserError, line_of, shortened
from sr.weights.reading.archive import read_archive

SAFETENSORS = ".safetensors"
CONFIG = "sr"  # key of the config in a checkpoint, and in the metadata of a safetensors file
PREFIX = "net."  # of the network's tensors in a Lightning state dict

# Where the weights are in the files of other programs, the averaged ones first. Few files nest them twice.
_PLACES = ("state_dict", "model_state_dict", "params_ema", "params-ema", "params", "net_g", "generator", "model", "net")
_DEPTH = 3
_PARALLEL = "module."  # that torch's DataParallel puts before all names
_LICENCES = ("license", "licence", "modelspec.license")  # keys of a file's metadata

_MAX_STEPS = 2**53
_MAX_HEADER = 2**20  # bytes before the tensors of a safetensors file; those of sr have a hundredth of it
_FLOATS = frozenset({torch.float32, torch.float64, torch.float16, torch.bfloat16})


@dataclass(frozen=True)
class Stored:
    """The contents of a file of weights; untrusted, as its values are not checked yet.

    Attributes:
        config: what rebuilds the network, with the steps behind its weights; None if sr did not write the file.
        weights: by the names of the network's parameters and buffers.
        place: the key they are found under; empty if the file holds nothing else.
        licence: what the file says of it, in one printable line; empty if it says nothing.
    """

    config: dict[str, Any] | None
    weights: dict[str, object]
    place: str = ""
    licence: str = ""


def read_checkpoint(path: Path) -> Stored:
    """Read a checkpoint, a state dict or a safetensors file.

    Raises:
        UserError: if the file is missing or damaged, or holds no named weights.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such checkpoint")
    read_file = _read_safetensors if path.suffix.lower() == SAFETENSORS else read_archive
    try:
        checkpoint = read_file(path)
    except Exception as error:  # a foreign, damaged or hostile file fails in many ways
        raise UserError(f"{path}: cannot be read as a checkpoint; no code in it was run ({line_of(error)})") from error
    config = checkpoint.get(CONFIG) if isinstance(checkpoint, dict) else None
    place, state = ("state_dict", checkpoint.get("state_dict")) if isinstance(config, dict) else _found(checkpoint)
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise UserError(f"{path}: is not a checkpoint of sr (no named weights)")
    if not isinstance(config, dict):
        config = None
    elif "steps" not in config and "global_step" in checkpoint:
        config = {**config, "steps": checkpoint["global_step"]}  # of an earlier version
    # A training has other parts beside the network, such as a loss.
    of_module = config is not None or "pytorch-lightning_version" in checkpoint
    is_bare = not of_module and not all(name.startswith(PREFIX) for name in state)
    prefix = "" if is_bare else PREFIX  # a bare state dict has the names of the network itself
    if is_bare and state and all(name.startswith(_PARALLEL) for name in state):
        prefix = _PARALLEL
    weights = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    return Stored(config, weights, place, _licence(checkpoint))


def steps_of(config: Mapping[str, object] | None) -> int | None:
    """The steps behind the weights of a config from `read_checkpoint`; None if they are not known."""
    steps = (config or {}).get("steps")
    return steps if type(steps) is int and 0 <= steps <= _MAX_STEPS else None


def check_values(name: str, value: Tensor, dtype: torch.dtype) -> None:
    """Refuse a tensor of a file whose values cannot become weights of a type; its shape is not looked at."""
    if value.untyped_storage().nbytes() != value.numel() * value.element_size():
        raise UserError(f"its weights {name} are a view of a larger storage")
    if value.dtype not in _FLOATS and value.dtype != dtype:
        raise UserError(f"its weights {name} are of {value.dtype}, not of {dtype}")
    if not value.isfinite().all():
        raise UserError(f"its weights {name} are not finite: training diverged, or the file is damaged")


def printable(value: object) -> str:
    """Format an untrusted value, or only its type if its text could be very long."""
    is_short = isinstance(value, str | int | float) or value is None
    return shortened(repr(value)) if is_short else f"a {type(value).__name__}"


def _found(contents: object) -> tuple[str, object]:
    """The state dict of a file that sr did not write, and the key it is under."""
    place = ""
    for _ in range(_DEPTH):
        if not isinstance(contents, dict):
            break
        inner = next((key for key in _PLACES if isinstance(contents.get(key), dict)), None)
        if inner is None:
            break
        place, contents = inner, contents[inner]
    return place, contents


def _licence(contents: Any) -> str:
    metadata = contents.get("metadata", contents)
    texts = (metadata.get(key) for key in _LICENCES) if isinstance(metadata, dict) else ()
    text = next((text for text in texts if isinstance(text, str) and text.strip()), "")
    return line_of(ValueError(text)) if text else ""


def _read_safetensors(path: Path) -> dict[str, Any]:
    with path.open("rb") as header:
        if int.from_bytes(header.read(8), "little") > _MAX_HEADER:
            raise ValueError("its header is too long")
    with safetensors.safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    config = {CONFIG: json.loads(metadata[CONFIG])} if CONFIG in metadata else {}
    return {**config, "state_dict": state, "metadata": metadata}
