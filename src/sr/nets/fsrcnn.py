"""FSRCNN: shrink, map and expand features at low resolution, then one deconvolution (Dong et al. 2016)."""

import torch
from torch import Tensor, nn

from sr.errors import check_at_least
from sr.image import resize
from sr.nets.layers import GREY, conv

_DECONV = 9  # side of the kernel
_PADDING = _DECONV // 2


class FSRCNN(nn.Module):
    """Fast super-resolution convolutional network, arXiv:1608.00367; the defaults are its FSRCNN (56, 12, 4).

    The paper's network enlarges luma: with ``image_channels=1`` it is this one, layer by layer. Unlike in the paper,
    the output is added to the bicubic image, so training starts from bicubic quality.
    """

    def __init__(
        self,
        scale: int = 1,
        channels: int = 56,
        mapping_channels: int = 12,
        num_blocks: int = 4,
        image_channels: int = 3,
    ) -> None:
        """Build the network; with the defaults it has 24,683 parameters at any scale.

        With one image channel it has 12,809: the 12,464 weights that the paper counts, and 345 biases and slopes.

        Args:
            scale: enlargement factor, 1 or more; from 10 on, the deconvolution no longer reaches every pixel.
            channels: width of the first and of the last hidden layer, d in the paper.
            mapping_channels: width of the layers between them, s in the paper.
            num_blocks: 3x3 convolutions between them, m in the paper.
            image_channels: of input and output: 1 for gray.

        Raises:
            UserError: if an argument is out of range.
        """
        super().__init__()
        check_at_least("FSRCNN: scale", scale, 1)
        check_at_least("FSRCNN: channels", channels, 1)
        check_at_least("FSRCNN: mapping_channels", mapping_channels, 1)
        check_at_least("FSRCNN: num_blocks", num_blocks, 1)
        check_at_least("FSRCNN: image_channels", image_channels, 1)
        self.scale, self.image_channels = scale, image_channels
        # 2 for the 5x5, 1 for each 3x3; pixel i of the input reaches those from scale * i - 4 to scale * i + 4.
        self.halo = 2 + num_blocks + (_PADDING + scale - 1) // scale
        layers: list[nn.Module] = [conv(image_channels, channels, 5, reads_image=True), nn.PReLU(channels)]
        layers += [conv(channels, mapping_channels, 1), nn.PReLU(mapping_channels)]
        for _ in range(num_blocks):
            layers += [conv(mapping_channels, mapping_channels), nn.PReLU(mapping_channels)]
        layers += [conv(mapping_channels, channels, 1), nn.PReLU(channels)]
        self.body = nn.Sequential(*layers)
        self.tail = _OutputDeconv(channels, image_channels, scale)

    def forward(self, lr: Tensor) -> Tensor:
        """Enlarge ``(N, C, h, w)`` in [0, 1] to ``(N, C, scale*h, scale*w)``, unclamped."""
        residual: Tensor = self.tail(self.body(lr - GREY))
        return resize(lr, self.scale) + residual


class _OutputDeconv(nn.ConvTranspose2d):
    """The last layer, which starts at zero, computed in float32 under autocast as `sr.nets.layers.OutputConv`."""

    def __init__(self, in_channels: int, out_channels: int, scale: int) -> None:
        super().__init__(in_channels, out_channels, _DECONV, scale, _PADDING, output_padding=scale - 1)
        nn.init.zeros_(self.weight)
        assert self.bias is not None
        nn.init.zeros_(self.bias)

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """``(N, in, h, w)`` to ``(N, out, scale*h, scale*w)``."""
        with torch.autocast(input.device.type, enabled=False):
            return super().forward(input.to(self.weight.dtype), output_size)
