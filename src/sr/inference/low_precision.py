"""Export networks as ONNX in float16 or int8, with the PSNR that this costs on given images."""

import io
import logging
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from torch import Tensor

from sr.errors import UserError, check_choice
from sr.image import crop_to_multiple, quantise, resize, to_float
from sr.io.bars import progress_bar
from sr.io.images import SUFFIXES
from sr.io.pixel_formats import PixelFormat, read_pixels
from sr.weights.onnx.exported import ONNX, Exported, onnx_of, write_onnx
from sr.weights.onnx.quiet import quietly
from sr.weights.onnx.session import INSTALL, new_session, run_session

FLOAT16, INT8 = LOW_PRECISIONS = ("float16", "int8")

_MOST_IMAGES = 64
_SIDE = 128  # of the centres of images that are enlarged, in low-resolution pixels
_LEAST_SIDE = 16
_SHRINK = 2  # of the input of networks of scale 1 that record nothing else
_QUANTISED = ["Conv", "Relu", "LeakyRelu"]


@dataclass(frozen=True)
class Cost:
    """What a lower precision costs.

    Attributes:
        precision: of ``LOW_PRECISIONS``.
        psnr: mean over the images, in dB, of all channels and 8 bits.
        psnr_float32: that of the network before.
        images: on which it was measured.
        calibrated_on: images from which the ranges of values are; 0 for float16.
    """

    precision: str
    psnr: float
    psnr_float32: float
    images: int
    calibrated_on: int

    def __str__(self) -> str:
        """In words.

        >>> str(Cost("int8", 34.70, 34.82, 5, 5))
        'int8: PSNR 34.70 dB instead of 34.82 (-0.12) on 5 images, calibrated on 5 others'
        """
        calibrated = f", calibrated on {self.calibrated_on} others" if self.calibrated_on else ""
        images = "1 image" if self.images == 1 else f"{self.images} images"
        return (
            f"{self.precision}: PSNR {self.psnr:.2f} dB instead of {self.psnr_float32:.2f} "
            f"({self.psnr - self.psnr_float32:+.2f}) on {images}{calibrated}"
        )


def export_low_precision(source: Path, target: Path, scale: int | None, precision: str, folder: Path) -> Cost:
    """Write a network as ONNX in float16 or int8; what that costs is recorded in the file.

    float16 stores weights and computes in 16 bits, input and output stay float32. int8 quantises convolutions but the
    first and the last, which see the image itself, statically: the ranges of their inputs are those found on images.

    Args:
        source: a checkpoint.
        target: ``*.onnx``; written atomically.
        scale: for a network trained for several.
        precision: one of ``LOW_PRECISIONS``.
        folder: sharp images, whose low resolution is derived by bicubic. For int8, every other one calibrates, and the
            cost is measured on the rest.

    Raises:
        UserError: if the network cannot be exported, or for a folder of too few images.
    """
    check_choice("--precision", precision, LOW_PRECISIONS)
    if target.suffix.lower() != ONNX:
        raise UserError(f"{target}: --precision {precision} is for *{ONNX}")
    paths = _images_in(folder, least=2 if precision == INT8 else 1)
    network = onnx_of(source, scale)
    pairs = [_pair(path, network.usage) for path in paths]
    measured, calibration = (pairs[1::2], pairs[::2]) if precision == INT8 else (pairs, [])
    before = _psnr(network.proto, measured)
    proto = _in_float16(network.proto) if precision == FLOAT16 else _in_int8(network.proto, calibration)
    cost = Cost(precision, _psnr(proto, measured), before, len(measured), len(calibration))
    recorded = {
        "precision": precision,
        "psnr": round(cost.psnr, 4),
        "psnr_float32": round(before, 4),
        "images": cost.images,
        "calibrated_on": cost.calibrated_on,
    }
    write_onnx(target, Exported(proto, network.usage | {"cost": recorded}, network.difference))
    return cost


