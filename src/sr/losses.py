"""The losses that torch lacks, and a weighted sum; plain MSE and L1 come from torch."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sr.errors import UserError, check_choice
from sr.image import luma
from sr.metrics.perceptual import LPIPS
from sr.metrics.structure import WINDOW, ms_ssim_factors, ssim
from sr.vgg import VGGFeatures

_LEAST_MEAN = 0.05  # of a scale of MS-SSIM, below which the loss goes on as an exponential function


class VGGLoss(VGGFeatures):
    """Perceptual loss: the sum over four layers of VGG16 of the mean absolute difference of features.

    After Johnson et al. 2016 (arXiv:1603.08155), with absolute instead of squared differences. VGG's weights are
    buffers that are left out of the state dict: never trained, never saved. ``weights="random"`` gives a weaker loss:
    random features rank images worse than trained ones (Zhang et al. 2018, arXiv:1801.03924, table 5), although the
    architecture alone already helps (Liu et al. 2021, arXiv:2103.10571).
    """

    def __init__(self, weights: str = "imagenet", resize: int | None = None, float32: bool = False) -> None:
        """Load the weights of VGG16.

        Args:
            weights: ``imagenet`` for torch's published file through its hub cache, ``random`` for seeded random
                features, or the path of a file with VGG16's state dict.
            resize: side in pixels to resize both images to first (224 in the origin project); None keeps their size.
            float32: compute features in float32 even if the network trains in bfloat16. Half as fast; useful once the
                output is within a grey level of the target, where bfloat16 rounds most of the difference away.

        Raises:
            UserError: if the weights cannot be loaded or are not VGG16's; there is no fallback.
        """
        super().__init__(weights, maps=4, used_by="loss=vgg")
        self.weights, self.resize, self.float32 = weights, resize, float32

    @property
    def label(self) -> str:
        """Name for tables and pages, including the source of the weights unless that is ImageNet."""
        return "vgg" if self.weights == "imagenet" else f"vgg ({Path(self.weights).name} features)"

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:  # type: ignore[override]
        """Return the scalar loss of two batches in [0, 1]; ``hr`` is constant.

        Both are ``(N, 3, H, W)``, or gray ``(N, 1, H, W)``, which is shown to VGG as RGB; sides are at least 8.

        Raises:
            UserError: for smaller images, or another number of channels.
        """
        if sr.shape[1] not in (1, 3):
            raise UserError(f"loss=vgg compares RGB or gray images, not {sr.shape[1]} channels: choose another loss")
        sr, hr = sr.expand(-1, 3, -1, -1), hr.expand(-1, 3, -1, -1)
        device = sr.device.type
        bfloat16 = torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device) == torch.bfloat16
        with torch.autocast(device, enabled=bfloat16 and not self.float32):  # float16 could overflow
            with torch.no_grad():
                target = self.features(hr.float())
            pairs = zip(self.features(sr.float()), target, strict=True)
            return torch.stack([F.l1_loss(ours.float(), theirs.float()) for ours, theirs in pairs]).sum()

    def features(self, image: Tensor) -> list[Tensor]:
        """Return the activations after relu1_2, relu2_2, relu3_3 and relu4_3."""
        if self.resize is not None:
            image = _resized(image, self.resize)
        return super().forward(image)


class CharbonnierLoss(nn.Module):
    """Mean of ``sqrt(d^2 + eps^2)`` over the differences d: a smooth L1.

    Lai et al. 2017, arXiv:1704.03915, section 3.2.
    """

    def __init__(self, eps: float = 1e-3) -> None:
        """Set ``eps``, the difference in units of the image range below which the loss is about quadratic.

        Raises:
            UserError: unless ``eps`` is positive.
        """
        super().__init__()
        if not eps > 0:
            raise UserError(f"loss.eps must be positive, got {eps}: loss=mae is the same without it")
        self.eps = eps

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Return the scalar loss of two ``(N, C, H, W)`` batches."""
        return ((sr - hr).square() + self.eps**2).sqrt().mean()


