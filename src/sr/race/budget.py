"""What a race may spend, and what it has spent: in training time, trainings or multiply-adds."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from sr.errors import UserError
from sr.io.atomic import write_text
from sr.report.formats import si
from sr.runs.schema import RunResult, read_result

_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}
_LEDGER = "decide.json"  # in the folder of the race
_PASSES = 3  # forward, and backward to inputs and to weights
_SIDE = 256  # pixels; multiply-adds are recorded for an image of this size


class Unit(Enum):
    """What a budget counts."""

    SECONDS = "training time"
    TRAININGS = "trainings"
    MULTIPLY_ADDS = "multiply-adds"

    def cost(self, result: RunResult) -> float:
        """What a training has cost so far, by its record; all folds of ``data.fold=all`` are one training.

        Raises:
            UserError: for multiply-adds where whole images were trained on.
        """
        if self is Unit.SECONDS:
            return result.seconds
        if self is Unit.TRAININGS:
            return 1.0
        data = result.config["data"]
        patch = data.get("patch")
        if not isinstance(patch, int):
            raise UserError("--budget: multiply-adds are known only of crops (data.patch): give a time, such as 2h")
        seen = result.images_seen or result.steps * data.get("batch_size", 1)
        folds = result.fold_count or 1  # the record has the images of one of them
        return _PASSES * result.multiply_adds * seen * folds * (patch / _SIDE) ** 2

    def text(self, value: float) -> str:
        """An amount in words.

        >>> Unit.SECONDS.text(5400), Unit.TRAININGS.text(1), Unit.MULTIPLY_ADDS.text(3e15)
        ('1.5 h', '1 training', '3000 T multiply-adds')
        """
        if self is Unit.TRAININGS:
            return f"{value:.0f} training{'' if round(value) == 1 else 's'}"
        if self is Unit.MULTIPLY_ADDS:
            return f"{si(value)} multiply-adds"
        unit = next((name for name in ("d", "h", "min") if value >= _SECONDS[name]), "s")
        return f"{value / _SECONDS[unit]:.3g} {unit}"


@dataclass(frozen=True)
class Budget:
    """An amount of a unit; infinite without a budget."""

    amount: float
    unit: Unit

    @classmethod
    def parse(cls, text: str) -> "Budget":
        """Read a budget.

        Raises:
            UserError: if it is none.

        >>> Budget.parse("90min").amount, Budget.parse("12").unit.value, Budget.parse("5e15ma").unit.value
        (5400.0, 'trainings', 'multiply-adds')
        """
        match = re.fullmatch(r"(\d+(?:\.\d+)?(?:e\+?\d+)?)\s*([a-z]*)", text.strip().lower())
        number, unit = (float(match[1]), match[2]) if match else (0.0, "")
        if number > 0 and unit in _SECONDS:
            return cls(number * _SECONDS[unit], Unit.SECONDS)
        if number > 0 and unit in ("", "ma") and (unit or number.is_integer()):
            return cls(number, Unit.MULTIPLY_ADDS if unit else Unit.TRAININGS)
        raise UserError(
            f"--budget must be a time (2h, 30min, 90s, 1d), a number of trainings (12) or of multiply-adds (5e15ma), "
            f"got {text!r}"
        )


class Ledger:
    """The trainings that a race has started, so that its budget counts over all starts of the command."""

    def __init__(self, folder: Path) -> None:
        """Read what earlier starts wrote into the folder of the race.

        Raises:
            UserError: if the file is damaged.
        """
        self._folder, self._file = folder, folder / _LEDGER
        self.trainings: list[str] = []
        if self._file.is_file():
            try:
                self.trainings = [str(name) for name in json.loads(self._file.read_text(encoding="utf-8"))["trainings"]]
            except (ValueError, KeyError, TypeError) as error:
                raise UserError(f"{self._file}: is damaged: delete it, and the budget counts from zero") from error

    def add(self, trainings: Sequence[Path]) -> None:
        """Note trainings before they start; those that are resumed are there already."""
        names = [path.relative_to(self._folder).as_posix() for path in trainings]
        self.trainings += [name for name in names if name not in self.trainings]
        write_text(self._file, json.dumps({"trainings": self.trainings}, indent=2) + "\n")

    def spent(self, unit: Unit) -> float:
        """What its trainings have cost by now; of one that was interrupted, what its record says."""
        return sum(self.spent_on(self._folder / name, unit) for name in self.trainings)

    def spent_on(self, training: Path, unit: Unit) -> float:
        """What one of its trainings has cost by now; 0 for one that has not begun."""
        is_noted = training.relative_to(self._folder).as_posix() in self.trainings
        result = read_result(training) if is_noted else None
        return unit.cost(result) if result else float(is_noted and unit is Unit.TRAININGS)
