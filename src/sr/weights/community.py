"""Models of others: weights whose architecture the package spandrel recognises, read by our own reader.

Spandrel gets named tensors that were checked, never a file.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from sr.architectures import OTHER_USES, MissingSpandrelError, import_spandrel
from sr.errors import UserError, line_of, shortened
from sr.io.atomic import whole_file
from sr.terms import WHOLE_IMAGE, NetworkConfig
from sr.weights.checkpoint import rebuilt
from sr.weights.folding import folded
from sr.weights.margins import Margin, measured_margin
from sr.weights.model import MOST_SCALE
from sr.weights.reading.limits import NoLargerTensors, no_larger_than
from sr.weights.reading.stored import Stored, check_values, printable, read_checkpoint

TARGET = "spandrel"  # what the config of such a network names instead of a class

_MOST_WEIGHTS = 20_000  # tensors of a file; the largest known have a quarter
_MAX_DIMENSIONS = 8
_NAME = re.compile(r"[!-~]{1,200}")
_LONG_NUMBER = re.compile(r"\d{5}")  # in names of weights: spandrel counts up to the numbers there
_FLOATING = ("weight", "bias")  # ends of names
_CHECKED_SIDE = 16  # pixels


class CommunityNetwork(nn.Module):
    """A network of spandrel that keeps our contract; it pads its input as its architecture needs.

    Attributes:
        architecture: its name.
        scale: factor of the sides.
        halo: low-resolution pixels around a tile that are enlarged with it.
        align: grid of low-resolution pixels on which tiles begin.
        image_channels: of its images.
        margin: how the halo was found.
    """

    def __init__(self, descriptor: Any, licence: str = "") -> None:
        """Wrap a ``spandrel.ImageModelDescriptor``, and find its tiles; ``licence`` is what its file says.

        Raises:
            UserError: if its output is not an enlarged image.
        """
        super().__init__()
        self._descriptor = descriptor
        self.model: nn.Module = descriptor.model.eval()
        self.architecture = str(descriptor.architecture.name)
        self._tags, self._licence = [str(tag) for tag in descriptor.tags], licence
        self.scale, self.image_channels = int(descriptor.scale), int(descriptor.input_channels)
        requirements = descriptor.size_requirements
        self.align = int(requirements.multiple_of)
        cost = self._checked_cost()
        _keep_derived_weights(self)
        supports_tiles = descriptor.tiling.name == "SUPPORTED" and not requirements.square
        self.margin = self._measured(cost) if supports_tiles else Margin(WHOLE_IMAGE, 0.0)
        self.halo = max(self.margin.pixels, int(requirements.minimum))

    def forward(self, lr: Tensor) -> Tensor:
        """``(N, C, h, w)`` in [0, 1] to ``(N, C, scale*h, scale*w)``, which spandrel clamps to [0, 1]."""
        device = lr.device.type
        in_bfloat16 = torch.is_autocast_enabled(device) and self._descriptor.supports_bfloat16
        with torch.autocast(device, torch.bfloat16, enabled=in_bfloat16):
            out: Tensor = self._descriptor(lr)
        return out.float()

    def about(self) -> str:
        """What was found out about it, in one line."""
        tags = f" ({', '.join(self._tags)})" if self._tags else ""
        licence = f"; licence: {self._licence}" if self._licence else ""
        return f"{self.architecture}{tags}, x{self.scale}, {self.margin}{licence}"

    def _unclamped(self, lr: Tensor) -> Tensor:
        """The output before it is clamped, which hides differences, if the architecture shows it."""
        raw: list[object] = []
        handle = self.model.register_forward_hook(
            lambda module, inputs, output: raw.append(output.clone() if isinstance(output, Tensor) else output)
        )
        try:
            clamped = self(lr)
        finally:
            handle.remove()
        height, width = clamped.shape[-2:]
        output = raw[-1] if raw else None
        is_image = isinstance(output, Tensor) and output.ndim == 4 and output.shape[1] == clamped.shape[1]
        return output[..., :height, :width] if isinstance(output, Tensor) and is_image else clamped

    def _measured(self, cost: float) -> Margin:
        return measured_margin(self._unclamped, self.scale, channels=self.image_channels, align=self.align, cost=cost)

    @torch.no_grad()
    def _checked_cost(self) -> float:
        """Multiply-adds for each pixel of a small image, whose output is checked; those of attention are left out."""
        lr = torch.rand(
            1, self.image_channels, _CHECKED_SIDE, _CHECKED_SIDE, generator=torch.Generator().manual_seed(0)
        )
        total = 0.0

        def count(module: nn.Module, inputs: object, output: Any) -> None:
            nonlocal total
            if isinstance(module, nn.Conv2d | nn.Linear) and isinstance(output, Tensor):
                total += output.numel() * module.weight[0].numel()

        handles = [module.register_forward_hook(count) for module in self.modules()]
        try:
            out = self(lr)
        finally:
            for handle in handles:
                handle.remove()
        side = self.scale * _CHECKED_SIDE
        expected = (1, self.image_channels, side, side)
        if tuple(out.shape) != expected or not out.isfinite().all():
            raise UserError(f"its output is not a finite image of shape {expected}")
        return total / _CHECKED_SIDE**2


def _keep_derived_weights(net: nn.Module) -> None:
    """Derive weights from others once: spandrel's SPAN does so in each pass, which no exporter can follow."""
    for module in net.modules():
        derive: Callable[[], None] | None = getattr(module, "update_params", None)
        if derive:
            with torch.no_grad():
                derive()
            vars(module)["update_params"] = _nothing


