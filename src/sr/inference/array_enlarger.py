"""Exported networks on pictures, by ONNX Runtime alone: torch takes seconds to load, and need not be installed."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from sr.arrays import DIHEDRAL_CODES, Array, dihedral_view, enlarge_array, gray_array, undo_dihedral_view
from sr.errors import check_at_least
from sr.inference.channels import Operations, enlarge_channels
from sr.inference.pictures import PictureEnlarger
from sr.inference.windows import BICUBIC_HALO, USUAL_TILE, Seen, each_tile, must_be_whole, round_up
from sr.io.bounded import Pixels
from sr.terms import WHOLE_IMAGE, image_channels
from sr.weights.model import Model


class ArrayEnlarger(PictureEnlarger):
    """Enlarges pictures as `sr.inference.enlarger.Enlarger` does with the same file, in float32."""

    precision = "float32"

    def __init__(self, model: Model, *, tile: int | None = None, ensemble: bool = False, wrap: bool = False) -> None:
        """Take a model.

        Args:
            model: of one `sr.weights.onnx.network.ExportedNetwork`; without networks it is bicubic.
            tile: side of a tile in input pixels, 0 for the whole picture; None for 256.
            ensemble: average over flips and rotations, see `sr.inference.tiles.enlarge`.
            wrap: enlarge a texture, which goes on at its opposite edge.

        Raises:
            UserError: for a negative tile.
        """
        if tile is not None:
            check_at_least("--tile", tile, 0)
        self.model, self.scale, self.ensemble, self.wrap = model, model.scale, ensemble, wrap
        self._net: Any = model.nets[0] if model.nets else None
        self.channels = image_channels(self._net)
        self._halo = max(BICUBIC_HALO, getattr(self._net, "halo", 0))
        self._align = getattr(self._net, "align", 1)
        self.tile = (0 if self._halo >= WHOLE_IMAGE else USUAL_TILE) if tile is None else tile
        self._operations = Operations(
            gray_array, partial(enlarge_array, scale=self.scale), partial(np.concatenate, axis=1)
        )

    def bicubic(self) -> "ArrayEnlarger":
        """What enlarges as much without a network."""
        bicubic = ArrayEnlarger(Model("bicubic", self.scale), wrap=self.wrap)
        bicubic.channels = self.channels  # which tells bands from transparency
        return bicubic

    def tile_for(self, pixels: Pixels) -> int:
        """Side of the tiles for a picture, in its pixels; 0 for all of it."""
        return 0 if must_be_whole(self._halo, wrap=self.wrap) else round_up(self.tile, self._align)

    def parts(self, pixels: Pixels) -> Iterator[tuple[int, int, Pixels]]:
        """(top, left, ``(H', W', C)``): place and content of each part of the output, row by row of tiles."""
        planes = pixels.transpose(2, 0, 1)[None]
        most = np.float32(np.iinfo(pixels.dtype).max)

        def part(rows: Seen, columns: Seen) -> Array:
            return self._enlarge(planes[..., rows, :][..., columns].astype(np.float32) / most)

        size = (int(pixels.shape[0]), int(pixels.shape[1]))
        settings: dict[str, Any] = {"halo": self._halo, "align": self._align, "wrap": self.wrap}
        settings["ensemble"] = self.ensemble
        for top, left, out in each_tile(part, size, self.scale, self.tile_for(pixels), **settings):
            levels = np.rint(out[0].clip(0, 1) * most).astype(pixels.dtype)
            yield top, left, levels.transpose(1, 2, 0)

    def _enlarge(self, lr: Array) -> Array:
        """Enlarge ``(1, C, h, w)`` in [0, 1]."""
        if self._net is None:
            return enlarge_array(lr, self.scale)
        run = partial(enlarge_channels, own=self.channels, run=self._net, operations=self._operations)
        if not self.ensemble:
            return run(lr)
        turned = [undo_dihedral_view(run(dihedral_view(lr, code)), code) for code in DIHEDRAL_CODES]
        mean: Array = np.stack(turned).mean(axis=0)
        return mean
