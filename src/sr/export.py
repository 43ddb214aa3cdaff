"""Trained networks in other programs' formats: ONNX for any image size, and safetensors."""

import json
import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sr.checkpoint import SAFETENSORS, load_network, save_network
from sr.errors import UserError
from sr.writing import whole_file

ONNX = ".onnx"

_OPSET = 20
_METADATA = "sr"  # key of the JSON in an ONNX file that says how to use it
_TOLERANCE = 1e-4  # between torch and ONNX Runtime, of a range of 1
_CHECKED_SIZES = ((16, 16), (33, 20), (64, 51))
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


def _session(content: bytes | str) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError(f"ONNX files need onnxruntime: {_NEEDED}") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


class OnnxNetwork(nn.Module):
    """An exported network, run by ONNX Runtime on the CPU."""

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            UserError: if it is no ONNX file, or was not written by `export`.
        """
        super().__init__()
        try:
            self.session = _session(str(path))
            info = json.loads(self.session.get_modelmeta().custom_metadata_map[_METADATA])
            self.scale, self.halo, self.align = (int(info[name]) for name in ("scale", "halo", "align"))
            if min(self.scale, self.halo + 1, self.align) < 1:
                raise ValueError
        except UserError:
            raise
        except KeyError as error:
            raise UserError(f"{path}: was not written by sr export: how it is to be used is not known") from error
        except Exception as error:  # a damaged or foreign file fails in many ways
            raise UserError(f"{path}: cannot be read as an ONNX file") from error

    def forward(self, lr: Tensor) -> Tensor:
        """Enlarge ``(N, 3, h, w)`` in [0, 1]; a single row or column is doubled first."""
        height, width = lr.shape[-2:]
        padded = nn.functional.pad(lr, (0, int(width == 1), 0, int(height == 1)), mode="replicate")
        out = torch.from_numpy(self.session.run(None, {"lr": np.ascontiguousarray(padded.cpu().numpy())})[0])
        return out[..., : height * self.scale, : width * self.scale]
