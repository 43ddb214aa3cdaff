"""SPAN: attention without parameters, and convolutions of several factors that fold into one (Wan et al. 2023)."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sr.errors import check_at_least
from sr.image import resize
from sr.nets.layers import GREY, OutputConv

_GAIN = 2  # how much wider the factors of a convolution are than itself

# Of a pixel inside the network, as in the authors' code: attention multiplies features, so that those of small values
# would vanish with the blocks.
_RANGE = 255.0


class SPAN(nn.Module):
    """Swift parameter-free attention network, arXiv:2311.12770.

    Each 3x3 convolution is trained as the product of three, of 1x1, 3x3 and 1x1, plus a 1x1 convolution. It is the same
    function of the image, but another one of the weights. The product is a small one of kernels, formed anew at each
    step, so a step costs about as much as with plain convolutions (as in Bhardwaj et al. 2022, arXiv:2103.09404).
    `folded` returns the network of plain convolutions, for use.

    Unlike in the paper, the output is added to the bicubic image, so training starts from bicubic quality.
    """

    def __init__(
        self,
        scale: int = 1,
        num_blocks: int = 6,
        channels: int = 52,
        folded: bool = False,
        image_channels: int = 3,
    ) -> None:
        """Build the network; folded and with the defaults it has 481,324 parameters at scale 2, 498,208 at scale 4.

        Args:
            scale: enlargement factor, 1 or more.
            num_blocks: blocks of three convolutions.
            channels: width of all hidden layers.
            folded: make plain convolutions, without factors.
            image_channels: of input and output: 1 for gray.

        Raises:
            UserError: if an argument is out of range.
        """
        super().__init__()
        check_at_least("SPAN: scale", scale, 1)
        check_at_least("SPAN: num_blocks", num_blocks, 1)
        check_at_least("SPAN: channels", channels, 1)
        check_at_least("SPAN: image_channels", image_channels, 1)
        self.scale, self.image_channels = scale, image_channels
        self.num_blocks, self.channels = num_blocks, channels
        self.halo = 3 * num_blocks + 3  # blocks, head, the convolution after them, tail
        build = _plain if folded else _Factored
        self.head = build(image_channels, channels)
        self.blocks = nn.ModuleList(_Block(channels, build) for _ in range(num_blocks))
        self.after = build(channels, channels)
        self.merge = nn.Conv2d(4 * channels, channels, 1)
        self.tail = OutputConv(channels, image_channels * scale**2, start_at_zero=True)
        self.shuffle = nn.PixelShuffle(scale)

    def forward(self, lr: Tensor) -> Tensor:
        """Enlarge ``(N, C, h, w)`` in [0, 1] to ``(N, C, scale*h, scale*w)``, unclamped."""
        x = first = self.head(_RANGE * (lr - GREY))
        outs = []
        for block in self.blocks:
            x, hidden = block(x)
            outs.append(x)
        merged = self.merge(torch.cat([first, self.after(x), outs[0], hidden], dim=1))
        residual: Tensor = self.shuffle(self.tail(merged)) / _RANGE
        return resize(lr, self.scale) + residual

    @torch.no_grad()
    def folded(self) -> "SPAN":
        """The same function with plain convolutions: what ``SPAN(folded=True)`` builds, with its weights."""
        plain = SPAN(self.scale, self.num_blocks, self.channels, folded=True, image_channels=self.image_channels)
        state = self.state_dict()
        for name, module in self.named_modules():
            if isinstance(module, _Factored):
                state = {key: value for key, value in state.items() if not key.startswith(f"{name}.")}
                state[f"{name}.weight"], state[f"{name}.bias"] = module.kernel()
        plain.load_state_dict(state)
        return plain.to(self.tail.weight.device).train(self.training)


class _Block(nn.Module):
    """Three convolutions; their output, and their input, weighted by how far the output is from zero."""

    def __init__(self, channels: int, build: Callable[[int, int], nn.Module]) -> None:
        super().__init__()
        self.conv1 = build(channels, channels)
        self.conv2 = build(channels, channels)
        self.conv3 = build(channels, channels)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``(N, C, h, w)`` to the output and to the first hidden features, of the same shape."""
        hidden = F.silu(self.conv1(x))
        out = self.conv3(F.silu(self.conv2(hidden)))
        return (x + out) * (torch.sigmoid(out) - 0.5), hidden


class _Factored(nn.Module):
    """A 3x3 convolution whose kernel is the product of three wider ones, plus a 1x1 convolution."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.skip = nn.Conv2d(in_channels, out_channels, 1)
        self.first = nn.Conv2d(in_channels, _GAIN * in_channels, 1)
        self.middle = nn.Conv2d(_GAIN * in_channels, _GAIN * out_channels, 3)
        self.last = nn.Conv2d(_GAIN * out_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in, h, w)`` to ``(N, out, h, w)``; the border is padded with zeros before all factors."""
        weight, bias = self.kernel()
        return F.conv2d(x, weight, bias, padding=1)

    def kernel(self) -> tuple[Tensor, Tensor]:
        """Weight ``(out, in, 3, 3)`` and bias ``(out,)`` of the one convolution, in float32 under autocast."""
        with torch.autocast(self.middle.weight.device.type, enabled=False):
            first, last, skip = (layer.weight.flatten(1) for layer in (self.first, self.last, self.skip))
            outer = torch.tensordot(last, self.middle.weight, dims=1)  # (out, 2 * in, 3, 3)
            weight = torch.einsum("omyx,mi->oiyx", outer, first) + F.pad(skip[..., None, None], (1, 1, 1, 1))
            bias = outer.sum(dim=(2, 3)) @ _bias(self.first) + last @ _bias(self.middle)
            bias = bias + _bias(self.last) + _bias(self.skip)
        return weight, bias


def _plain(in_channels: int, out_channels: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 3, padding=1)


def _bias(layer: nn.Conv2d) -> Tensor:
    assert layer.bias is not None
    return layer.bias
