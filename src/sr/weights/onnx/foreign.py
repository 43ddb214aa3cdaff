"""ONNX networks of others: what they want and make is found by trying, since their files do not say it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sr.arrays import Array
from sr.errors import UserError, line_of
from sr.terms import WHOLE_IMAGE
from sr.weights.margins import Margin, measured_margin
from sr.weights.model import MOST_SCALE
from sr.weights.onnx.formats import TYPES, OnnxFormat, found_format
from sr.weights.onnx.hints import OnnxHints
from sr.weights.onnx.providers import CPU
from sr.weights.onnx.session import new_session, read_onnx, run_session

_SIDE = 64  # pixels of the images that are tried: a multiple of every grid below
_GRIDS = (1, 2, 4, 8, 16, 32, 64)
_LEAST_FIXED, _MOST_FIXED = 16, 4096  # pixels of the side of an input of fixed size
_FIXED_MARGIN = 16  # pixels around the tiles of such a network, or an eighth of its side


class ForeignOnnxNetwork(nn.Module):
    """A network that others exported, run by ONNX Runtime, one image at a time.

    Attributes:
        scale: factor of the sides.
        halo: low-resolution pixels around a tile that are enlarged with it.
        align: grid of low-resolution pixels on which tiles begin.
        image_channels: of its images, 1 or 3.
        provider: what runs it, see `sr.weights.onnx.session.new_session`.
        hints: what the user says of it.
    """

    is_foreign_onnx = True

    def __init__(self, path: Path, hints: OnnxHints, provider: str = CPU) -> None:
        """Open the file, and try what it does with small images.

        Raises:
            UserError: if it is not a network that enlarges images, or if it cannot be told how.
        """
        super().__init__()
        self.provider, self.hints = provider, hints
        try:
            self._open(path)
            self._find_out(hints)
        except UserError as error:
            raise error if str(error).startswith(f"{path}: ") else UserError(f"{path}: {error}") from error
        except Exception as error:  # a damaged or hostile file fails in many ways
            raise UserError(f"{path}: cannot be used as an ONNX network ({line_of(error)})") from error

    def about(self) -> str:
        """What was found out about it, in one line."""
        if self._fixed:
            height, width = self._fixed
            tiles = f"parts of {width}x{height} pixels with a margin of {self._inner} (its input has a fixed size)"
        elif isinstance(self._margin, Margin):
            tiles = str(self._margin)
        else:
            tiles = f"tiles with a margin of {self._margin}, as --halo says"
        return f"x{self.scale}, {self._format}, {tiles}"

    def forward(self, lr: Tensor) -> Tensor:
        """``(N, C, h, w)`` in [0, 1] to ``(N, C, scale*h, scale*w)``.

        Raises:
            MemoryError: if this takes more than 4 GiB.
            ValueError: if an output does not have the expected size and type.
        """
        enlarge = self._in_parts if self._fixed else self._whole
        return torch.cat([enlarge(image) for image in lr.split(1)])

    def _open(self, path: Path) -> None:
        content, proto, _ = read_onnx(path)
        weights = {value.name for value in proto.graph.initializer}
        self._cost = float(sum(np.prod(value.dims, dtype=float) for value in proto.graph.initializer))
        inputs = [value.name for value in proto.graph.input if value.name not in weights]
        if len(inputs) != 1 or len(proto.graph.output) != 1:
            raise UserError(f"maps {len(inputs)} inputs to {len(proto.graph.output)} outputs, not one image to one")
        entry = self._entry(content, inputs[0])
        if entry.type not in TYPES or len(entry.shape) != 4:
            raise UserError(f"takes {entry.type} of {len(entry.shape)} dimensions, not images as float or uint8")
        self._layout(entry.shape, TYPES[entry.type])

    def _entry(self, content: bytes, name: str) -> Any:
        """Open the network; what ONNX Runtime says of its input: the type and the sides."""
        self._input = name
        self.session = new_session(content, self.provider)
        described = self.session if hasattr(self.session, "get_inputs") else new_session(content)
        (entry,) = (value for value in described.get_inputs() if value.name == name)
        return entry

    def _layout(self, shape: Sequence[object], dtype: Any) -> None:
        batch, *sides = shape
        last = sides[0] not in (1, 3) and sides[2] in (1, 3)
        height, width = sides[:2] if last else sides[1:]
        channels = sides[2] if last else sides[0]
        channels = channels if isinstance(channels, int) else 3
        if channels not in (1, 3):
            raise UserError(f"takes images of {channels} channels, not 3 or 1")
        if isinstance(batch, int) and batch != 1:
            raise UserError(f"takes {batch} images at once, not 1")
        self._format = OnnxFormat(last, dtype, channels)
        self._fixed: tuple[int, int] | None = None
        if isinstance(height, int) and isinstance(width, int):
            if not all(_LEAST_FIXED <= side <= _MOST_FIXED for side in (height, width)):
                raise UserError(f"takes images of {width}x{height} pixels only")
            self._fixed = height, width
        self.image_channels = channels

    def _find_out(self, hints: OnnxHints) -> None:
        """Find scale, grid, format and margin."""
        side = min(self._fixed) if self._fixed else _SIDE
        self.scale, self.align = 1, 1
        size = self._fixed or (side, side)
        out = self._format.decoded(self._run(self._format.encoded(torch.rand(1, self.image_channels, *size))))
        self.scale = out.shape[-2] // size[0]
        if not 1 <= self.scale <= MOST_SCALE or out.shape[-2:] != (self.scale * size[0], self.scale * size[1]):
            made = f"{out.shape[-1]}x{out.shape[-2]}"
            raise UserError(f"makes {made} pixels of {size[1]}x{size[0]}, which is not a multiple")
        if not self._fixed:
            self.align = self._grid()
        self._format = found_format(self._run_square, self._format, side, hints)
        self._inner = min(_FIXED_MARGIN, side // 8) if hints.halo is None else hints.halo
        self._margin: Margin | int = self._found_margin(hints.halo)
        self.halo = self._margin.pixels if isinstance(self._margin, Margin) else self._margin
        if self._fixed:
            self.halo = WHOLE_IMAGE
            if not 0 <= 2 * self._inner < side:
                raise UserError(f"takes images of {side} pixels: --halo has to be less than half of that")

    def _found_margin(self, halo: int | None) -> Margin | int:
        if halo is not None or self._fixed:
            return halo or 0
        return measured_margin(self._whole, self.scale, channels=self.image_channels, align=self.align, cost=self._cost)

    def _grid(self) -> int:
        """The least number of which the sides of an image have to be multiples."""
        for grid in _GRIDS:
            size = (_SIDE + grid, _SIDE + 3 * grid)
            try:
                out = self._format.decoded(self._run(self._format.encoded(torch.rand(1, self.image_channels, *size))))
            except MemoryError:
                raise
            except Exception:  # a size that it cannot take: ONNX Runtime's own errors
                continue
            if out.shape[-2:] == (self.scale * size[0], self.scale * size[1]):
                return grid
        raise UserError(f"enlarges {_SIDE}x{_SIDE} pixels, but not images of other sizes")

    def _run_square(self, image: Array) -> Array:
        """Run the network on a square image, which one of fixed size sees in its corner."""
        if not self._fixed:
            return self._run(image)
        height, width = self._fixed
        rows, columns = (1, 2) if self._format.last else (2, 3)
        side = image.shape[rows]
        padding = [(0, 0)] * 4
        padding[rows], padding[columns] = (0, height - side), (0, width - side)
        out = self._run(np.pad(image, padding, mode="edge"))
        cut = [slice(None)] * 4
        cut[rows] = cut[columns] = slice(0, side * self.scale)
        return out[tuple(cut)]

    def _run(self, image: Array) -> Array:
        return run_session(self.session, {self._input: image})

    def _whole(self, lr: Tensor) -> Tensor:
        """One image at once, padded to the grid of the network."""
        height, width = lr.shape[-2:]
        bottom, right = -height % self.align, -width % self.align
        padded = nn.functional.pad(lr.float(), (0, right, 0, bottom), mode="replicate")
        out = self._format.decoded(self._run(self._format.encoded(padded)))
        expected = (1, self.image_channels, self.scale * (height + bottom), self.scale * (width + right))
        if tuple(out.shape) != expected or not out.isfinite().all():
            raise ValueError(f"its output is not a finite image of shape {expected}")
        return out[..., : self.scale * height, : self.scale * width]

    def _in_parts(self, lr: Tensor) -> Tensor:
        """One image in overlapping parts of the fixed size of the input; at the borders of the image it is repeated."""
        height, width = lr.shape[-2:]
        rows, columns = (side - 2 * self._inner for side in self._fixed or (0, 0))
        margins = (self._inner, self._inner + -width % columns, self._inner, self._inner + -height % rows)
        padded = nn.functional.pad(lr.float(), margins, mode="replicate")
        out = lr.new_empty(1, self.image_channels, self.scale * height, self.scale * width, dtype=torch.float32)
        inner = self.scale * self._inner
        for top in range(0, height, rows):
            for left in range(0, width, columns):
                part = padded[..., top : top + rows + 2 * self._inner, left : left + columns + 2 * self._inner]
                enlarged = self._whole(part)[..., inner:, inner:]
                target = out[
                    ..., self.scale * top : self.scale * (top + rows), self.scale * left : self.scale * (left + columns)
                ]
                target.copy_(enlarged[..., : target.shape[-2], : target.shape[-1]])
        return out