class WeightedSum(nn.Module):
    """A weighted sum of losses."""

    def __init__(self, terms: Mapping[str, nn.Module], weights: Mapping[str, float]) -> None:
        """Sum ``weights[name] * terms[name]``.

        Raises:
            UserError: unless both have the same keys, at least one.
        """
        super().__init__()
        if not terms or set(terms) != set(weights):
            raise UserError(
                f"loss: every term needs a weight and every weight a term, got terms {sorted(terms)} "
                f"and weights {sorted(weights)}"
            )
        self.terms = nn.ModuleDict(terms)
        self.weights = dict(weights)

    @property
    def label(self) -> str:
        """Name for tables and pages."""
        return " + ".join(f"{self.weights[name]:g} {getattr(term, 'label', name)}" for name, term in self.terms.items())

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Return the scalar loss of two ``(N, C, H, W)`` batches."""
        return torch.stack([self.weights[name] * term(sr, hr) for name, term in self.terms.items()]).sum()


class LumaLoss(nn.Module):
    """Another loss, of the luma of both images: what PSNR and SSIM by protocol ``y`` look at.

    A loss of RGB spends a part of the network on colours, which those scores ignore. Alone, this leaves them without
    a target: add a loss of RGB of a small weight.
    """

    def __init__(self, loss: nn.Module) -> None:
        """Apply ``loss`` to luma."""
        super().__init__()
        self.loss = loss

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Return the scalar loss of two ``(N, C, H, W)`` batches in [0, 1].

        Raises:
            UserError: for images that are neither RGB nor gray.
        """
        if sr.shape[1] not in (1, 3):
            raise UserError(f"loss=luma compares RGB or gray images, not {sr.shape[1]} channels: choose another loss")
        loss: Tensor = self.loss(luma(_at_least_float32(sr)), luma(_at_least_float32(hr)))
        return loss


class SSIMLoss(nn.Module):
    """One minus SSIM (Wang et al. 2004; as a loss: Zhao et al. 2017, arXiv:1511.08861), in float32."""

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Return the scalar loss of two ``(N, C, H, W)`` batches in [0, 1], with sides of at least 11 pixels.

        Raises:
            UserError: for smaller images.
        """
        if min(sr.shape[-2:]) < WINDOW:
            raise UserError(f"loss=ssim needs images of {WINDOW} pixels a side or more: raise data.patch")
        with torch.autocast(sr.device.type, enabled=False):
            return 1 - ssim(_at_least_float32(sr), _at_least_float32(hr)).mean()


class MSSSIMLoss(nn.Module):
    """One minus multi-scale SSIM (Wang et al. 2003; as a loss: Zhao et al. 2017, arXiv:1511.08861), in float32."""

    def __init__(self, scales: int = 3) -> None:
        """Set the number of scales, 1 to 5; images need ``11 * 2 ** (scales - 1)`` pixels a side: 44 for 3.

        With fewer than the five of the paper, the weights of those that remain are scaled to the same sum. Means
        below 0.05, of images that hardly resemble their targets, count as ``0.05 exp(mean / 0.05 - 1)``: positive, so
        that they have a real power, and with a gradient, which an untrained network needs.

        Raises:
            UserError: for another number.
        """
        super().__init__()
        check_choice("loss.scales", scales, range(1, 6))
        self.scales = scales

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Return the scalar loss of two ``(N, C, H, W)`` batches in [0, 1].

        Raises:
            UserError: for images that are too small.
        """
        with torch.autocast(sr.device.type, enabled=False):
            score = sr.new_ones(len(sr), dtype=_at_least_float32(sr).dtype)
            for mean, weight in ms_ssim_factors(_at_least_float32(sr), _at_least_float32(hr), self.scales):
                small = _LEAST_MEAN * torch.exp(mean.clamp(max=_LEAST_MEAN) / _LEAST_MEAN - 1)
                score = score * torch.where(mean > _LEAST_MEAN, mean, small) ** weight
            return 1 - score.mean()


