"""What runs an ONNX network: a provider of ONNX Runtime, or the package openvino."""

from typing import Any

import numpy as np

from sr.errors import UserError

CPU, OPENVINO = "cpu", "openvino"
_OPENVINO_INSTALL = "pip install 'sr-compare[onnx,openvino]'"
_IN_RUNTIME = "ExecutionProvider"
# What people call them, and what ONNX Runtime does; others are written as ONNX Runtime has them, such as QNN.
_SHORT = {
    "cpu": "CPU",
    "cuda": "CUDA",
    "tensorrt": "Tensorrt",
    "rocm": "ROCM",
    "directml": "Dml",
    "coreml": "CoreML",
    "openvino": "OpenVINO",
}
_PACKAGES = {"cuda": "onnxruntime-gpu", "tensorrt": "onnxruntime-gpu", "directml": "onnxruntime-directml"}


def checked_provider(name: str, installed: list[str]) -> str:
    """The name of a provider in ONNX Runtime.

    Args:
        name: as the user writes it, in any case.
        installed: the providers of this ONNX Runtime.

    Raises:
        UserError: if it is not among them.

    >>> checked_provider("cuda", ["CUDAExecutionProvider", "CPUExecutionProvider"])
    'CUDAExecutionProvider'
    """
    wanted = f"{_SHORT.get(name.lower(), name)}{_IN_RUNTIME}"
    for provider in installed:
        if provider.lower() == wanted.lower():
            return provider
    have = ", ".join(_short(provider) for provider in installed)
    package = _PACKAGES.get(name.lower())
    advice = f": install {package} in place of onnxruntime" if package else ""
    raise UserError(f"--provider {name}: this onnxruntime has {have} only{advice}")


def _short(provider: str) -> str:
    name = provider.removesuffix(_IN_RUNTIME)
    return next((short for short, long in _SHORT.items() if long == name), name)


class OpenVinoSession:
    """A network compiled by the package openvino, with the interface of a session of ONNX Runtime."""

    def __init__(self, content: bytes, threads: int) -> None:
        """Compile a network for the CPU, in float32 except for what its file quantises.

        Raises:
            UserError: if openvino is not installed; further errors are its own.
        """
        try:
            import openvino
        except ImportError as error:
            raise UserError(f"--provider openvino: needs the package openvino: {_OPENVINO_INSTALL}") from error
        core = openvino.Core()
        settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}
        self._network = core.compile_model(core.read_model(content), "CPU", settings)

    def run(self, _: None, inputs: dict[str, "np.ndarray[Any, Any]"]) -> list["np.ndarray[Any, Any]"]:
        """The outputs for some inputs, by name."""
        return [np.array(self._network(inputs)[0])]
