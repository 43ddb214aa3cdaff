"""The files of a run folder, each named once."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FOLD = "fold_"


@dataclass(frozen=True)
class RunFolder:
    """A folder that holds a run, or is about to; nothing is read or made.

    >>> RunFolder(Path("runs/a")).best.as_posix()
    'runs/a/checkpoints/best.ckpt'
    """

    path: Path

    @property
    def result(self) -> Path:
        """What the run was and what it reached; see `sr.runs.schema`."""
        return self.path / "result.json"

    @property
    def lock(self) -> Path:
        """Held by the process that trains the run."""
        return self.path / ".lock"

    @property
    def metrics(self) -> Path:
        """A row an epoch."""
        return self.path / "metrics.csv"

    @property
    def images(self) -> Path:
        """A row a validation image, at the best epoch."""
        return self.path / "images.csv"

    @property
    def test_images(self) -> Path:
        """A row a test image."""
        return self.path / "test_images.csv"

    @property
    def samples(self) -> Path:
        """Squares of validation images: input, output and target."""
        return self.path / "samples.png"

    @property
    def evaluations(self) -> Path:
        """Folder of scores on other images, a JSON file each."""
        return self.path / "evaluations"

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def best(self) -> Path:
        """Checkpoint of the best epoch."""
        return self.checkpoints / "best.ckpt"

    @property
    def last(self) -> Path:
        """Checkpoint that the run resumes from."""
        return self.checkpoints / "last.ckpt"

    @property
    def previous(self) -> Path:
        """The last checkpoint but one, should the last be torn."""
        return self.checkpoints / "previous.ckpt"

    @property
    def step_tables(self) -> list[Path]:
        """Tables of ``logger=csv``, one for each start of the run."""
        return sorted(self.path.glob("steps/*/metrics.csv"))

    def fold(self, number: int) -> "RunFolder":
        """The folder of one fold of a cross-validation."""
        return RunFolder(self.path / f"{_FOLD}{number}")

    @property
    def is_fold(self) -> bool:
        """Whether this is the folder of a fold, by its name."""
        return self.path.name.startswith(_FOLD)

    @property
    def folds(self) -> list["RunFolder"]:
        """The folders of all folds that were begun, in their order."""
        numbers = [path.name.removeprefix(_FOLD) for path in self.path.glob(f"{_FOLD}*")]
        return [self.fold(number) for number in sorted(int(number) for number in numbers if number.isdecimal())]

    @property
    def has_checkpoints(self) -> bool:
        """Whether the run, or one of its folds, has written a checkpoint."""
        return any(self.path.glob("**/checkpoints/*.ckpt"))

    def written_by_training(self) -> Iterator[Path]:
        """What training writes, apart from its folds and its logs as text: what a run that starts anew deletes."""
        for pattern in (self.result.name, "*.csv", "events.out.tfevents.*", "checkpoints/*.ckpt"):
            yield from self.path.glob(pattern)

    @staticmethod
    def inside(folder: Path) -> list["RunFolder"]:
        """The runs directly in a folder, by name."""
        return [RunFolder(path.parent) for path in sorted(folder.glob("*/result.json"))]

    @staticmethod
    def below(folder: Path) -> list["RunFolder"]:
        """The runs at any depth of a folder and the folder itself, their folds included, by name."""
        return [RunFolder(path.parent) for path in sorted(folder.rglob("result.json"))]
