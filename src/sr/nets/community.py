"""Any architecture of the package spandrel, such as SwinIR, as a network that can be trained."""

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sr.architectures import MissingSpandrelError, NetworkClass, find_class
from sr.errors import UserError, check_at_least, close_names, did_you_mean, line_of
from sr.terms import WHOLE_IMAGE

# What architectures call the options that we set.
_SCALE = ("scale", "upscale", "up_scale", "upscale_factor", "upscaling_factor")
_INPUTS = ("in_chans", "in_channels", "in_ch", "in_nc", "inp_channels", "img_channel", "num_in_ch", "n_colors")
_OUTPUTS = ("out_chans", "out_channels", "out_ch", "out_nc", "num_out_ch")

# Up to so many parameters, the halo is measured before training, in seconds; larger networks enlarge whole images.
_MOST_MEASURED = 2_000_000

# Defaults that are those of networks for JPEG, and of images in 0..255.
_DEFAULTS = {"window_size": (7, 8), "rgb_range": (255, 1)}
_UPSAMPLER = "pixelshuffle"  # where the default is none


class Community(nn.Module):
    """A network of spandrel with weights of its own, on images of any size.

    Its initial weights are those of spandrel, and nothing is added to its output. Sides that the architecture does not
    take are extended by reflection. The names of its weights are those of spandrel after ``model.``.
    """

    def __init__(self, scale: int = 1, arch: str = "SwinIR", image_channels: int = 3, **options: Any) -> None:
        """Build the network.

        Args:
            scale: enlargement factor, 1 or more.
            arch: an architecture of spandrel, or a class of one: ``SwinIR``, ``Compact``, ``RealPLKSR``.
            image_channels: of input and output.
            options: further ones of the architecture, with its own defaults.

        Raises:
            UserError: if spandrel is not installed, has no such architecture, or that refuses its options.
        """
        super().__init__()
        check_at_least("Community: scale", scale, 1)
        check_at_least("Community: image_channels", image_channels, 1)
        try:
            found = find_class(arch)
        except MissingSpandrelError as error:
            raise UserError(f"model.arch={arch}: needs {error}") from error
        except UserError as error:
            raise UserError(f"model.arch={arch}: {error}") from error
        self.scale, self.image_channels, self.architecture = scale, image_channels, arch
        self.model = _built(found, arch, scale, image_channels, options)
        about = _described(found, arch, self.model)
        actual = int(about.scale), int(about.input_channels), int(about.output_channels)
        if actual != (scale, image_channels, image_channels):
            raise UserError(
                f"model.arch={arch}: enlarges {actual[1]} channels to {actual[2]} by {actual[0]} with these options, "
                f"not {image_channels} channels by {scale}"
            )
        self._sizes = about.size_requirements
        self.align = int(self._sizes.multiple_of)
        self._in_bfloat16 = bool(about.supports_bfloat16)
        is_large = sum(parameter.numel() for parameter in self.model.parameters()) > _MOST_MEASURED
        if about.tiling.name != "SUPPORTED" or self._sizes.square or is_large:
            self.halo = WHOLE_IMAGE

    def forward(self, lr: Tensor) -> Tensor:
        """Enlarge ``(N, C, h, w)`` in [0, 1] to ``(N, C, scale*h, scale*w)``, unclamped.

        Autocast applies to training only: bfloat16 would round the image that its last layer makes to about 8 bits.
        """
        height, width = lr.shape[-2:]
        device = lr.device.type
        in_bfloat16 = self.training and self._in_bfloat16 and torch.is_autocast_enabled(device)
        with torch.autocast(device, torch.bfloat16, enabled=in_bfloat16):
            out: Tensor = self.model(self._padded(lr))
        return out[..., : self.scale * height, : self.scale * width].float()

    def _padded(self, lr: Tensor) -> Tensor:
        right, bottom = self._sizes.get_padding(lr.shape[-1], lr.shape[-2])
        if not right and not bottom:
            return lr
        mirrored = min(right, lr.shape[-1] - 1), min(bottom, lr.shape[-2] - 1)
        lr = nn.functional.pad(lr, (0, mirrored[0], 0, mirrored[1]), "reflect")
        return nn.functional.pad(lr, (0, right - mirrored[0], 0, bottom - mirrored[1]), "replicate")


def _built(found: NetworkClass, arch: str, scale: int, channels: int, options: Mapping[str, Any]) -> nn.Module:
    """Build a network of an architecture with the scale and channels of ours."""
    parameters = inspect.signature(found.builds).parameters
    ours: dict[str, Any] = {}
    for names, value in ((_SCALE, scale), (_INPUTS, channels), (_OUTPUTS, channels)):
        for name in parameters.keys() & set(names):
            is_list = isinstance(parameters[name].default, list | tuple)
            ours[name] = [value] if is_list else value
    for name in options:
        if name in ours:
            raise UserError(f"model.{name}: is set by scale and data.channels: remove this option")
        if name not in parameters:
            similar = did_you_mean([f"model.{other}" for other in close_names(name, parameters)])
            listed = "" if similar else f" (it has {', '.join(other for other in parameters if other not in ours)})"
            raise UserError(f"model.{name}: {arch} has no such option{listed}{similar}")
    for name, (default, instead) in _DEFAULTS.items():
        if name in parameters and parameters[name].default == default:
            ours[name] = instead
    if scale > 1 and "upsampler" in parameters and not parameters["upsampler"].default:
        ours["upsampler"] = _UPSAMPLER
    needed = [name for name, parameter in parameters.items() if parameter.default is parameter.empty]
    if missing := [name for name in needed if name not in {**ours, **options}]:
        raise UserError(f"model.arch={arch}: needs {', '.join(f'+model.{name}=...' for name in missing)}")
    try:
        return found.builds(**{**ours, **options})
    except UserError:
        raise
    except Exception as error:  # each checks its options in its own way, or not at all
        raise UserError(f"model.arch={arch}: cannot be built with these options ({line_of(error)})") from error


def _described(found: NetworkClass, arch: str, net: nn.Module) -> Any:
    """What spandrel says of a network by its weights, as an ``ImageModelDescriptor``."""
    state = {name: tensor.detach() for name, tensor in net.state_dict().items()}
    try:
        with torch.random.fork_rng(devices=[]):
            about = found.architecture.load(state)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"model.arch={arch}: spandrel cannot use what these options make ({line_of(error)})") from error
    if about.purpose not in ("SR", "Restoration"):
        raise UserError(f"model.arch={arch}: is for {about.purpose}, not for enlarging images")
    return about
