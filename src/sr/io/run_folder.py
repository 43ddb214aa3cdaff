"""The paths of the files in a run folder."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_SEED, _FOLD = "seed_", "fold_"
_TRIAL = re.compile(r"trial_\d+")


@dataclass(frozen=True)
class RunFolder:
    """Paths in the folder of a run, which need not exist; nothing is created.

    >>> RunFolder(Path("runs/a")).best.as_posix()
    'runs/a/checkpoints/best.ckpt'
    """

    path: Path

    @property
    def result(self) -> Path:
        """Record of the run and its scores; see `sr.runs.schema`."""
        return self.path / "result.json"

    @property
    def lock(self) -> Path:
        """Held by the process that trains the run."""
        return self.path / ".lock"

    @property
    def metrics(self) -> Path:
        """Table with one row per epoch."""
        return self.path / "metrics.csv"

    @property
    def split(self) -> Path:
        """Table of all images at the start of training, with their parts and content hashes."""
        return self.path / "split.csv"

    @property
    def images(self) -> Path:
        """Table with one row per validation image, at the best epoch."""
        return self.path / "images.csv"

    @property
    def test_images(self) -> Path:
        """Table with one row per test image."""
        return self.path / "test_images.csv"

    @property
    def samples(self) -> Path:
        """Crops of validation images: input, output and target."""
        return self.path / "samples.png"

    @property
    def evaluations(self) -> Path:
        """Folder of scores on other images, as JSON files."""
        return self.path / "evaluations"

    @property
    def trackers(self) -> Path:
        """The ids under which experiment trackers know the run."""
        return self.path / "trackers.json"

    @property
    def contender(self) -> Path:
        """What the pictures of another program are that were scored in place of a run."""
        return self.path / "contender.json"

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def best(self) -> Path:
        """Checkpoint of the best epoch."""
        return self.checkpoints / "best.ckpt"

    @property
    def best_checkpoints(self) -> list[Path]:
        """The checkpoints that make up its model: that of the best epoch, or those of all seeds and folds."""
        if self.best.is_file():
            return [self.best]
        return [path for part in self.parts for path in part.best_checkpoints]

    @property
    def last(self) -> Path:
        """Checkpoint that the run resumes from."""
        return self.checkpoints / "last.ckpt"

    @property
    def previous(self) -> Path:
        """The checkpoint before the last, in case that is damaged."""
        return self.checkpoints / "previous.ckpt"

    @property
    def step_tables(self) -> list[Path]:
        """Tables of ``logger=csv``, one for each time the run was started."""
        return sorted(self.path.glob("steps/*/metrics.csv"))

    def seed(self, number: int) -> "RunFolder":
        """The folder of one seed of a cell with several; it holds a run, or folds."""
        return RunFolder(self.path / f"{_SEED}{number}")

    @property
    def seeds(self) -> list["RunFolder"]:
        """The folders of all seeds that were started, in order."""
        return [self.seed(number) for number in self._numbers(_SEED)]

    def fold(self, number: int) -> "RunFolder":
        """The folder of one fold of a cross-validation."""
        return RunFolder(self.path / f"{_FOLD}{number}")

    @property
    def folds(self) -> list["RunFolder"]:
        """The folders of all folds that were started, in order."""
        return [self.fold(number) for number in self._numbers(_FOLD)]

    def _numbers(self, prefix: str) -> list[int]:
        numbers = [path.name.removeprefix(prefix) for path in self.path.glob(f"{prefix}*")]
        return sorted(int(number) for number in numbers if number.isdecimal())

    @property
    def number(self) -> int:
        """The number of the seed or of the fold whose folder this is."""
        return int(self.path.name.rpartition("_")[2])

    @property
    def parts(self) -> list["RunFolder"]:
        """The folders of its seeds, or of its folds; empty for a single training."""
        return [*self.seeds, *self.folds]

    @property
    def trainings(self) -> list["RunFolder"]:
        """The folders of its trainings: of every fold of every seed, or the folder itself."""
        return [training for part in self.parts for training in part.trainings] or [self]

    @property
    def is_fold(self) -> bool:
        """Whether this is the folder of a fold, by its name."""
        return self.path.name.startswith(_FOLD)

    @property
    def cell(self) -> "RunFolder":
        """The folder of the cell whose seed or fold this is, at any depth; itself if it is neither."""
        parent = RunFolder(self.path.parent)
        is_part = self.path.name.startswith((_SEED, _FOLD)) and parent.result.is_file()
        return parent.cell if is_part else self

    @property
    def trial(self) -> Path | None:
        """The folder of the trial of a search that this is, or is a seed or fold of; None for any other run."""
        path = self.path
        while path.name.startswith((_SEED, _FOLD)):
            path = path.parent
        return path if _TRIAL.fullmatch(path.name) else None

    @property
    def trials(self) -> list[Path]:
        """The folders of all trials of the search that `trial` is one of, in order; empty without one."""
        siblings = sorted(self.trial.parent.iterdir()) if self.trial else []
        return [path for path in siblings if _TRIAL.fullmatch(path.name) and path.is_dir()]

    @property
    def has_checkpoints(self) -> bool:
        """Whether the run, or one of its seeds or folds, has written a checkpoint."""
        return any(self.path.glob("**/checkpoints/*.ckpt"))

    @property
    def can_be_resumed(self) -> bool:
        """Whether the run, or one of its seeds or folds, has a checkpoint to resume from."""
        return any(run.last.is_file() or run.previous.is_file() for run in self.trainings)

    def written_by_training(self) -> Iterator[Path]:
        """The files that ``retrain=true`` deletes: of training and evaluation, but no seeds, folds and text logs."""
        names = (self.result.name, self.samples.name, f"{self.evaluations.name}/*.json")
        for pattern in (*names, "*.csv", "events.out.tfevents.*", "checkpoints/*.ckpt"):
            yield from self.path.glob(pattern)

    @staticmethod
    def below(folder: Path) -> list["RunFolder"]:
        """The runs in a folder and at any depth below, seeds and folds included, sorted by name."""
        return [RunFolder(path.parent) for path in sorted(folder.rglob("result.json"))]
