"""ESPCN: convolutions at low resolution, then one pixel shuffle (Shi et al. 2016)."""

import torch
from torch import Tensor, nn

from sr.errors import UserError, check_at_least, check_choice
from sr.image import resize
from sr.nets.layers import HEADS, OutputConv, conv

_ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh}


class ESPCN(nn.Module):
    """Efficient sub-pixel convolutional network, arXiv:1609.05158.

    The paper's network has ``activation="tanh"`` and no head. ReLU gains about 0.6 dB in the same training time, and
    with the residual head the untrained network returns the bicubic image.
    """

    def __init__(
        self,
        scale: int = 1,
        num_blocks: int = 2,
        channels: int = 64,
        activation: str = "relu",
        head: str = "residual",
        image_channels: int = 3,
    ) -> None:
        """Build the network; with the defaults it has 24,195 parameters at scale 1.

        Args:
            scale: enlargement factor, 1 or more.
            num_blocks: hidden convolutions: the first 5x5, the others 3x3, each half as wide as the one before.
            channels: width of the first hidden convolution.
            activation: ``relu`` or ``tanh``.
            head: ``residual`` adds the output to the bicubic image; ``sigmoid`` squeezes it into [0, 1].
            image_channels: of input and output: 1 for gray.

        Raises:
            UserError: if an argument is out of range.
        """
        super().__init__()
        check_at_least("ESPCN: scale", scale, 1)
        check_at_least("ESPCN: num_blocks", num_blocks, 1)
        check_at_least("ESPCN: image_channels", image_channels, 1)
        check_choice("ESPCN: activation", activation, tuple(_ACTIVATIONS))
        check_choice("ESPCN: head", head, HEADS)
        if channels < 1 or channels % 2 ** (num_blocks - 1):
            raise UserError(
                f"ESPCN: channels must be halved {num_blocks - 1} times (num_blocks={num_blocks}): "
                f"use a multiple of {2 ** (num_blocks - 1)}, not {channels}"
            )
        self.scale, self.image_channels = scale, image_channels
        self.halo = num_blocks + 2  # 2 for the 5x5, 1 for each other block, 1 for the tail
        self.residual = head == "residual"
        widths = [image_channels] + [channels // 2**block for block in range(num_blocks)]
        layers: list[nn.Module] = []
        for block in range(num_blocks):
            kernel_size = 5 if block == 0 else 3
            layers.append(conv(widths[block], widths[block + 1], kernel_size, reads_image=block == 0))
            layers.append(_ACTIVATIONS[activation]())
        self.body = nn.Sequential(*layers)
        self.tail = OutputConv(widths[-1], image_channels * scale**2, start_at_zero=self.residual)
        self.shuffle = nn.PixelShuffle(scale)

    def forward(self, lr: Tensor) -> Tensor:
        """Enlarge ``(N, C, h, w)`` in [0, 1] to ``(N, C, scale*h, scale*w)``, unclamped."""
        out: Tensor = self.shuffle(self.tail(self.body(lr)))
        return resize(lr, self.scale) + out if self.residual else torch.sigmoid(out)