def _images_in(folder: Path, least: int) -> list[Path]:
    """The first images of a folder.

    Raises:
        UserError: if there are too few.
    """
    if not folder.is_dir():
        raise UserError(f"--images {folder}: no such folder")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.name[0] != ".")
    if len(paths) < least:
        raise UserError(f"--images {folder}: has {len(paths)} images, at least {least} are needed")
    if len(paths) > _MOST_IMAGES:
        logging.getLogger(__name__).warning("%s: the first %d of %d images are used", folder, _MOST_IMAGES, len(paths))
    return paths[:_MOST_IMAGES]


def _pair(path: Path, usage: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """Low resolution ``(1, C, h, w)`` and high resolution of the centre of an image, of 8 bits, in [0, 1]."""
    scale = int(usage["scale"])
    factor = scale if scale > 1 else int(usage["config"].get("shrink") or _SHRINK)
    image = to_float(read_pixels(path, PixelFormat(usage["channels"], 8)))
    top, left = (max(0, side - _SIDE * factor) // 2 for side in image.shape[1:])
    centre = image[:, top : top + _SIDE * factor, left : left + _SIDE * factor]
    hr = crop_to_multiple(centre, factor * int(usage["align"]))[None]
    if min(hr.shape[2:]) < _LEAST_SIDE * factor:
        raise UserError(f"{path}: is too small to measure on: {_LEAST_SIDE * factor} pixels a side are needed")
    lr = quantise(resize(hr, 1 / factor))
    return (lr, hr) if scale > 1 else (quantise(resize(lr, factor)), hr)


def _psnr(proto: Any, pairs: Sequence[tuple[Tensor, Tensor]]) -> float:
    """The mean over images, in dB."""
    session = new_session(proto.SerializeToString())
    values = []
    with progress_bar() as progress:
        for lr, hr in progress.track(pairs, description="measuring"):
            out = run_session(session, {"lr": lr.numpy()}).astype(np.float64).clip(0, 1)
            error = np.square((out * 255).round() / 255 - hr.numpy()).mean()
            values.append(10 * np.log10(1 / max(error, 1e-13)))
    return float(np.mean(values))


def _in_float16(proto: Any) -> Any:
    try:
        from onnxruntime.transformers.float16 import convert_float_to_float16
    except ImportError as error:
        raise UserError(f"--precision float16 needs more packages ({error.name}): {INSTALL}") from error
    with quietly(), redirect_stdout(io.StringIO()):
        return convert_float_to_float16(_copy(proto), keep_io_types=True)


def _in_int8(proto: Any, calibration: Sequence[tuple[Tensor, Tensor]]) -> Any:
    """Quantise, with scales of each channel for weights; a resize is a fixed filter, and is left as it is."""
    try:
        import onnx
        from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    except ImportError as error:
        raise UserError(f"--precision int8 needs more packages ({error.name}): {INSTALL}") from error

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = iter(calibration)

        def get_next(self) -> dict[str, Any] | None:
            pair = next(self.left, None)
            return None if pair is None else {"lr": pair[0].numpy()}

    trained = _trained_convolutions(proto)
    if len(trained) < 3:
        raise UserError("--precision int8: the first and last convolution stay float32, and there are no others")
    fixed = {node.name for node in proto.graph.node if node.op_type == "Conv"} - set(trained)
    with TemporaryDirectory() as folder, quietly(), redirect_stdout(io.StringIO()):
        path = Path(folder, "int8.onnx")
        quantize_static(
            _copy(proto),
            path,
            Reader(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=_QUANTISED,
            nodes_to_exclude=[*fixed, trained[0], trained[-1]],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        return onnx.load(str(path))


def _copy(proto: Any) -> Any:
    copy = type(proto)()
    copy.CopyFrom(proto)
    return copy


def _trained_convolutions(proto: Any) -> list[str]:
    """Names of the convolutions in order, without those that resize: one channel in, filters one pixel high or wide."""
    shapes = {weight.name: list(weight.dims) for weight in proto.graph.initializer}
    names = []
    for node in proto.graph.node:
        shape = shapes.get(node.input[1], []) if node.op_type == "Conv" else []
        if shape and not (shape[1] == 1 and 1 in shape[2:] and max(shape[2:]) > 1):
            names.append(node.name)
    return names
