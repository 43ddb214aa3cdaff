"""VGG16 up to its last feature maps, as losses and metrics compare images by it."""

import hashlib
from collections.abc import Callable
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

# VGG16 (Simonyan & Zisserman 2015) up to relu5_3: widths of its layers, the index of each convolution in the published
# file, and which of them produce a compared feature map (relu1_2, relu2_2, relu3_3, relu4_3, relu5_3).
_WIDTHS = (3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)
_SHAPES = [(out, width, 3, 3) for width, out in pairwise(_WIDTHS)]
_FILE_INDEX = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
_COMPARED = (1, 3, 6, 9, 12)
_POOLED_BEFORE = frozenset({2, 4, 7, 10})

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)

_RANDOM_SEED = 0


class VGGFeatures(nn.Module):
    """The feature maps relu1_2, relu2_2, relu3_3, relu4_3 and relu5_3 of VGG16, or the first of them.

    The weights are buffers that are left out of the state dict: never trained, never saved.
    """

    def __init__(self, weights: str, maps: int, used_by: str) -> None:
        """Load the weights.

        Args:
            weights: ``imagenet`` for torch's published file through its hub cache, ``random`` for seeded random
                features, or the path of a file with VGG16's state dict.
            maps: number of feature maps, 1 to 5.
            used_by: what messages name.

        Raises:
            UserError: if the weights cannot be loaded or are not VGG16's; there is no fallback.
        """
        super().__init__()
        self.used_by = used_by
        self._count = _COMPARED[maps - 1] + 1
        self._least_side = 2 ** (maps - 1)
        for number, (weight, bias) in enumerate(_load_features(weights, self._count, used_by)):
            in_order = weight.contiguous(memory_format=torch.channels_last)  # as images come: none is turned in a step
            self.register_buffer(f"weight{number}", in_order, persistent=False)
            self.register_buffer(f"bias{number}", bias, persistent=False)
        # The same, cast once: autocast keeps casts of parameters only.
        self._in_bfloat16: list[tuple[Tensor, Tensor]] = []
        self.register_buffer("mean", torch.tensor(_IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_IMAGENET_STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, image: Tensor, pool: Callable[[Tensor], Tensor] | None = None) -> list[Tensor]:
        """Return the feature maps of ``(N, 3, H, W)`` in [0, 1], pooled by maxima of 2x2 or by ``pool``.

        Raises:
            UserError: if an image is too small for the last pooling.
        """
        if min(image.shape[-2:]) < self._least_side:
            raise UserError(
                f"{self.used_by} needs images of {self._least_side} pixels a side or more: raise data.patch"
            )
        x = ((image - self.get_buffer("mean")) / self.get_buffer("std")).contiguous(memory_format=torch.channels_last)
        compared = []
        for number, (weight, bias) in enumerate(self._layers(image.device)):
            if number in _POOLED_BEFORE:
                x = pool(x) if pool else F.max_pool2d(x, 2)
            x = F.relu(F.conv2d(x, weight, bias, padding=1))
            if number in _COMPARED:
                compared.append(x)
        return compared

    def _layers(self, device: torch.device) -> list[tuple[Tensor, Tensor]]:
        """Weights and biases, in the precision of autocast."""
        numbers = range(self._count)
        layers = [(self.get_buffer(f"weight{number}"), self.get_buffer(f"bias{number}")) for number in numbers]
        if not (torch.is_autocast_enabled(device.type) and torch.get_autocast_dtype(device.type) == torch.bfloat16):
            return layers
        if not self._in_bfloat16 or self._in_bfloat16[0][0].device != layers[0][0].device:
            with torch.inference_mode(mode=False):  # the first call may be a validation's
                self._in_bfloat16 = [(weight.bfloat16(), bias.bfloat16()) for weight, bias in layers]
        return self._in_bfloat16


def _load_features(weights: str, layers: int, used_by: str) -> list[tuple[Tensor, Tensor]]:
    if weights == "random":
        return _random_features(layers)
    state = _read(_imagenet_file(used_by) if weights == "imagenet" else Path(weights).expanduser())
    try:
        pairs = [(state[f"features.{index}.weight"], state[f"features.{index}.bias"]) for index in _FILE_INDEX[:layers]]
    except (KeyError, TypeError) as error:
        raise UserError(f"vgg_weights={weights}: not the weights of VGG16 (no entry {error})") from error
    if [tuple(weight.shape) for weight, _ in pairs] != _SHAPES[:layers]:
        raise UserError(f"vgg_weights={weights}: not the weights of VGG16 (its layers have other shapes)")
    return [(weight.detach().float().clone(), bias.detach().float().clone()) for weight, bias in pairs]


def _random_features(layers: int) -> list[tuple[Tensor, Tensor]]:
    """Return He-initialised weights (He et al. 2015), the same in every run."""
    generator = torch.Generator().manual_seed(_RANDOM_SEED)
    return [
        (torch.randn(shape, generator=generator) * (2 / (9 * shape[1])) ** 0.5, torch.zeros(shape[0]))
        for shape in _SHAPES[:layers]
    ]


def _imagenet_file(used_by: str) -> Path:
    """Return the path of torch's published file in the hub cache, downloaded if missing, its hash checked."""
    name = Path(urlparse(VGG16_URL).path).name
    path = Path(torch.hub.get_dir(), "checkpoints", name)
    fix = "put that file there by hand, or choose vgg_weights=PATH (VGG16's weights elsewhere)"
    if used_by.startswith("loss="):  # a metric is never computed on random features
        fix += " or vgg_weights=random (seeded random features, a weaker loss)"
    hash_prefix = name.removesuffix(".pth").split("-")[1]
    if not path.is_file():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _download(path, hash_prefix)
        except (OSError, ValueError) as error:  # no network, a full disk, or a wrong hash
            raise UserError(f"{used_by}: cannot fetch {VGG16_URL} to {path} ({error}): {fix}") from error
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
