"""Trained networks in other programs' formats: ONNX for any image size, and safetensors."""

import json
import logging
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sr.errors import UserError, line_of
from sr.io.atomic import whole_file
from sr.weights.checkpoint import MOST_SCALE, SAFETENSORS, load_network, save_network

ONNX = ".onnx"

_OPSET = 20
_METADATA = "sr"  # key of the JSON in an ONNX file that says how to use it
_TOLERANCE = 1e-4  # between torch and ONNX Runtime, of a range of 1
_CHECKED_SIZES = ((16, 16), (33, 20), (64, 51))
_MEMORY = 2**32  # bytes that all ONNX Runtime sessions together may take
_TOO_LITTLE = "smaller than requested bytes"  # in ONNX Runtime's message
_MOST_BYTES = 2**30  # of a file
_MOST = 4096  # operations of a program; pixels of its halo
_NEEDED = "pip install 'sr[onnx]'"


def export(source: Path, target: Path, scale: int | None = None) -> float:
    """Write a network as ONNX, checked against torch on three sizes, or as safetensors with its config.

    Args:
        source: a checkpoint.
        target: ``*.onnx`` or ``*.safetensors``; written whole or not at all.
        scale: for a network that has several.

    Returns:
        The largest difference between torch and ONNX Runtime, outputs being in [0, 1]; 0 for safetensors.

    Raises:
        UserError: if the checkpoint cannot be used, the format is unknown, a package is missing, or the two disagree.
    """
    net, config = load_network(source, scale)
    if scale is None and len(config["scales"]) > 1 and target.suffix == ONNX:
        raise UserError(f"{source}: enlarges by {', '.join(map(str, config['scales']))}: choose with --scale")
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.suffix == SAFETENSORS:
        save_network(target, net, config)
        return 0.0
    if target.suffix != ONNX:
        raise UserError(f"{target}: cannot be exported to: name a file *{ONNX} or *{SAFETENSORS}")
    scale = scale or config["scale"]
    proto = _program(net).model_proto
    info = {"scale": scale, "halo": int(net.halo), "align": int(getattr(net, "align", 1)), "config": config}  # type: ignore[arg-type]
    proto.metadata_props.add(key=_METADATA, value=json.dumps(info))
    content = proto.SerializeToString()
    difference = _difference(net, content)
    if difference > _TOLERANCE:
        raise UserError(f"{source}: ONNX Runtime's result differs by {difference:.2g} from torch's: not exported")
    with whole_file(target) as file:
        file.write(content)
    return difference


def _program(net: nn.Module) -> Any:
    height, width = torch.export.Dim("height", min=2), torch.export.Dim("width", min=2)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return torch.onnx.export(
                net,
                (torch.rand(1, 3, 24, 28),),
                dynamo=True,
                opset_version=_OPSET,
                input_names=["lr"],
                output_names=["sr"],
                dynamic_shapes={"lr": {0: torch.export.Dim("batch", min=1), 2: height, 3: width}},
                verbose=False,
            )
        except ImportError as error:
            raise UserError(f"exporting to ONNX needs more packages ({error.name}): {_NEEDED}") from error


def _difference(net: nn.Module, content: bytes) -> float:
    session = _session(content)
    worst = 0.0
    for size in _CHECKED_SIZES:
        lr = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            ours = net(lr).numpy()
        worst = max(worst, float(np.abs(session.run(None, {"lr": lr.numpy()})[0] - ours).max()))
    return worst


def _session(content: bytes) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError(f"ONNX files need onnxruntime: {_NEEDED}") from error
    _limit_memory()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4  # it raises what it logs
    options.add_session_config_entry("session.use_env_allocators", "1")
    # Older versions fold constants in memory that has no limit; networks of ours have few to fold.
    return onnxruntime.InferenceSession(
        content, options, providers=["CPUExecutionProvider"], disabled_optimizers=["ConstantFolding"]
    )


@cache
def _limit_memory() -> None:
    """Limit the memory of all sessions of this process: a program of a few bytes can ask for terabytes."""
    import onnxruntime as ort

    memory = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    ort.create_and_register_allocator(memory, ort.OrtArenaCfg({"max_mem": _MEMORY}))


