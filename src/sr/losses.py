"""The losses that torch lacks: VGG perceptual, Charbonnier, and a weighted sum; plain MSE and L1 come from torch."""

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import urlopen

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sr.errors import UserError
from sr.io.atomic import whole_file

# torch's own published file; the hash in its name is checked on download.
VGG16_URL = "https://download.pytorch.org/models/vgg16-397923af.pth"
_DOWNLOAD_TIMEOUT = 30.0  # seconds without an answer
_BLOCK = 2**20  # bytes read at a time

# VGG16 (Simonyan & Zisserman 2015) up to relu4_3: widths of its layers, the index of each convolution in the published
# file, and which of them produce a compared feature map (relu1_2, relu2_2, relu3_3, relu4_3; Johnson et al. 2016).
_WIDTHS = (3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512)
_SHAPES = [(out, width, 3, 3) for width, out in pairwise(_WIDTHS)]
_FILE_INDEX = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21)
_COMPARED = frozenset({1, 3, 6, 9})
_POOLED_BEFORE = frozenset({2, 4, 7})
_LEAST_SIDE = 8  # pixels; three poolings reduce it to one

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)

_RANDOM_SEED = 0


class VGGLoss(nn.Module):
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
        super().__init__()
        self.weights, self.resize, self.float32 = weights, resize, float32
        for number, (weight, bias) in enumerate(_load_features(weights)):
            in_order = weight.contiguous(memory_format=torch.channels_last)  # as images come: none is turned in a step
            self.register_buffer(f"weight{number}", in_order, persistent=False)
            self.register_buffer(f"bias{number}", bias, persistent=False)
        self._in_bfloat16: list[
            tuple[Tensor, Tensor]
        ] = []  # the same, cast once: autocast keeps casts of parameters only
        self.register_buffer("mean", torch.tensor(_IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_IMAGENET_STD).view(1, 3, 1, 1), persistent=False)

    @property
    def label(self) -> str:
        """Name for tables and pages, including the source of the weights unless that is ImageNet."""
        return "vgg" if self.weights == "imagenet" else f"vgg ({Path(self.weights).name} features)"

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
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
        if min(image.shape[-2:]) < _LEAST_SIDE:
            raise UserError(f"loss=vgg needs images of {_LEAST_SIDE} pixels a side or more: raise data.patch")
        x = ((image - self.get_buffer("mean")) / self.get_buffer("std")).contiguous(memory_format=torch.channels_last)
        compared = []
        for number, (weight, bias) in enumerate(self._layers(image.device)):
            if number in _POOLED_BEFORE:
                x = F.max_pool2d(x, 2)
            x = F.relu(F.conv2d(x, weight, bias, padding=1))
            if number in _COMPARED:
                compared.append(x)
        return compared

    def _layers(self, device: torch.device) -> list[tuple[Tensor, Tensor]]:
        """Weights and biases, in the precision of autocast."""
        numbers = range(len(_FILE_INDEX))
        layers = [(self.get_buffer(f"weight{number}"), self.get_buffer(f"bias{number}")) for number in numbers]
        if not (torch.is_autocast_enabled(device.type) and torch.get_autocast_dtype(device.type) == torch.bfloat16):
            return layers
        if not self._in_bfloat16 or self._in_bfloat16[0][0].device != layers[0][0].device:
            with torch.inference_mode(mode=False):  # the first call may be a validation's
                self._in_bfloat16 = [(weight.bfloat16(), bias.bfloat16()) for weight, bias in layers]
        return self._in_bfloat16


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
        rows, columns = (_resizing_matrix(length, side).to(image) for length in image.shape[-2:])
        return rows @ image @ columns.T


@lru_cache(maxsize=16)
@torch.inference_mode(mode=False)
def _resizing_matrix(length: int, side: int) -> Tensor:
    """What `torch.nn.functional.interpolate` multiplies a column of ``length`` pixels with: ``(side, length)``."""
    pixels = torch.eye(length)[None, None]
    return F.interpolate(pixels, (side, length), mode="bilinear", antialias=True)[0, 0]


def _load_features(weights: str) -> list[tuple[Tensor, Tensor]]:
    if weights == "random":
        return _random_features()
    state = _read(_imagenet_file() if weights == "imagenet" else Path(weights).expanduser())
    try:
        pairs = [(state[f"features.{index}.weight"], state[f"features.{index}.bias"]) for index in _FILE_INDEX]
    except (KeyError, TypeError) as error:
        raise UserError(f"vgg_weights={weights}: not the weights of VGG16 (no entry {error})") from error
    if [tuple(weight.shape) for weight, _ in pairs] != _SHAPES:
        raise UserError(f"vgg_weights={weights}: not the weights of VGG16 (its layers have other shapes)")
    return [(weight.detach().float().clone(), bias.detach().float().clone()) for weight, bias in pairs]


def _random_features() -> list[tuple[Tensor, Tensor]]:
    """Return He-initialised weights (He et al. 2015), the same in every run."""
    generator = torch.Generator().manual_seed(_RANDOM_SEED)
    return [
        (torch.randn(shape, generator=generator) * (2 / (9 * shape[1])) ** 0.5, torch.zeros(shape[0]))
        for shape in _SHAPES
    ]


def _imagenet_file() -> Path:
    """Return the path of torch's published file in the hub cache, downloaded if missing, its hash checked."""
    name = Path(urlparse(VGG16_URL).path).name
    path = Path(torch.hub.get_dir(), "checkpoints", name)
    fix = (
        "put that file there by hand, or choose vgg_weights=PATH (VGG16's weights elsewhere) or vgg_weights=random "
        "(seeded random features, a weaker loss)"
    )
    hash_prefix = name.removesuffix(".pth").split("-")[1]
    if not path.is_file():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _download(path, hash_prefix)
        except (OSError, ValueError) as error:  # no network, a full disk, or a wrong hash
            raise UserError(f"loss=vgg: cannot fetch {VGG16_URL} to {path} ({error}): {fix}") from error
        return path
    with path.open("rb") as file:
        if not hashlib.file_digest(file, "sha256").hexdigest().startswith(hash_prefix):
            raise UserError(f"{path}: is not the file of {VGG16_URL} (its hash differs): delete it, then {fix}")
    return path


def _download(path: Path, hash_prefix: str) -> None:
    """Download the published file to ``path``, whole or not at all.

    Raises:
        OSError: if the server cannot be reached or does not answer in time, or the disk is full.
        ValueError: if the hash of the downloaded file is wrong.
    """
    digest = hashlib.sha256()
    with urlopen(VGG16_URL, timeout=_DOWNLOAD_TIMEOUT) as response, whole_file(path) as file:
        while block := response.read(_BLOCK):
            digest.update(block)
            file.write(block)
        if not digest.hexdigest().startswith(hash_prefix):
            raise ValueError("its hash differs: the download is damaged")


def _read(path: Path) -> dict[str, Tensor]:
    try:
        state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a foreign or damaged file fails in many ways
        reason = "no such file" if isinstance(error, FileNotFoundError) else "not a file of weights that torch can read"
        raise UserError(f"vgg_weights: {path}: {reason} (other choices: imagenet, random)") from error
    return state