def _nothing() -> None:
    """Leave weights as they are."""


def open_network(path: Path, scale: int | None = None) -> tuple[nn.Module, NetworkConfig]:
    """Load the network of a checkpoint of sr, or of a file of weights that others made, on the CPU.

    Args:
        path: the file; see `sr.weights.reading.stored.read_checkpoint`.
        scale: which scale to use; needed only if the network was trained for several.

    Returns:
        The network in evaluation mode, folded (see `sr.weights.folding`); and the config that builds or describes it.

    Raises:
        UserError: if it cannot be used.
    """
    contents = read_checkpoint(path)
    if contents.config is not None:
        net, config = rebuilt(path, contents, scale)
        _keep_derived_weights(net)
        try:
            return folded(net, config)
        except UserError as error:
            raise UserError(f"{path}: {error}") from error
    try:
        community = _network(contents)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except Exception as error:  # spandrel's guesses about hostile weights fail in many ways
        raise UserError(f"{path}: cannot be used as a model of others ({line_of(error)})") from error
    if scale not in (None, community.scale):
        raise UserError(f"{path}: is a network for scale {community.scale}, not {scale}: --scale {community.scale}")
    described: NetworkConfig = {
        "model": {"_target_": TARGET, "architecture": community.architecture},
        "scale": community.scale,
        "scales": [community.scale],
        "protocol": None,
        "halo": community.halo,
        "align": community.align,
    }
    return community, described


def save_community(path: Path, net: CommunityNetwork) -> None:
    """Write the weights of a model of others as safetensors, by the names of its architecture."""
    tensors = {name: value.contiguous().clone() for name, value in net.model.state_dict().items()}
    with whole_file(path) as file:
        file.write(safetensors.torch.save(tensors))


def architecture_of(weights: Mapping[str, object]) -> str | None:
    """The name of the architecture that some weights are for; None if spandrel is not installed or knows none."""
    try:
        support = _recognised(_checked(weights))
    except Exception:  # hostile names and shapes
        return None
    return None if support is None else str(support.architecture.name)


def _network(contents: Stored) -> CommunityNetwork:
    state = _checked(contents.weights)
    try:
        support = _recognised(state)
    except MissingSpandrelError as error:
        raise UserError(f"is not a checkpoint of sr (no config); models of others need {error}") from error
    if support is None:
        raise UserError("is not a checkpoint of sr (no config), and spandrel knows no architecture with its weights")
    name = str(support.architecture.name)
    if use := OTHER_USES.get(str(support.architecture.id)):
        raise UserError(f"is a model of {name}, which is for {use}, not for enlarging images")
    with torch.random.fork_rng(devices=[]), no_larger_than(state), NoLargerTensors(state):
        try:
            descriptor = support.architecture.load(state)
        except UserError as error:
            raise UserError(f"{error} (as {name})") from error
        except Exception as error:
            reason = line_of(ValueError(str(error).partition(":\n")[2] or str(error)))  # behind torch's heading
            raise UserError(f"its weights do not fit {name}, which they resemble ({reason})") from error
    if descriptor.purpose not in ("SR", "Restoration"):
        raise UserError(f"is a model of {name} for {descriptor.purpose}, not for enlarging images")
    channels = int(descriptor.input_channels), int(descriptor.output_channels)
    if channels not in ((1, 1), (3, 3)):
        raise UserError(
            f"is a model of {name} that makes {channels[1]} channels of {channels[0]}: not 1 or 3 of as many"
        )
    if not 1 <= descriptor.scale <= MOST_SCALE:
        raise UserError(f"is a model of {name} for scale {descriptor.scale}, which is not from 1 to {MOST_SCALE}")
    return CommunityNetwork(descriptor.float(), contents.licence)


def _checked(weights: Mapping[str, object]) -> dict[str, Tensor]:
    """The weights with floats in float32, unless a name, a shape or a value is suspicious."""
    if not 0 < len(weights) <= _MOST_WEIGHTS:
        raise UserError(f"holds {len(weights)} weights: a model has 1 to {_MOST_WEIGHTS}")
    checked = {}
    for name, value in weights.items():
        if not _NAME.fullmatch(name) or _LONG_NUMBER.search(name):
            raise UserError(f"its weights {shortened(repr(name))} have a name that no model uses")
        if not isinstance(value, Tensor):
            raise UserError(f"its weights {name} are {printable(value)}, not a tensor")
        if value.ndim > _MAX_DIMENSIONS or value.numel() == 0:
            raise UserError(f"its weights {name} have the shape {tuple(value.shape)}, which no model uses")
        check_values(name, value, torch.float32 if name.endswith(_FLOATING) else value.dtype)
        checked[name] = value.float() if value.is_floating_point() else value
    return checked


def _recognised(state: dict[str, Tensor]) -> Any:
    """Spandrel's entry for the architecture of some weights, or None."""
    supports = import_spandrel().MAIN_REGISTRY.architectures("detection")
    return next((support for support in supports if support.detect(state)), None)
