"""A trained model ready for use on pictures in memory: gray, colour or other bands, of 8 or 16 bits, of any size."""

import copy
import logging
import math
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any, TypeVar, cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from sr.errors import UserError, check_at_least, check_choice
from sr.image import gray, resize
from sr.inference.alpha import fill_hidden
from sr.inference.channels import Operations, enlarge_channels
from sr.inference.pictures import PictureEnlarger, warn_of_onnx
from sr.inference.tile_size import bytes_of_layers, countable_side, fastest_tile, largest_tile
from sr.inference.tiles import enlarge_in_tiles
from sr.inference.windows import BICUBIC_HALO, USUAL_TILE, must_be_whole, round_up
from sr.io.bounded import Pixels
from sr.io.pictures import pixels_of
from sr.machine.float32 import full_float32
from sr.machine.hardware import cache_bytes, find_device, free_memory
from sr.machine.hardware import precision as best_precision
from sr.terms import PRECISIONS, WHOLE_IMAGE, image_channels
from sr.weights.model import Model

log = logging.getLogger(__name__)


T = TypeVar("T", Image.Image, np.ndarray, Tensor)


class Enlarger(PictureEnlarger):
    """Enlarges pictures by a factor, in bounded memory.

    >>> big = load("espcn_x2")(Image.open("photo.jpg"))        # doctest: +SKIP
    """

    def __init__(
        self,
        model: Model,
        *,
        tile: int | None = None,
        ensemble: bool = False,
        wrap: bool = False,
        device: str | torch.device | None = None,
        precision: str = "auto",
    ) -> None:
        """Put a model on a device.

        Args:
            model: the outputs of its networks are averaged; without networks it is bicubic.
            tile: side of a tile in input pixels, 0 for the whole picture; None chooses it by the free memory
                and, on a CPU, by its cache, see `sr.inference.tile_size.fastest_tile`.
            ensemble: see `sr.inference.tiles.enlarge`.
            wrap: enlarge a texture, which goes on at its opposite edge: copies of the output side by side show no seam.
            device: a GPU if there is one, by default.
            precision: of all layers but the last: ``float32``, without TF32 on a GPU; ``bfloat16``; or ``auto``:
                bfloat16 where it is faster and the picture has 8 bits, of which it moves some values by one.

        Raises:
            UserError: for a negative tile, an unknown precision, or an unavailable device.
        """
        if tile is not None:
            check_at_least("--tile", tile, 0)
        check_choice("--precision", precision, PRECISIONS)
        self.model, self.scale, self.ensemble, self.wrap = model, model.scale, ensemble, wrap
        self.channels = common_channels(model.nets, model.label)
        self.device = find_device(device)
        self._net = _AnyChannels(model.nets, model.scale).to(self.device).eval()
        self._in_bfloat16 = _AnyChannels(model.nets, model.scale, bfloat16=True).eval()  # the same, in memory once
        self._trained = next(self._net.parameters(), None) is not None  # else bicubic, or run by ONNX Runtime
        self.precision = precision
        if model.nets and not self._trained:
            warn_of_onnx(model, self.device.type, precision)
            self.device, self.precision = torch.device("cpu"), "float32"
        self._layers: list[float] = []  # of which the tiles for a picture are chosen; empty: they are all of one size
        self.tile = self._largest_tile() if tile is None else tile
        # Of all images that are enlarged side by side, in low-resolution pixels: two tiles that each take a quarter of
        # the free memory; 0 where images are enlarged as a whole.
        self.pixels_at_a_time = math.inf if tile else 2.0 * self.tile**2
        self._most_tile = self._countable_tile()

    def __repr__(self) -> str:
        """The model, its scale, and where it runs."""
        about = f"{self.model.label!r}, scale={self.scale}, device='{self.device}', precision={self.precision!r}"
        return f"{type(self).__name__}({about})"

    def twin(self) -> "Enlarger":
        """The same for another thread: modules of its own, with the same tensors as weights."""
        shared = {id(tensor): tensor for tensor in chain(self._net.parameters(), self._net.buffers())}
        return copy.deepcopy(self, shared)

    def _largest_tile(self) -> int:
        if self._net.halo >= WHOLE_IMAGE:
            return 0
        if not self._trained:  # nothing to estimate from
            return USUAL_TILE
        layers = bytes_of_layers(self._net)
        self._layers = layers if self.device.type == "cpu" else []
        tile = largest_tile(layers, free_memory(self.device))
        return tile if self.device.type in ("cpu", "cuda") else min(tile, USUAL_TILE)

    def _countable_tile(self) -> int:
        """The largest tile that operations of a GPU can count the values of; 0 for any."""
        if self.device.type != "cuda" or not self._trained or self._net.halo >= WHOLE_IMAGE:
            return 0
        return countable_side(bytes_of_layers(self._net), round_up(self._net.halo, self._net.align))

    def bicubic(self) -> "Enlarger":
        """What enlarges as much without a network."""
        bicubic = Enlarger(Model("bicubic", self.scale), device=self.device, wrap=self.wrap)
        bicubic.channels = self.channels  # which tells bands from transparency
        return bicubic

    def tile_for(self, pixels: Pixels) -> int:
        """Side of the tiles for a picture, in its pixels; 0 for all of it."""
        height, width, channels = pixels.shape
        dtype = torch.from_numpy(np.empty(0, pixels.dtype)).dtype
        return self.tile_of(torch.empty(1, channels, height, width, dtype=dtype, device="meta"))

    def tile_of(self, lr: Tensor) -> int:
        """Side of the tiles for one image ``(1, C, h, w)``; 0 for all of it."""
        align = self._net.align
        if must_be_whole(self._net.halo, wrap=self.wrap):
            return 0
        if not self._layers:
            is_countable = not self._most_tile or (self.tile or max(lr.shape[-2:])) <= self._most_tile
            return round_up(self.tile if is_countable else self._most_tile, align)
        width = 2 if self.precision_for(lr.dtype) == "bfloat16" else 4  # bytes
        return fastest_tile(
            [size * width / 4 for size in self._layers],
            *lr.shape[-2:],
            margin=round_up(self._net.halo, align),
            align=align,
            most=self.tile,
            cache_bytes=cache_bytes(),
        )

    def _tiles(self, lr: Tensor) -> Iterator[tuple[int, int, Tensor]]:
        """The parts of one image ``(1, C, h, w)`` of any type, enlarged; see `sr.inference.tiles.enlarge_in_tiles`."""
        self.check_channels(lr.shape[1])
        net = self._in_bfloat16 if self.precision_for(lr.dtype) == "bfloat16" else self._net
        lr = lr.float() if lr.is_floating_point() else lr
        tile = self.tile_of(lr)
        if self._most_tile and tile == round_up(self._most_tile, self._net.align) != self.tile:
            log.warning("tiles of %d pixels: larger ones have more values than the GPU can count", tile)
        settings: dict[str, Any] = {"ensemble": self.ensemble, "wrap": self.wrap, "device": self.device}
        return enlarge_in_tiles(net, lr, self.scale, tile, **settings)

    def precision_for(self, dtype: torch.dtype) -> str:
        """What images of this type are computed in: ``float32`` or ``bfloat16``."""
        if self.precision != "auto":
            return self.precision
        pays = self._trained and dtype == torch.uint8 and best_precision(self.device.type) == "bf16-mixed"
        return "bfloat16" if pays else "float32"

    def parts(self, pixels: Pixels) -> Iterator[tuple[int, int, Pixels]]:
        """(top, left, ``(H', W', C)``): place and content of each part of the output, row by row of tiles."""
        most = int(np.iinfo(pixels.dtype).max)
        for top, left, out in self._tiles(_tensor(pixels)):
            levels = out[0].clamp(0, 1).mul(most).round().permute(1, 2, 0).cpu().numpy()
            yield top, left, levels.astype(pixels.dtype)

    def __call__(self, image: T) -> T:
        """Enlarge an image, and return the same type.

        Args:
            image: a Pillow image, which becomes gray or RGB, with alpha if it has any; an array ``(H, W)`` or
                ``(H, W, C)`` of uint8, uint16 or float in [0, 1]; or a tensor ``(C, H, W)`` or ``(N, C, H, W)`` of
                uint8 or float in [0, 1]. C is 1 for gray, 3 for RGB, one more with alpha; for a model trained with
                another number of channels it is that number.

        Returns:
            ``scale`` times as high and wide, of the same type.

        Raises:
            UserError: for anything else.
        """
        if isinstance(image, Image.Image):
            return self._pillow(image)
        if isinstance(image, Tensor):
            return self._tensor(image)
        if not isinstance(image, np.ndarray) or image.ndim not in (2, 3):
            raise UserError("an image is a Pillow image, an array (H, W) or (H, W, C), or a tensor (C, H, W)")
        planes = image if image.ndim == 3 else image[..., None]
        if planes.dtype in (np.uint8, np.uint16):
            out: np.ndarray = np.concatenate(list(self.strips(planes)))
        else:
            out = self._tensor(_tensor(planes)[0]).permute(1, 2, 0).numpy()
        return out if image.ndim == 3 else out[..., 0]

    def _pillow(self, image: Image.Image) -> Image.Image:
        out = np.concatenate(list(self.strips(pixels_of(image))))
        return Image.fromarray(out[..., 0] if out.shape[2] == 1 else out)

    def _tensor(self, image: Tensor) -> Tensor:
        batch = image if image.ndim == 4 else image[None]
        floating = image.dtype.is_floating_point
        if batch.ndim != 4 or not (floating or image.dtype == torch.uint8):
            raise UserError(
                f"a tensor is (C, H, W) or (N, C, H, W) of uint8 or float, not {tuple(image.shape)} of {image.dtype}"
            )
        outs = []
        for single in batch.split(1):
            if self.has_alpha(single.shape[1]):
                filled = fill_hidden(single[0].permute(1, 2, 0).cpu().numpy())
                single = torch.from_numpy(filled).permute(2, 0, 1)[None].to(single.device)
            outs.append(self.enlarge(single, torch.device("cpu")))
        result = torch.cat(outs)
        result = result.to(image.dtype) if floating else result.mul(255).round().to(torch.uint8)
        return (result if image.ndim == 4 else result[0]).to(image.device)

    def enlarge(self, lr: Tensor, place: torch.device) -> Tensor:
        """Enlarge one image ``(1, C, h, w)`` of uint8, or float in [0, 1].

        Returns:
            ``(1, C, scale*h, scale*w)``, float32 in [0, 1], on the device ``place``.
        """
        shape = (1, lr.shape[1], lr.shape[2] * self.scale, lr.shape[3] * self.scale)
        out = torch.empty(shape, dtype=torch.float32, device=place)
        for top, left, part in self._tiles(lr):
            out[..., top : top + part.shape[-2], left : left + part.shape[-1]] = part
        return out.clamp_(0, 1)


