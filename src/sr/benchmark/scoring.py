"""The scores of an image by all contestants: models, baselines, and finished pictures."""

import logging
import math
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from sr.benchmark.contenders import Contender
from sr.benchmark.rows import ImageScore, NetworkScore, Row, folder_name, mean_score
from sr.data.degrade.base import Degradation
from sr.data.degrade.bicubic import BICUBIC
from sr.data.duplicates import Hashes, hashes
from sr.data.pairs import load_pair, stored_size
from sr.data.sources import Source
from sr.errors import UserError, line_of
from sr.image import resize, to_float, to_levels
from sr.inference.enlarger import Enlarger
from sr.io.atomic import whole_file
from sr.io.images import is_gray
from sr.io.pictures import write_strips
from sr.io.pixel_formats import PixelFormat
from sr.machine.float32 import full_float32
from sr.machine.hardware import free_memory
from sr.machine.side_by_side import side_by_side
from sr.metrics import Metric, score
from sr.metrics.scoring import DEFAULT
from sr.weights.model import Model

log = logging.getLogger(__name__)

_MOST_IN_PNG = 4  # channels
_SHARE = 0.125  # of the free memory, for images in flight
_BYTES = 64  # that scoring holds for each value of an image

# A model and its networks; a baseline, which has none; or the finished pictures of another program.
Contestant: TypeAlias = tuple[Model, list[Enlarger]] | tuple[Model, Contender]


class ContestantScore(NamedTuple):
    """The scores of an image by a contestant, by each of its networks, and the faults of a finished picture."""

    image: ImageScore
    by_network: list[NetworkScore]
    faults: list[str]


@dataclass(frozen=True)
class Loaded:
    """An image that is ready to be scored.

    Attributes:
        name: of the image.
        lr: uint8 or uint16 ``(C, h, w)``.
        hr: ``(C, H, W)`` of the same type.
        hashes: perceptual, of ``hr``.
        stored_gray: whether its file is gray.
    """

    name: str
    lr: Tensor
    hr: Tensor
    hashes: Hashes
    stored_gray: bool


class Scored(NamedTuple):
    """The scores of an image by all contestants, and its perceptual hashes."""

    hashes: Hashes
    scores: list[ContestantScore]


