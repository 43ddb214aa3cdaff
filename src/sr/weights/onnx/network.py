"""Networks that `sr.weights.onnx.exported.export` wrote, run by ONNX Runtime on arrays, without torch."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from sr.arrays import Array
from sr.errors import UserError, line_of
from sr.io.hashes import files_hash
from sr.io.tiffs import MOST_CHANNELS
from sr.weights.model import MOST_SCALE, Model
from sr.weights.onnx.providers import CPU
from sr.weights.onnx.session import new_session, read_onnx, run_session

_TRIED = (16, 16)  # pixels of the image that a network is run on when it is opened
_MAX_NUMBER = 4096  # pixels of halo and alignment


class ExportedNetwork:
    """An exported network.

    Attributes:
        provider: what runs it, see `sr.weights.onnx.session.new_session`.
        scale: factor of the sides.
        halo: low-resolution pixels around a pixel that its output depends on at most.
        align: grid of low-resolution pixels that its strides need.
        image_channels: of its images.
        shrink: how far its input was shrunk in training, if it has scale 1 and that is recorded.
        degrade: config of the degradation that made its input in training, if that is recorded.
    """

    def __init__(self, path: Path, provider: str = CPU) -> None:
        """Open the file, and run it on a small image.

        Raises:
            UserError: if it is not an ONNX file, or was not written by `sr.weights.onnx.exported.export`.
        """
        self.provider = provider
        try:
            content, proto, metadata = read_onnx(path)
            if metadata is None:
                raise UserError(f"{path}: was not written by sr export")
            properties = usage_of(metadata)
            if [value.name for value in proto.graph.input] != ["lr"] or len(proto.graph.output) != 1:
                raise ValueError("it does not map one image to one image")
            self.scale, self.halo, self.align = (properties[name] for name in ("scale", "halo", "align"))
            self.image_channels = properties["channels"]
            self.shrink, self.degrade = properties.get("shrink"), properties.get("degrade")
            self.session = new_session(content, provider)
            tried = np.random.default_rng(0).random((1, self.image_channels, *_TRIED), np.float32)
            if not np.isfinite(self(tried)).all():
                raise ValueError("its output is not finite")
        except UserError:
            raise
        except Exception as error:  # a damaged, foreign or hostile file fails in many ways
            raise UserError(f"{path}: cannot be read as an ONNX file ({line_of(error)})") from error

    def __call__(self, lr: Array) -> Array:
        """Enlarge ``(N, C, h, w)`` of float32 in [0, 1]; sides of one pixel are padded to two.

        Raises:
            MemoryError: if this takes more than 4 GiB.
            ValueError: if the output does not have the expected size and type.
        """
        height, width = lr.shape[-2:]
        padded = lr
        if 1 in (height, width):
            padded = np.pad(lr, ((0, 0), (0, 0), (0, int(height == 1)), (0, int(width == 1))), mode="edge")
        out = run_session(self.session, {"lr": np.ascontiguousarray(padded)})
        shape = (lr.shape[0], self.image_channels, padded.shape[-2] * self.scale, padded.shape[-1] * self.scale)
        if out.dtype != np.float32 or out.shape != shape:
            raise ValueError(f"its output is not float32 of shape {shape}")
        return out[..., : height * self.scale, : width * self.scale]


def exported_model(path: Path, net: Any, scale: int | None) -> Model:
    """The model of an exported network.

    Args:
        path: of its file.
        net: an `ExportedNetwork`, or what runs it in torch.
        scale: that it has to have; None for any.

    Raises:
        UserError: if it has another.
    """
    check_scale(path, net.scale, scale)
    weights_hash = files_hash([path])
    return Model(str(path), net.scale, [net], shrink=net.shrink, weights_hash=weights_hash, degrade=net.degrade)


def check_scale(path: Path, scale: int, wanted: int | None) -> None:
    """Check that a file has a network for the wanted scale.

    Raises:
        UserError: if not.
    """
    if wanted not in (None, scale):
        raise UserError(f"{path}: is a network for scale {scale}, not {wanted}")


def usage_of(metadata: str) -> dict[str, Any]:
    """The scale, halo, alignment and channels that `sr.weights.onnx.exported.export` recorded in a file.

    Raises:
        ValueError: if they are not those of a network.
    """
    usage = json.loads(metadata)
    properties = {name: usage[name] for name in ("scale", "halo", "align")}
    properties["channels"] = usage.get("channels", 3)  # earlier versions knew RGB only
    channels = ("channels", 1, MOST_CHANNELS)
    for name, least, most in (("scale", 1, MOST_SCALE), ("halo", 0, _MAX_NUMBER), ("align", 1, _MAX_NUMBER), channels):
        if type(properties[name]) is not int or not least <= properties[name] <= most:
            raise ValueError(f"its {name} is not an integer from {least} to {most}")
    shrink = usage["config"].get("shrink") if isinstance(usage.get("config"), dict) else None
    if type(shrink) is int and 1 <= shrink <= MOST_SCALE:
        properties["shrink"] = shrink
    degrade = usage["config"].get("degrade") if isinstance(usage.get("config"), dict) else None
    if isinstance(degrade, dict):  # checked where it is built
        properties["degrade"] = degrade
    return properties
