"""LPIPS and DISTS: distances of feature maps of ImageNet's VGG16, as people judge them."""

from importlib.util import find_spec
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sr.errors import UserError, line_of
from sr.vgg import VGGFeatures

_CHANNELS = (64, 128, 256, 512, 512)  # of VGG16's feature maps
_TINY = 1e-10  # beside the length of a feature vector, as in the authors' code
_STABLE = 1e-6  # in both of DISTS' ratios (Ding et al. 2020, section III-C)


class LPIPS(nn.Module):
    """Learned perceptual image patch similarity, Zhang et al. 2018, arXiv:1801.03924, version 0.1, on VGG16.

    Squared differences of feature vectors of unit length, weighted by channel; means over places, summed over maps.
    """

    def __init__(self, vgg: str = "imagenet", weights: str | None = None, allow_random: bool = False) -> None:
        """Load VGG16 and the weights of its channels.

        Args:
            vgg: ``imagenet`` for torch's published file, or the path of a file with its state dict.
            weights: the authors' file ``vgg.pth``; None: the copy that torchmetrics brings.
            allow_random: accept ``vgg=random``, for a loss that says so in its label.

        Raises:
            UserError: if they cannot be loaded, or the features are random.
        """
        super().__init__()
        self.features = _features(vgg, "loss=lpips" if allow_random else "lpips", allow_random)
        path, state = _small_weights(weights, "lpips", "lpips_models/vgg.pth")
        for number, channels in enumerate(_CHANNELS):
            weight = state.get(f"lin{number}.model.1.weight")
            if weight is None or weight.shape != (1, channels, 1, 1):
                raise UserError(f"lpips: {path}: not the weights of LPIPS on VGG16, {_NAMES['lpips']}")
            self.register_buffer(f"weight{number}", weight.detach().float().clone(), persistent=False)

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Return the distance of each image: two ``(N, 3, H, W)`` or ``(N, 1, H, W)`` in [0, 1] to ``(N,)``.

        Sides are at least 16 pixels.

        Raises:
            UserError: for smaller images, or another number of channels.
        """
        maps = [map(_unit, self.features(image)) for image in _rgb(self, sr, hr)]
        distances = [
            (self.get_buffer(f"weight{number}") * (ours - theirs).square()).sum(dim=1).mean(dim=(1, 2))
            for number, (ours, theirs) in enumerate(zip(*maps, strict=True))
        ]
        return torch.stack(distances).sum(dim=0)


class DISTS(nn.Module):
    """Deep image structure and texture similarity, Ding et al. 2020, arXiv:2004.07728, as a distance.

    One minus a weighted sum of how alike the means, and how correlated the places, of each channel are: of the image,
    and of VGG16's feature maps with L2 pooling. The size of the images is kept; the authors shrink large ones to 256
    pixels first.
    """

    def __init__(self, vgg: str = "imagenet", weights: str | None = None) -> None:
        """Load VGG16 and the weights of its channels.

        Args:
            vgg: ``imagenet`` for torch's published file, or the path of a file with its state dict.
            weights: the authors' file ``weights.pt``; None: the copy that torchmetrics brings.

        Raises:
            UserError: if they cannot be loaded, or the features are random.
        """
        super().__init__()
        self.features = _features(vgg, "dists", allow_random=False)
        path, state = _small_weights(weights, "dists", "dists_models/weights.pt")
        shape = (1, 3 + sum(_CHANNELS), 1, 1)
        for name in ("alpha", "beta"):
            if name not in state or state[name].shape != shape:
                raise UserError(f"dists: {path}: not the weights of DISTS, {_NAMES['dists']}")
            self.register_buffer(name, state[name].detach().float().clone(), persistent=False)
        window = torch.tensor([0.25, 0.5, 0.25])  # Hanning's
        self.register_buffer("window", torch.outer(window, window)[None, None], persistent=False)

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Return the distance of each image: two ``(N, 3, H, W)`` or ``(N, 1, H, W)`` in [0, 1] to ``(N,)``.

        Sides are at least 16 pixels.

        Raises:
            UserError: for smaller images, or another number of channels.
        """
        images = _rgb(self, sr, hr)
        ours, theirs = ([image, *self.features(image, self._pool)] for image in images)
        alpha, beta = (self.get_buffer(name).split([3, *_CHANNELS], dim=1) for name in ("alpha", "beta"))
        similarity = torch.zeros_like(images[0][:, 0, 0, 0])
        for x, y, of_mean, of_structure in zip(ours, theirs, alpha, beta, strict=True):
            mean_x, mean_y = (image.mean(dim=(2, 3), keepdim=True) for image in (x, y))
            variances = (x - mean_x).square().mean(dim=(2, 3), keepdim=True)
            variances = variances + (y - mean_y).square().mean(dim=(2, 3), keepdim=True)
            covariance = (x * y).mean(dim=(2, 3), keepdim=True) - mean_x * mean_y
            alike = (2 * mean_x * mean_y + _STABLE) / (mean_x.square() + mean_y.square() + _STABLE)
            correlated = (2 * covariance + _STABLE) / (variances + _STABLE)
            similarity = similarity + (of_mean * alike + of_structure * correlated).sum(dim=(1, 2, 3))
        return 1 - similarity / (self.get_buffer("alpha").sum() + self.get_buffer("beta").sum())

    def _pool(self, x: Tensor) -> Tensor:
        kernel = self.get_buffer("window").expand(x.shape[1], -1, -1, -1)
        return (F.conv2d(x.square(), kernel, stride=2, padding=1, groups=x.shape[1]) + 1e-12).sqrt()


_NAMES = {"lpips": "its authors' vgg.pth", "dists": "its authors' weights.pt"}


def _features(vgg: str, name: str, allow_random: bool) -> VGGFeatures:
    if vgg == "random" and not allow_random:
        raise UserError(
            f"{name} is defined on ImageNet's VGG16, not on random features: vgg_weights=imagenet, or a file"
        )
    return VGGFeatures(vgg, maps=5, used_by=name)


def _small_weights(weights: str | None, name: str, copy: str) -> tuple[Path, dict[str, Tensor]]:
    """The authors' weights of the channels, and where they are."""
    spec = find_spec("torchmetrics") if weights is None else None
    folder = Path(spec.origin or "").parent / "functional/image" if spec else Path()
    path = folder / copy if weights is None else Path(weights).expanduser()
    try:
        state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
        state.keys()
    except Exception as error:  # a foreign or damaged file fails in many ways
        reason = "no such file" if isinstance(error, FileNotFoundError) else f"cannot be read ({line_of(error)})"
        fix = f"metrics.{name}.function.weights=PATH of {_NAMES[name]}"
        raise UserError(f"{name}: {path}: {reason}: {fix}") from error
    return path, state


def _rgb(module: nn.Module, sr: Tensor, hr: Tensor) -> tuple[Tensor, Tensor]:
    """Both images in the type and on the device of a module, which follows them; gray is shown as RGB."""
    if sr.shape[1] not in (1, 3):
        raise UserError(f"VGG16 compares RGB or gray images, not {sr.shape[1]} channels: leave lpips and dists out")
    if next(module.buffers()).device != sr.device:
        module.to(sr.device)
    dtype = next(module.buffers()).dtype
    first, second = (image.to(dtype).expand(-1, 3, -1, -1) for image in (sr, hr))
    return first, second


def _unit(features: Tensor) -> Tensor:
    """Feature vectors of unit length."""
    length = (features.square().sum(dim=1, keepdim=True) + _TINY**2).sqrt()  # with a gradient at 0
    return features / (length + _TINY)