@dataclass(frozen=True)
class ImageScorer:
    """Scores the images of a folder.

    Attributes:
        rows: one for each contestant, which say how it is scored; nothing is added to them.
        contestants: in the same order.
        shrink: see `sr.data.pairs.load_pair`.
        pixels: what images are decoded to.
        place: the device that outputs are scored on.
        save: folder that gets the outputs of the first network of each contestant.
        metrics: by name, PSNR and SSIM among them.
        began: called with the row whose scores are computed next.
        ended: called when they are.
        degradation: makes the low resolution that the sources lack.
    """

    rows: Sequence[Row]
    contestants: Sequence[Contestant]
    shrink: int
    pixels: PixelFormat
    place: torch.device
    save: Path | None
    metrics: Mapping[str, Metric]
    began: Callable[[Row], None]
    ended: Callable[[], None]
    degradation: Degradation = BICUBIC

    def score_all(self, sources: Sequence[Source]) -> Iterator[Scored]:
        """Score images in their order; on a CPU side by side, each by a single thread, as memory permits.

        Networks on a GPU, and those that ONNX Runtime computes, take one image after the other; for a GPU, images are
        decoded ahead.
        """
        enlargers = [enlarger for _, maker in self.contestants if isinstance(maker, list) for enlarger in maker]
        workers = min(torch.get_num_threads(), len(sources))
        sizes, most = [self._values(source) for source in sources], self._most_values(enlargers)
        if self.place.type != "cpu" or any(enlarger.device.type != "cpu" for enlarger in enlargers):
            loaded = side_by_side(sources, sizes, lambda: self.load, workers=workers, most=most)
            return self._timed_once_warm(loaded)
        if not _can_be_copied(enlargers):
            return map(self.load_and_score, sources)
        return side_by_side(sources, sizes, lambda: self._for_a_thread().load_and_score, workers=workers, most=most)

    def _timed_once_warm(self, images: Iterable[Loaded]) -> Iterator[Scored]:
        """`score` of each, once a GPU has enlarged an image in every way: the first loads and chooses algorithms."""
        is_warm = False
        for image in images:
            if not is_warm:
                for model, maker in self.contestants:
                    if isinstance(maker, list):
                        list(_outputs(model, maker, image.lr[None], self.place))
                is_warm = True
            yield self.score(image)

    def load(self, source: Source) -> Loaded:
        """Decode an image, and derive its low resolution."""
        lr, hr = load_pair(source, self.rows[0].scale, self.shrink, self.pixels, self.degradation)
        return Loaded(source.name, lr, hr, hashes(hr), is_gray(source.hr))

    def load_and_score(self, source: Source) -> Scored:
        """`load` and `score`."""
        return self.score(self.load(source))

    def score(self, image: Loaded) -> Scored:
        """Score an image."""
        lr, target = (to_float(values[None]).to(self.place) for values in (image.lr, image.hr))
        scores = []
        for row, (model, maker) in zip(self.rows, self.contestants, strict=True):
            self.began(row)
            faults: list[str] = []
            if isinstance(maker, Contender):
                output, faults = maker.read(image.name, image.lr[None], image.hr[None])
                outputs = _finished(output, self.place)
            else:
                outputs = _outputs(model, maker, image.lr[None], self.place)
            scores.append(self._scores(row, outputs, image, lr, target, faults))
            self.ended()
        return Scored(image.hashes, scores)

    def _scores(
        self,
        row: Row,
        outputs: Iterable[tuple[Tensor, float | None]],
        image: Loaded,
        lr: Tensor,
        target: Tensor,
        faults: list[str],
    ) -> ContestantScore:
        """Score the outputs of a contestant for an image, and save the first."""
        scores: list[NetworkScore] = []
        times = []
        for sr, milliseconds in outputs:
            with self._naming(row, image), full_float32():  # LPIPS and DISTS are networks, too
                tensors = score(
                    sr,
                    target,
                    row.protocol,
                    row.scale,
                    stored_gray=image.stored_gray,
                    bits=row.bits,
                    metrics=self.metrics,
                    lr=lr,
                )
            values = {name: float(value) for name, value in tensors.items()}
            scores.append(NetworkScore(values.pop("psnr"), values.pop("ssim"), values))
            times += [] if milliseconds is None else [milliseconds]
            if self.save and len(scores) == 1:
                suffix = ".png" if target.shape[1] <= _MOST_IN_PNG else ".tif"
                path = self.save / folder_name(row.name) / folder_name(row.data) / f"{image.name}{suffix}"
                _write(path, to_levels(sr[0], row.bits))
        mean = mean_score(image.name, scores, statistics.fmean(times) if times else None)
        return ContestantScore(mean, scores, faults)

    @contextmanager
    def _naming(self, row: Row, image: Loaded) -> Iterator[None]:
        """Name the image that cannot be scored, as it is too small for a metric."""
        try:
            yield
        except UserError as error:
            hint = "; leave out the image, or that metric of --metrics" if self.metrics.keys() > DEFAULT.keys() else ""
            raise UserError(f"{row.data}, {image.name}: {error}{hint}") from error

    def _for_a_thread(self) -> "ImageScorer":
        """The same with networks of its own: a network may keep values between its layers."""
        contestants: list[Contestant] = []
        for model, maker in self.contestants:
            if isinstance(maker, Contender):
                contestants.append((model, maker))
            else:
                contestants.append((model, [enlarger.twin() for enlarger in maker]))
        return replace(self, contestants=contestants)

    def _values(self, source: Source) -> float:
        """Number of values of an image; infinite if its header does not tell."""
        height, width = stored_size(source)
        return height * width * self.pixels.channels or math.inf

    def _most_values(self, enlargers: Sequence[Enlarger]) -> float:
        """How many values of images may be in memory at a time."""
        by_networks = [enlarger.pixels_at_a_time * enlarger.scale**2 for enlarger in enlargers]
        of_scoring = free_memory(torch.device("cpu")) * _SHARE / _BYTES
        return min([of_scoring, *(pixels * self.pixels.channels for pixels in by_networks)])


def _can_be_copied(enlargers: Sequence[Enlarger]) -> bool:
    """Whether threads can have networks of their own."""
    try:
        for enlarger in enlargers:
            enlarger.twin()
    except Exception as error:  # of ONNX Runtime, or by `torch.nn.utils.weight_norm`
        log.info("images are scored one by one: a network cannot be copied for other threads (%s)", line_of(error))
        return False
    return True


def _outputs(
    model: Model, enlargers: Sequence[Enlarger], lr: Tensor, place: torch.device
) -> Iterator[tuple[Tensor, float | None]]:
    """Enlarge ``(1, C, h, w)`` of uint8 or uint16 with each network, or a baseline: output, on ``place``, and ms."""
    for enlarger in enlargers or (None,):
        begun = time.perf_counter()
        if enlarger:
            sr = enlarger.enlarge(lr, place)
        else:
            sr = resize(to_float(lr).to(place).double(), model.scale, model.label)
        if place.type == "cuda":
            torch.cuda.synchronize(place)
        yield sr, 1000 * (time.perf_counter() - begun)


def _finished(output: Tensor, place: torch.device) -> Iterator[tuple[Tensor, float | None]]:
    """A picture of uint8 or uint16 that another program made; nobody knows how long it took."""
    yield to_float(output).to(place), None


def _write(path: Path, sr: Tensor) -> None:
    """Write uint8 or uint16 ``(C, H, W)``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = sr.permute(1, 2, 0).cpu().numpy()
    with whole_file(path) as file:
        write_strips(file, path.suffix, [rows], rows.shape, deep=sr.dtype == torch.uint16)
