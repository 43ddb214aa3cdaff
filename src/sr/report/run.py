"""A finished run as the report sees it, and the configuration that it is a training of."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from sr.runs.schema import RunResult
from sr.terms import BASELINES, DEFAULT_METRICS, DataSummary, MetricInfo, pixel_format_name

# Scores of the images of a data set by metric, in the order of their names.
ImageScores: TypeAlias = Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Evaluation:
    """Scores of a model on a data set that it was not trained on.

    Attributes:
        model: name of the model, or of the interpolation kernel.
        data: name of the data set.
        scale: factor between input and output.
        protocol: ``rgb`` or ``y``.
        psnr: mean over images, dB.
        ssim: mean over images.
        images: number of images.
        settings: how the outputs differ from those of the network alone in float32, in words.
        fingerprint: hash of the names and contents of the images; empty for files of earlier versions, which lack this
            and all that follows.
        shrink: factor of the degradation at scale 1.
        names: of the images.
        groups: the photograph that each image shows.
        contents: hash of the high resolution of each image; empty in files of earlier versions.
        trainings: scores of all images by the folder of each training, relative to the run.
        baselines: scores of all images by the prefix of each baseline.
        metrics: how to show each metric, by its name.
        folder: the run that was scored.
        data_set: name of the data set alone, without a degradation; empty in files of earlier versions.
        degradation: name of what made the low resolution; empty if files hold it.
        degraded_by: key of it.
        trained_on: key of the degradation of the training.
    """

    model: str
    data: str
    scale: int
    protocol: str
    psnr: float
    ssim: float
    images: int
    settings: str = ""
    fingerprint: str = ""
    shrink: int | None = None
    names: Sequence[str] = ()
    groups: Sequence[str] = ()
    contents: Sequence[str] = ()
    trainings: Mapping[str, ImageScores] = field(default_factory=dict)
    baselines: Mapping[str, ImageScores] = field(default_factory=dict)
    metrics: Mapping[str, MetricInfo] = field(default_factory=lambda: DEFAULT_METRICS)
    folder: Path = Path()
    data_set: str = ""
    degradation: str = ""
    degraded_by: str = ""
    trained_on: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether it has the scores of each image by each training, and by bicubic interpolation."""
        return bool(self.fingerprint and self.trainings and BASELINES[0].prefix in self.baselines)

    @property
    def label(self) -> str:
        """The data set, and how the outputs were made unless by the network alone."""
        return f"{self.data} ({self.settings.removeprefix('+ ')})" if self.settings else self.data


@dataclass(frozen=True)
class Run:
    """A finished run: one seed, on one fold or on all folds.

    Attributes:
        name: path of its folder relative to the folder of the report.
        folders: its folder, or several if each of its folds was trained as a run of its own.
        result: its record.
        images: scores of each validation image, sorted by image name.
        folds: number of the fold that validated each image.
        groups: the photograph that each image belongs to.
        curve: rows of ``metrics.csv``, one per epoch.
        evaluations: scores on other data sets.
        metrics: how to show each metric, by its name.
        trained_on: key of the degradation of its training, where `sr evaluate` recorded it.
    """

    name: str
    folders: tuple[Path, ...]
    result: RunResult
    images: Mapping[str, Mapping[str, float]]
    folds: Mapping[str, int]
    groups: Mapping[str, str]
    curve: Sequence[Mapping[str, float]]
    evaluations: Sequence[Evaluation] = ()
    metrics: Mapping[str, MetricInfo] = field(default_factory=lambda: DEFAULT_METRICS)
    trained_on: str = ""

    @property
    def seed(self) -> int:
        """The seed that it was trained with."""
        return int(self.result.config.get("seed", 0))

    @property
    def data(self) -> DataSummary:
        """The images of its data set."""
        assert self.result.data is not None  # checked when the run was read
        return self.result.data

    @property
    def pixels(self) -> str:
        """Channels and bits of its images in words; empty for RGB of 8 bits."""
        data = self.result.config.get("data", {})  # finished pictures have no config
        return pixel_format_name(data.get("channels", 3), data.get("bits", 8))

    @property
    def choices(self) -> tuple[str, str, str]:
        """Names of its model, loss and optimizer."""
        choices = self.result.choices
        return str(choices.get("model")), self.result.loss, str(choices.get("optimizer"))


@dataclass(frozen=True)
class Contender:
    """What competes without being trained here: finished pictures of another program, or weights of others.

    Attributes:
        name: of the program or the weights.
        folder: that holds its scores.
        evaluations: of its pictures.
        is_pictures: whether only finished pictures are known.
    """

    name: str
    folder: Path
    evaluations: Sequence[Evaluation]
    is_pictures: bool


@dataclass(frozen=True)
class Configuration:
    """Runs that differ in their seed alone.

    Attributes:
        name: what it differs from the others in; no two configurations of a comparison have the same name.
        levels: names of its model, loss and optimizer, each with the options in which it differs from others.
        variant: other options in which it differs from the other configurations, in words.
        runs: one for each seed, sorted by it.
        is_fixed: whether it is not trained here: finished pictures of another program, or weights of others.
        is_pictures: whether it is finished pictures.
        training_folds: number of folds whose trainings all score every image; 1 where each fold scores its own.
    """

    name: str
    levels: tuple[str, str, str]
    variant: str
    runs: tuple[Run, ...]
    is_fixed: bool = False
    is_pictures: bool = False
    training_folds: int = 1

    @property
    def cell(self) -> tuple[str, str, str]:
        """Its place in a plot of models, losses and optimizers."""
        model, loss, optimizer = self.levels
        return f"{model}, {self.variant}" if self.variant else model, loss, optimizer

    @property
    def result(self) -> RunResult:
        """The record of its first run; they share all that does not depend on the seed."""
        return self.runs[0].result

    @property
    def metrics(self) -> dict[str, MetricInfo]:
        """How to show the metrics that all of its runs have of all of their images, by name."""
        known = {name: info for run in self.runs for name, info in run.metrics.items()}
        scores = [of_image for run in self.runs for of_image in run.images.values()]
        return {name: info for name, info in known.items() if all(name in of_image for of_image in scores)}

    @property
    def images(self) -> list[str]:
        """Names of the images that any of its runs validated, sorted."""
        return sorted({name for run in self.runs for name in run.images})

    def mean_of_image(self, name: str, score: str) -> float:
        """Mean of a score of an image over its runs."""
        return statistics.fmean(run.images[name][score] for run in self.runs if name in run.images)
