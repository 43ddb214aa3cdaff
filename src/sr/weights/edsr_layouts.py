"""Weights of EDSR by the names of BasicSR and of the authors, as weights of `sr.nets.edsr`.

Both compute ``255 (lr - mean)`` -> head -> blocks -> upsampler -> tail, and then ``/ 255 + mean``. Here the range is 1,
and the middle of it is subtracted. All layers but the last are positively homogeneous, so that biases divided by 255
give the features of the same network divided by 255; the bias of the head also takes up the difference of the means.
That is exact but for the border of the image, where zeros stand for another colour. The last layer of the file makes
the whole image, here it makes what is added to the bicubic image: it is left out.
"""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

_MEAN = (0.4488, 0.4371, 0.4040)  # of the colours of DIV2K
_MIDDLE = 0.5  # that sr.nets.edsr subtracts
_RANGE = 255
_CHANNELS = 64  # of networks that add their residuals unscaled; wider ones scale them by a number outside the file

# Patterns of names before ``.weight`` and ``.bias``, and ours; `N` is the convolution behind the blocks.
_BASICSR = {
    r"conv_first": "head",
    r"body\.([0-9]{1,4})\.conv1": r"blocks.\1.body.0",
    r"body\.([0-9]{1,4})\.conv2": r"blocks.\1.body.2",
    r"conv_after_body": "blocks.N",
    r"upsample\.([0-9]{1,4})": r"upsampler.\1",
}
_AUTHORS = {
    r"head\.0": "head",
    r"body\.([0-9]{1,4})\.body\.([02])": r"blocks.\1.body.\2",
    r"body\.([0-9]{1,4})": "blocks.N",
    r"tail\.0\.([0-9]{1,4})": r"upsampler.\1",
}
_MARKS = {"conv_after_body.weight": _BASICSR, "head.0.weight": _AUTHORS}  # names that only one of them has
_OWN_MARKS = ("head.weight", "blocks.0.body.0.weight", "upsampler.0.weight")

NOTE = (
    "EDSR of another program, converted to images from 0 to 1; its last layer, which makes the whole image, is left out"
)


def is_edsr(weights: Mapping[str, object]) -> bool:
    """Whether the names of some weights are those of EDSR in BasicSR, or of the authors."""
    blocks = ("body.0.conv1.weight", "body.0.body.0.weight")
    return any(mark in weights for mark in _MARKS) and any(name in weights for name in blocks)


def fits_edsr(own: Mapping[str, object]) -> bool:
    """Whether some weights are those of `sr.nets.edsr`."""
    return all(mark in own for mark in _OWN_MARKS)


def as_ours(weights: Mapping[str, object]) -> dict[str, object] | None:
    """The weights under our names; None if the file does not say enough to convert them."""
    patterns = next(patterns for mark, patterns in _MARKS.items() if mark in weights)
    tensors = {name: value for name, value in weights.items() if isinstance(value, Tensor)}
    head = tensors.get("conv_first.weight", tensors.get("head.0.weight"))
    if head is None or head.shape != (_CHANNELS, 3, 3, 3):
        return None
    ours: dict[str, object] = {}
    for name, value in tensors.items():
        stem, _, kind = name.rpartition(".")
        own = next(
            (re.sub(pattern, ours_, stem) for pattern, ours_ in patterns.items() if re.fullmatch(pattern, stem)), ""
        )
        if own:
            ours[f"{own}.{kind}"] = value.float() / _RANGE if kind == "bias" else value
    blocks = {name.split(".")[1] for name in ours if name.startswith("blocks.") and ".N." not in name}
    for kind in ("weight", "bias"):
        if f"blocks.N.{kind}" in ours:
            ours[f"blocks.{len(blocks)}.{kind}"] = ours.pop(f"blocks.N.{kind}")
    bias = ours.get("head.bias")
    if isinstance(bias, Tensor) and bias.shape == head.shape[:1]:
        ours["head.bias"] = bias + head.float().sum(dim=(2, 3)) @ (_MIDDLE - torch.tensor(_MEAN))
    return ours