class LPIPSLoss(nn.Module):
    """LPIPS (Zhang et al. 2018, arXiv:1801.03924) on VGG16, in float32; see `sr.metrics.perceptual.LPIPS`."""

    def __init__(self, vgg: str = "imagenet", weights: str | None = None) -> None:
        """Load VGG16 and the weights of its channels.

        Args:
            vgg: as ``weights`` of `VGGLoss`; with ``random`` features this is not LPIPS, and is labelled so.
            weights: the authors' file ``vgg.pth``; None: the copy that torchmetrics brings.

        Raises:
            UserError: if they cannot be loaded.
        """
        super().__init__()
        self.vgg = vgg
        self.distance = LPIPS(vgg, weights, allow_random=True)

    @property
    def label(self) -> str:
        """Name for tables and pages, including the source of the features unless that is ImageNet."""
        return "lpips" if self.vgg == "imagenet" else f"lpips ({Path(self.vgg).name} features)"

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Return the scalar loss of two ``(N, 3, H, W)``, or gray ``(N, 1, H, W)``, batches in [0, 1]."""
        with torch.autocast(sr.device.type, enabled=False):
            distance: Tensor = self.distance(sr, hr)
            mean: Tensor = distance.mean()
            return mean


class FocalFrequencyLoss(nn.Module):
    """Squared differences of the spectra, weighted by how large they are (Jiang et al. 2021, arXiv:2012.12821).

    The weights, ``|difference| ** alpha`` over its maximum in each channel of each image, have no gradient.
    """

    def __init__(self, alpha: float = 1.0) -> None:
        """Set ``alpha``; with 0 all frequencies weigh the same, which is the mean squared error by Parseval's theorem.

        Raises:
            UserError: if ``alpha`` is negative.
        """
        super().__init__()
        if not alpha >= 0:
            raise UserError(f"loss.alpha must be 0 or more, got {alpha}")
        self.alpha = alpha

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Return the scalar loss of two ``(N, C, H, W)`` batches."""
        spectrum = torch.fft.fft2(_at_least_float32(sr) - _at_least_float32(hr), norm="ortho")
        squares = spectrum.real.square() + spectrum.imag.square()
        weights = squares.detach() ** (self.alpha / 2)
        most = weights.amax(dim=(-2, -1), keepdim=True)
        loss: Tensor = (squares * torch.where(most > 0, weights / most, 0.0)).mean()
        return loss


class GradientLoss(nn.Module):
    """Mean absolute difference of image gradients, plus that of the pixels.

    After the gradient difference loss of Mathieu et al. 2016 (arXiv:1511.05440), with signed differences to the next
    row and column instead of their magnitudes.
    """

    def __init__(self, pixels: float = 1.0) -> None:
        """Set the weight of the mean absolute error of the pixels; with 0 the brightness of the output is free.

        Raises:
            UserError: if it is negative.
        """
        super().__init__()
        if not pixels >= 0:
            raise UserError(f"loss.pixels must be 0 or more, got {pixels}")
        self.pixels = pixels

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Return the scalar loss of two ``(N, C, H, W)`` batches."""
        error = sr - hr
        rows, columns = (error.diff(dim=dim).abs().mean() for dim in (-2, -1))
        return rows + columns + self.pixels * error.abs().mean()


def _resized(image: Tensor, side: int) -> Tensor:
    """Resize ``(N, C, H, W)`` to ``(N, C, side, side)``, bilinear and antialiased.

    On a GPU the gradient of torch's own resizing is a sum in any order, which ``trainer.deterministic`` refuses: there
    it is a product with the matrices of the same resizing.
    """
    if image.is_cuda and torch.are_deterministic_algorithms_enabled():
        return _resized_by_matrices(image, side)
    return F.interpolate(image, (side, side), mode="bilinear", antialias=True)


def _resized_by_matrices(image: Tensor, side: int) -> Tensor:
    with torch.autocast(image.device.type, enabled=False):
        rows, columns = (_resizing_matrix(length, side, image.dtype, image.device) for length in image.shape[-2:])
        return rows @ image @ columns.T


@lru_cache(maxsize=16)
@torch.inference_mode(mode=False)
def _resizing_matrix(length: int, side: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """What `torch.nn.functional.interpolate` multiplies a column of ``length`` pixels with: ``(side, length)``."""
    pixels = torch.eye(length)[None, None]
    return F.interpolate(pixels, (side, length), mode="bilinear", antialias=True)[0, 0].to(device, dtype)


def _at_least_float32(image: Tensor) -> Tensor:
    return image if image.dtype == torch.float64 else image.float()
