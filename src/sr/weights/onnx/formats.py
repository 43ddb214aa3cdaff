"""How an ONNX network wants its images: their layout, type, range of values and order of colours, found by trying."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, interpolate

from sr.arrays import Array
from sr.errors import UserError
from sr.weights.onnx.hints import UNKNOWN, OnnxHints

TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}
RANGES = (1, 255)
ORDERS = ("rgb", "bgr")

_RESEMBLES = 0.1  # root mean square of the difference between an image and its enlargement, shrunk again
_CLEARLY = 0.8  # ratio of two such differences that decides between two ways
_SAME = 1 / 255  # largest difference between outputs that are called the same
_NEARLY = 4 / 255  # root mean square of the difference up to which the usual order of colours, RGB, is guessed


@dataclass(frozen=True)
class OnnxFormat:
    """How images go into a network, and come out of it.

    Attributes:
        last: whether the channels come last: ``(N, h, w, C)`` instead of ``(N, C, h, w)``.
        dtype: of the input.
        channels: 1 or 3.
        range: the value of white in the input, 1 or 255.
        output_range: that in the output.
        order: of the colours in the input, ``rgb`` or ``bgr``.
        output_order: that in the output.
        doubt: root mean square of what the other order of colours would change, if RGB is only the usual order; for
            outputs in [0, 1].
    """

    last: bool
    dtype: Any
    channels: int
    range: int = 1
    output_range: int = 1
    order: str = "rgb"
    output_order: str = "rgb"
    doubt: float = 0.0

    def encoded(self, lr: Tensor) -> Array:
        """An array for the network, of ``(N, C, h, w)`` in [0, 1]."""
        values = (lr.flip(1) if self.order == "bgr" else lr).mul(self.range)
        values = values.round() if np.issubdtype(self.dtype, np.integer) else values
        values = values.permute(0, 2, 3, 1) if self.last else values
        return np.ascontiguousarray(values.cpu().numpy().astype(self.dtype))

    def decoded(self, out: Array) -> Tensor:
        """The output of the network as float32 ``(N, C, h, w)``, about in [0, 1].

        Raises:
            ValueError: if it is no image of as many channels.
        """
        if out.dtype not in TYPES.values() or out.ndim != 4:
            raise ValueError(f"its output is {out.dtype} of {out.ndim} dimensions, not an image")
        values = torch.from_numpy(np.ascontiguousarray(out.astype(np.float32)))
        values = values.permute(0, 3, 1, 2) if self.last else values
        if values.shape[1] != self.channels:
            raise ValueError(f"its output has {values.shape[1]} channels, its input {self.channels}")
        return (values.flip(1) if self.output_order == "bgr" else values) / self.output_range

    def __str__(self) -> str:
        """In words, for a line about a network."""
        orders = self.order.upper()
        if self.output_order != self.order:
            orders += f" in, {self.output_order.upper()} out"
        if self.doubt:
            orders += f" (guessed; BGR differs by {255 * self.doubt:.1f} of 255 levels: --order)"
        values = f"0 to {self.range}"
        if self.output_range != self.range:
            values += f" in, 0 to {self.output_range} out"
        return f"{orders if self.channels == 3 else 'gray'}, {values}"


def found_format(run: Callable[[Array], Array], basic: OnnxFormat, side: int, hints: OnnxHints = UNKNOWN) -> OnnxFormat:
    """Try all ways to give a network an image, and choose the one whose output, shrunk again, is closest to it.

    Args:
        run: the network.
        basic: the layout, type and channels.
        side: of the images that are tried.
        hints: what is known: the order of the colours in input and output, and white in the input.

    Raises:
        UserError: if no way gives an enlarged image, or two are as good but not the same.
    """
    image = photograph(basic.channels, side)
    is_integer = np.issubdtype(basic.dtype, np.integer)
    ranges = RANGES[1:] if is_integer else RANGES if hints.range is None else (hints.range,)
    orders = ORDERS if hints.order is None and basic.channels == 3 else (hints.order or "rgb",)
    tried: list[tuple[float, OnnxFormat, Tensor]] = []
    for white, input_order in product(ranges, orders):
        way = replace(basic, range=white, order=input_order)
        out = run(way.encoded(image))
        for output_white, output_order in product(RANGES, ORDERS if len(orders) > 1 else orders):
            decoding = replace(way, output_range=output_white, output_order=output_order)
            result = decoding.decoded(out)
            if result.isfinite().all():
                shrunk = adaptive_avg_pool2d(result, (side, side))
                tried.append((math.sqrt(float((shrunk - image).square().mean())), decoding, result))
    tried.sort(key=lambda entry: entry[0])
    if not tried or tried[0][0] > _RESEMBLES:
        raise UserError("its output does not resemble its input: not a network that enlarges images of 0 to 1 or 255")
    error, best, result = _plainest(tried)
    others = []
    doubt = 0.0
    for other_error, other, other_result in tried:
        if error <= _CLEARLY * other_error or _is_same(result, other_result):
            continue
        difference = float((result.clamp(0, 1) - other_result.clamp(0, 1)).square().mean().sqrt())
        is_order = replace(other, order=best.order, output_order=best.output_order) == best
        if is_order and "bgr" not in (best.order, best.output_order) and difference <= _NEARLY:
            doubt = max(doubt, difference)
        else:
            others.append(other)
    if others:
        options = ["--range 1 or --range 255"] if any(other.range != best.range for other in others) else []
        options += ["--order rgb or --order bgr"] if any(other.order != best.order for other in others) else []
        ways = " or ".join(dict.fromkeys(map(str, [best, *others])))
        raise UserError(f"takes {ways}, which cannot be told from its output: add {' and '.join(options)}")
    return replace(best, doubt=doubt)


def photograph(channels: int, side: int) -> Tensor:
    """A colourful photograph ``(1, channels, side, side)`` in [0, 1], as sharp as pixels allow."""
    from skimage import data  # slow to import

    pixels = torch.from_numpy(data.astronaut()[:256, 150:406]).permute(2, 0, 1)[None].float() / 255
    image = interpolate(pixels, size=(side, side), mode="area")
    return image if channels == 3 else image.mean(dim=1, keepdim=True)


def _plainest(tried: list[tuple[float, OnnxFormat, Tensor]]) -> tuple[float, OnnxFormat, Tensor]:
    """Of the ways that are as good as the best one, and nearly give its image, the most usual: RGB, 0 to 1."""
    best = tried[0]

    def is_alike(entry: tuple[float, OnnxFormat, Tensor]) -> bool:
        difference = float((entry[2].clamp(0, 1) - best[2].clamp(0, 1)).square().mean().sqrt())
        is_order = entry[1].range == best[1].range and entry[1].output_range == best[1].output_range
        return _is_same(entry[2], best[2]) or (is_order and difference <= _NEARLY)

    alike = [entry for entry in tried if entry[0] * _CLEARLY <= best[0] and is_alike(entry)]
    return min(
        alike, key=lambda entry: (entry[1].order != "rgb", entry[1].output_order != "rgb", entry[1].range, entry[0])
    )


def _is_same(first: Tensor, second: Tensor) -> bool:
    return float((first.clamp(0, 1) - second.clamp(0, 1)).abs().max()) <= _SAME