def _read(path: Path) -> tuple[bytes, dict[str, int]]:
    """Read a self-contained program, and its scale, halo and alignment.

    Raises:
        UserError: if it was not written by `export`.
        ValueError: for what `export` never writes.
    """
    try:
        import onnx
    except ImportError as error:
        raise UserError(f"ONNX files need the package onnx: {_NEEDED}") from error
    if not path.is_file() or path.stat().st_size > _MOST_BYTES:
        raise ValueError("it is not a file, or too large")
    content = path.read_bytes()
    proto = onnx.load_model_from_string(content)
    texts = [entry.value for entry in proto.metadata_props if entry.key == _METADATA]
    if not texts:
        raise UserError(f"{path}: was not written by sr export: its scale and margins are unknown")
    info = json.loads(texts[0])
    properties = {name: info[name] for name in ("scale", "halo", "align")}
    for name, least, most in (("scale", 1, MOST_SCALE), ("halo", 0, _MOST), ("align", 1, _MOST)):
        if type(properties[name]) is not int or not least <= properties[name] <= most:
            raise ValueError(f"its {name} is not an integer from {least} to {most}")
    graph = proto.graph
    attributes = [attribute for node in graph.node for attribute in node.attribute]
    tensors = [
        *graph.initializer,
        *(tensor for attribute in attributes for tensor in (attribute.t, *attribute.tensors)),
    ]
    if any(tensor.external_data or tensor.data_location for tensor in tensors):
        raise ValueError("it takes values from other files")
    domains = {entry.domain for entry in (*graph.node, *proto.opset_import)}
    if domains - {""} or proto.functions or proto.training_info:
        raise ValueError("it has custom operations")
    if any(attribute.HasField("g") or attribute.graphs for attribute in attributes) or len(graph.node) > _MOST:
        raise ValueError("it has loops or branches, or too many operations")
    sparse = graph.sparse_initializer or any(
        attribute.HasField("sparse_tensor") or attribute.sparse_tensors for attribute in attributes
    )
    if sparse or [value.name for value in graph.input] != ["lr"] or len(graph.output) != 1:
        raise ValueError("it does not map one image to one image")
    return content, properties


class OnnxNetwork(nn.Module):
    """An exported network, run by ONNX Runtime on the CPU."""

    def __init__(self, path: Path) -> None:
        """Open the file, and try it on a small image.

        Raises:
            UserError: if it is not an ONNX file, or was not written by `export`.
        """
        super().__init__()
        try:
            content, info = _read(path)
            self.scale, self.halo, self.align = info["scale"], info["halo"], info["align"]
            self.session = _session(content)
            if not self(torch.rand(1, 3, *_CHECKED_SIZES[0])).isfinite().all():
                raise ValueError("its result is not finite")
        except UserError:
            raise
        except Exception as error:  # a damaged, foreign or hostile file fails in many ways
            raise UserError(f"{path}: cannot be read as an ONNX file ({line_of(error)})") from error

    def forward(self, lr: Tensor) -> Tensor:
        """Enlarge ``(N, 3, h, w)`` in [0, 1]; a single row or column is doubled first.

        Raises:
            MemoryError: if that takes more than 4 GiB.
            ValueError: if the output does not have the size that the file's scale implies.
        """
        height, width = lr.shape[-2:]
        padded = nn.functional.pad(lr, (0, int(width == 1), 0, int(height == 1)), mode="replicate")
        try:
            out = self.session.run(None, {"lr": np.ascontiguousarray(padded.cpu().numpy())})[0]
        except Exception as error:
            if _TOO_LITTLE in str(error):
                raise MemoryError("the program takes more than 4 GiB of memory") from error
            raise
        shape = (lr.shape[0], 3, padded.shape[-2] * self.scale, padded.shape[-1] * self.scale)
        if not isinstance(out, np.ndarray) or out.dtype != np.float32 or out.shape != shape:
            raise ValueError(f"its result is not {shape} of float32")
        return torch.from_numpy(out)[..., : height * self.scale, : width * self.scale]
