"""Export trained networks to ONNX, for any image size, or to safetensors; run exported ONNX files."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sr.errors import UserError, line_of
from sr.io.atomic import whole_file
from sr.terms import image_channels
from sr.weights.checkpoint import save_network
from sr.weights.community import CommunityNetwork, open_network, save_community
from sr.weights.onnx.network import ExportedNetwork
from sr.weights.onnx.providers import CPU
from sr.weights.onnx.quiet import quietly
from sr.weights.onnx.session import INSTALL, METADATA, new_session
from sr.weights.reading.stored import SAFETENSORS

ONNX = ".onnx"

_OPSET = 20
_TOLERANCE = 1e-4  # between the outputs of torch and ONNX Runtime, which are in [0, 1]
_CHECKED_SIZES = ((16, 16), (33, 20), (64, 51))


def export(source: Path, target: Path, scale: int | None = None) -> float:
    """Write a network as ONNX, compared with torch on three image sizes, or as safetensors with its config.

    Args:
        source: a checkpoint.
        target: ``*.onnx`` or ``*.safetensors``; written atomically.
        scale: for a network trained for several.

    Returns:
        The largest difference between the outputs of torch and ONNX Runtime, in [0, 1]; 0 for safetensors.

    Raises:
        UserError: if the checkpoint cannot be used, the format is unknown, a package is missing, or the two disagree.
    """
    suffix = target.suffix.lower()
    if suffix not in (ONNX, SAFETENSORS):
        raise UserError(f"{target}: unknown format: name a file *{ONNX} or *{SAFETENSORS}")
    if suffix == ONNX:
        network = onnx_of(source, scale)
        write_onnx(target, network)
        return network.difference
    target.parent.mkdir(parents=True, exist_ok=True)
    net, config = open_network(source, scale)
    if isinstance(net, CommunityNetwork):
        save_community(target, net)
    else:
        save_network(target, net, config)
    return 0.0


@dataclass(frozen=True)
class Exported:
    """A network as ONNX.

    Attributes:
        proto: an ``onnx.ModelProto``, in float32.
        usage: what is recorded in the file; JSON.
        difference: the largest between the outputs of torch and ONNX Runtime, in [0, 1].
    """

    proto: Any
    usage: dict[str, Any]
    difference: float


def onnx_of(source: Path, scale: int | None = None) -> Exported:
    """Convert a network, and compare it with torch on three image sizes.

    Raises:
        UserError: if the checkpoint cannot be used, a package is missing, or the two disagree.
    """
    net, config = open_network(source, scale)
    if scale is None and len(config["scales"]) > 1:
        raise UserError(f"{source}: enlarges by {', '.join(map(str, config['scales']))}: choose with --scale")
    scale = scale or config["scale"]
    usage = {"scale": scale, "halo": int(net.halo), "align": int(getattr(net, "align", 1)), "config": config}  # type: ignore[arg-type]
    usage["channels"] = image_channels(net)
    try:
        proto = _to_onnx(net).model_proto
        difference = _max_difference(net, proto.SerializeToString())
    except UserError:
        raise
    except Exception as error:
        architecture = getattr(net, "architecture", None)  # of spandrel
        if architecture is None:
            raise  # a fault of ours, or of the user's own network
        reason = str(error.__cause__ or error)
        raise UserError(f"{source}: {architecture} cannot be exported ({line_of(ValueError(reason))})") from error
    if difference > _TOLERANCE:
        raise UserError(f"{source}: ONNX Runtime's result differs from torch's by {difference:.2g}: not exported")
    return Exported(proto, usage, difference)


def write_onnx(target: Path, network: Exported) -> None:
    """Write a network with what is recorded about it, atomically."""
    network.proto.metadata_props.add(key=METADATA, value=json.dumps(network.usage))
    target.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(target) as file:
        file.write(network.proto.SerializeToString())


def _to_onnx(net: nn.Module) -> Any:
    height, width = torch.export.Dim("height", min=2), torch.export.Dim("width", min=2)
    with quietly():  # the exporter logs pages about what it tries
        try:
            return torch.onnx.export(
                net,
                (torch.rand(1, image_channels(net), 24, 28),),
                dynamo=True,
                opset_version=_OPSET,
                input_names=["lr"],
                output_names=["sr"],
                dynamic_shapes={"lr": {0: torch.export.Dim("batch", min=1), 2: height, 3: width}},
                verbose=False,
            )
        except ImportError as error:
            raise UserError(f"exporting to ONNX needs more packages ({error.name}): {INSTALL}") from error


def _max_difference(net: nn.Module, content: bytes) -> float:
    session = new_session(content)
    difference = 0.0
    for size in _CHECKED_SIZES:
        lr = torch.rand(1, image_channels(net), *size, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            expected = net(lr).numpy()
        actual = session.run(None, {"lr": lr.numpy()})[0]
        difference = max(difference, float(np.abs(actual - expected).max()))
    return difference


class OnnxNetwork(nn.Module):
    """An exported network as a module, see `sr.weights.onnx.network.ExportedNetwork`."""

    def __init__(self, path: Path, provider: str = CPU) -> None:
        """Open the file, and run it on a small image.

        Raises:
            UserError: if it is not an ONNX file, or was not written by `export`.
        """
        super().__init__()
        self.network = network = ExportedNetwork(path, provider)
        self.provider, self.scale, self.halo, self.align = provider, network.scale, network.halo, network.align
        self.image_channels, self.shrink, self.degrade = network.image_channels, network.shrink, network.degrade

    def forward(self, lr: Tensor) -> Tensor:
        """Enlarge ``(N, C, h, w)`` in [0, 1]; sides of one pixel are padded to two.

        Raises:
            MemoryError: if this takes more than 4 GiB.
            ValueError: if the output does not have the expected size and type.
        """
        return torch.from_numpy(self.network(lr.cpu().numpy()))
