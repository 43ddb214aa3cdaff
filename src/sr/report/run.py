"""A finished run as the report sees it: its record, the scores of its images, its learning curve."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sr.runs.schema import RunResult
from sr.terms import DataSummary


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
    """

    model: str
    data: str
    scale: int
    protocol: str
    psnr: float
    ssim: float
    images: int


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        name: path of its folder relative to the folder of the report.
        folders: its folder, or several if each of its folds was trained as a run of its own.
        result: its record.
        images: scores of each validation image, sorted by image name.
        folds: number of the fold that validated each image.
        curve: rows of ``metrics.csv``, one per epoch.
        evaluations: scores on other data sets.
    """

    name: str
    folders: tuple[Path, ...]
    result: RunResult
    images: Mapping[str, Mapping[str, float]]
    folds: Mapping[str, int]
    curve: Sequence[Mapping[str, float]]
    evaluations: Sequence[Evaluation] = ()

    @property
    def sweep(self) -> str:
        """Path of the folder that holds the run, relative to the folder of the report; empty if it is that folder."""
        return self.name.rpartition("/")[0]

    @property
    def data(self) -> DataSummary:
        """The images of its data set."""
        assert self.result.data is not None  # checked when the run was read
        return self.result.data

    @property
    def levels(self) -> tuple[str, str, str]:
        """Names of its model, loss and optimizer, as shown in tables."""
        choices = self.result.choices
        return str(choices.get("model")), self.result.loss, str(choices.get("optimizer"))

    def column(self, score: str) -> list[float]:
        """Values of a score, one per image, sorted by image name."""
        return [scores[score] for scores in self.images.values()]

    @property
    def fold_weights(self) -> list[float]:
        """The weight of each image, sorted by name, in a mean of the means of the folds."""
        counts = Counter(self.folds[name] for name in self.images)
        return [1 / counts[self.folds[name]] for name in self.images]

    def by_fold(self, score: str) -> list[float]:
        """Mean of a score over the images of each fold, in the order of the folds."""
        values = defaultdict(list)
        for name, scores in self.images.items():
            values[self.folds[name]].append(scores[score])
        return [sum(column) / len(column) for _, column in sorted(values.items())]
