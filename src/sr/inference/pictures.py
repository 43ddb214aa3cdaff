"""Enlarging decoded pictures strip by strip, in bounded memory, whatever computes: see `Enlarger`, `ArrayEnlarger`."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import IO

import numpy as np

from sr.errors import UserError
from sr.inference.alpha import fill_hidden
from sr.io.bounded import Pixels
from sr.io.pictures import Picture, write_strips
from sr.weights.model import Model

log = logging.getLogger(__name__)


class PictureEnlarger(ABC):
    """Enlarges pictures by a factor.

    Attributes:
        model: what enlarges; without networks, bicubic.
        scale: the factor.
        channels: of the images of the model, 3 without networks.
        ensemble: whether to average over flips and rotations, see `sr.inference.tiles.enlarge`.
        wrap: whether pictures go on at their opposite edge.
        precision: of the computation.
    """

    model: Model
    scale: int
    channels: int
    ensemble: bool
    wrap: bool
    precision: str

    @abstractmethod
    def bicubic(self) -> "PictureEnlarger":
        """What enlarges as much without a network."""

    @abstractmethod
    def tile_for(self, pixels: Pixels) -> int:
        """Side of the tiles for a picture ``(H, W, C)``, in its pixels; 0 for all of it."""

    @abstractmethod
    def parts(self, pixels: Pixels) -> Iterator[tuple[int, int, Pixels]]:
        """(top, left, ``(H', W', C)``): place and content of each part of the output, row by row of tiles."""

    def check_channels(self, channels: int) -> None:
        """Check that the model takes pictures of so many channels.

        Raises:
            UserError: if not.
        """
        expected = range(1, 5) if self.channels in (1, 3) else (self.channels,)
        if self.model.nets and channels not in expected:
            raise UserError(f"{self.model.label}: enlarges images of {self.channels} channels, not of {channels}")

    def has_alpha(self, channels: int) -> bool:
        """Whether the last of so many channels is transparency."""
        return channels in (2, 4) and self.channels in (1, 3)

    def strips(self, pixels: Pixels) -> Iterator[Pixels]:
        """Enlarge ``(H, W, C)`` of uint8 or uint16, C from 1 (gray) to 4 (RGB and alpha), or as the model's images.

        Yields:
            ``(rows, scale*W, C)`` of the same type, from the top.

        Raises:
            UserError: for a number of channels that the model does not take.
        """
        height, width, channels = (int(side) for side in pixels.shape)
        self.check_channels(channels)
        if self.has_alpha(channels):
            pixels = fill_hidden(pixels)
        tile = self.tile_for(pixels) or height
        strip: Pixels | None = None
        done = filled = 0
        for top, left, part in self.parts(pixels):
            if strip is None:  # the first tile of a row of tiles says how high the row is
                rows = min(tile, height - done // self.scale) * self.scale
                strip = np.empty((rows, width * self.scale, channels), pixels.dtype)
            strip[top - done : top - done + part.shape[0], left : left + part.shape[1]] = part
            filled += part.shape[0] * part.shape[1]
            if filled == strip.shape[0] * strip.shape[1]:
                yield strip
                done, filled, strip = done + strip.shape[0], 0, None

    def write(
        self,
        picture: Picture,
        file: IO[bytes],
        suffix: str,
        advance: Callable[[float], None] = lambda share: None,
        *,
        quality: int | None = None,
    ) -> str:
        """Enlarge a picture into a file, see `sr.io.pictures.write_strips`; ``advance`` gets each finished share."""
        height, width, channels = (int(side) for side in picture.pixels.shape)
        shape = (height * self.scale, width * self.scale, channels)

        def strips() -> Iterator[Pixels]:
            for strip in self.strips(picture.pixels):
                yield strip
                advance(len(strip) / shape[0])

        deep = picture.pixels.itemsize == 2
        return write_strips(
            file,
            suffix,
            strips(),
            shape,
            deep=deep,
            bands=picture.has_bands,
            profile=picture.profile,
            metadata=picture.metadata,
            quality=quality,
        )


def warn_of_onnx(model: Model, device: str, precision: str) -> None:
    """Say it if a model that ONNX Runtime computes was asked for on another device, or in bfloat16."""
    provider = getattr(model.nets[0], "provider", "cpu")
    if precision == "bfloat16" or (device != "cpu" and provider == "cpu"):
        log.warning("%s: ONNX Runtime computes on the %s, in float32", model.label, provider.upper())
