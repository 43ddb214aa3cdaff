"""Open untrusted ONNX files that need no other file, and run them on the CPU with limited memory."""

import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from sr.errors import UserError
from sr.weights.onnx.providers import CPU, OPENVINO, OpenVinoSession, checked_provider

METADATA = "sr"  # key of the JSON that says how to use a file that `sr.weights.onnx.exported.export` wrote
INSTALL = "pip install 'sr-compare[onnx]'"

_MAX_MEMORY = 2**32  # bytes, of all ONNX Runtime sessions together
_OUT_OF_MEMORY = "smaller than requested bytes"  # in the message of ONNX Runtime
_MAX_FILE_BYTES = 2**30
_MAX_OPERATIONS = 4096
_STANDARD = {"", "ai.onnx"}  # domains


def new_session(content: bytes, provider: str = CPU) -> Any:
    """Open a file that `read_onnx` has read.

    Args:
        content: of the file.
        provider: what computes: ``cpu``, ``cuda``, ``openvino`` or another of ONNX Runtime. OpenVINO is used by its own
            package unless ONNX Runtime was built with it. The limit of memory is that of the CPU alone.

    Raises:
        UserError: if ONNX Runtime is not installed, or lacks the provider; further errors are its own.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError(f"ONNX files need onnxruntime: {INSTALL}") from error
    installed = onnxruntime.get_available_providers()
    if provider.lower() == OPENVINO and "OpenVINOExecutionProvider" not in installed:
        return OpenVinoSession(content, _threads())
    chosen = checked_provider(provider, installed)
    _limit_memory()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _threads()
    options.log_severity_level = 4  # fatal: other errors are raised as well
    options.add_session_config_entry("session.use_env_allocators", "1")
    # Older versions ignore the memory limit while folding constants; these networks have few to fold.
    session = onnxruntime.InferenceSession(
        content, options, providers=[chosen], disabled_optimizers=["ConstantFolding"]
    )
    if chosen not in session.get_providers():  # its libraries are missing: ONNX Runtime goes on without it
        raise UserError(f"--provider {provider}: onnxruntime cannot start it here: are its driver and libraries there?")
    return session


def _threads() -> int:
    """Those of torch, where it is loaded, else those of ``OMP_NUM_THREADS``; 0: as many as there are cores."""
    if torch := sys.modules.get("torch"):
        return int(torch.get_num_threads())
    wanted = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return min(int(wanted), os.cpu_count() or 1) if wanted.isdecimal() else 0


@cache
def _limit_memory() -> None:
    """Limit the memory of all sessions of this process: a tiny ONNX file can request terabytes."""
    import onnxruntime as ort

    memory = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    ort.create_and_register_allocator(memory, ort.OrtArenaCfg({"max_mem": _MAX_MEMORY}))


def run_session(session: Any, inputs: dict[str, Any]) -> "np.ndarray[Any, Any]":
    """The one output of a network.

    Raises:
        MemoryError: if this takes more than 4 GiB.
        ValueError: if it is not an array; further errors are those of ONNX Runtime.
    """
    try:
        out = session.run(None, inputs)[0]
    except Exception as error:
        if _OUT_OF_MEMORY in str(error):
            raise MemoryError("it needs more than 4 GiB of memory") from error
        raise
    if not isinstance(out, np.ndarray):
        raise ValueError("its output is not an image")
    return out


def read_onnx(path: Path) -> tuple[bytes, Any, str | None]:
    """Read a self-contained ONNX file without loops.

    Returns:
        Its bytes; what they describe, an ``onnx.ModelProto``; and what `sr.weights.onnx.exported.export` recorded in
        it, if it wrote the file.

    Raises:
        UserError: if the package onnx is not installed.
        ValueError: if the file contains something that could reach beyond it, or run for ever.
    """
    try:
        import onnx
    except ImportError as error:
        raise UserError(f"ONNX files need the package onnx: {INSTALL}") from error
    if not path.is_file() or path.stat().st_size > _MAX_FILE_BYTES:
        raise ValueError("it is not a file, or is too large")
    content = path.read_bytes()
    proto = onnx.load_model_from_string(content)
    graph = proto.graph
    attributes = [attribute for node in graph.node for attribute in node.attribute]
    tensors = [
        *graph.initializer,
        *(tensor for attribute in attributes for tensor in (attribute.t, *attribute.tensors)),
    ]
    if any(tensor.external_data or tensor.data_location for tensor in tensors):
        raise ValueError("it reads values from other files")
    if {node.domain for node in graph.node} - _STANDARD or proto.functions or proto.training_info:
        raise ValueError("it has custom operations")
    if any(attribute.HasField("g") or attribute.graphs for attribute in attributes):
        raise ValueError("it has loops or branches")
    if len(graph.node) > _MAX_OPERATIONS:
        raise ValueError(f"it has more than {_MAX_OPERATIONS} operations")
    sparse = graph.sparse_initializer or any(
        attribute.HasField("sparse_tensor") or attribute.sparse_tensors for attribute in attributes
    )
    if sparse:
        raise ValueError("it has sparse weights")
    return content, proto, _exported(proto)


def is_exported(path: Path) -> bool:
    """Whether `sr.weights.onnx.exported.export` wrote a file; also for a file that cannot be read as ONNX."""
    try:
        return read_onnx(path)[2] is not None
    except Exception:  # said once it is opened
        return True


def _exported(proto: Any) -> str | None:
    return next((entry.value for entry in proto.metadata_props if entry.key == METADATA), None)