def _tensor(pixels: Pixels) -> Tensor:
    """``(H, W, C)`` as ``(1, C, H, W)``."""
    return torch.from_numpy(np.require(pixels, requirements=["C", "W"])).permute(2, 0, 1)[None]


def common_channels(nets: Sequence[nn.Module], label: str) -> int:
    """Channels of the images that all networks of a model take; 3 without networks.

    Raises:
        UserError: if they differ.
    """
    channels = sorted({image_channels(net) for net in nets}) or [3]
    if len(channels) > 1:
        raise UserError(f"{label}: its networks take images of {' and '.join(map(str, channels))} channels")
    return channels[0]


class _AnyChannels(nn.Module):
    """Networks on images of other channels than their own, see `enlarge_channels`; bicubic without networks."""

    def __init__(self, nets: Sequence[nn.Module], scale: int, *, bfloat16: bool = False) -> None:
        super().__init__()
        self.nets, self.scale, self.autocast = nn.ModuleList(nets), scale, bfloat16
        self.halo = max([BICUBIC_HALO, *(int(cast(Any, net).halo) for net in nets)])
        self.align = math.lcm(*(int(getattr(net, "align", 1)) for net in nets))
        self.image_channels = image_channels(nets[0]) if nets else 3
        self._operations = Operations(gray, partial(resize, scale=scale), partial(torch.cat, dim=1))

    def forward(self, lr: Tensor) -> Tensor:
        """``(N, C, h, w)`` to ``(N, C, scale*h, scale*w)``, C from 1 to 4, or as the networks have it."""
        if not self.nets:
            return self._mean_output(lr)
        return enlarge_channels(lr, self.image_channels, self._mean_output, self._operations)

    def _mean_output(self, lr: Tensor) -> Tensor:
        """The mean of what the networks make of the channels that they take; bicubic without networks."""
        with full_float32(), torch.autocast(lr.device.type, torch.bfloat16, enabled=self.autocast):
            outs = [net(lr) for net in self.nets] or [resize(lr, self.scale)]
        return outs[0] if len(outs) == 1 else torch.stack(outs).mean(dim=0)
