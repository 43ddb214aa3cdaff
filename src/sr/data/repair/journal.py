"""The record of a repair: what an interrupted repair is resumed from. A later line about a pair replaces an earlier."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from sr.errors import UserError
from sr.io.atomic import write_text

FILE = "repair.jsonl"


@dataclass(frozen=True)
class Request:
    """What was asked for; a repair is resumed only with the same.

    Attributes:
        high: folder of the high resolution, as an absolute path.
        low: folder of the low resolution.
        scale: factor between the two.
    """

    high: str
    low: str
    scale: int


@dataclass(frozen=True)
class Outcome:
    """What became of a pair.

    Attributes:
        pair: its name, below the folder and without suffix.
        text: what was done, or why it was left out, in words.
        written: whether it is in the new folder.
        changed: whether it is more than a copy of the files.
    """

    pair: str
    text: str
    written: bool = True
    changed: bool = False

    @property
    def line(self) -> str:
        """For the user."""
        return f"{self.pair}: {self.text}" if self.written else f"{self.pair}: left out: {self.text}"


class Journal:
    """Adds outcomes to the record in a new folder, and knows those of an interrupted repair."""

    def __init__(self, folder: Path, request: Request) -> None:
        """Begin in a folder that is empty or does not exist, or go on in one that the same repair has begun.

        Raises:
            UserError: for any other folder.
        """
        self._path = folder / FILE
        if folder.exists() and not folder.is_dir():
            raise UserError(f"--repair {folder}: is a file: name a new folder")
        if self._path.is_file():
            lines = self._path.read_text(encoding="utf-8").split("\n")[:-1]  # a kill may tear the last one
            self._outcomes = self._read(lines, request)
        elif folder.exists() and any(folder.iterdir()):
            raise UserError(f"--repair {folder}: is not empty, and nothing is overwritten: name a new folder")
        else:
            self._outcomes = {}
            folder.mkdir(parents=True, exist_ok=True)
            lines = [json.dumps(asdict(request))]
        write_text(self._path, "".join(f"{line}\n" for line in lines))

    @property
    def outcomes(self) -> list[Outcome]:
        """What became of each pair, the last time that it was tried."""
        return list(self._outcomes.values())

    def _read(self, lines: list[str], request: Request) -> dict[str, Outcome]:
        try:
            before = Request(**json.loads(lines[0]))
            outcomes = [Outcome(**json.loads(line)) for line in lines[1:]]
        except (ValueError, TypeError, IndexError) as error:
            raise UserError(f"{self._path}: cannot be read: name a new folder with --repair") from error
        if before != request:
            raise UserError(
                f"--repair {self._path.parent}: holds the repair of {before.high} with {before.low} at scale "
                f"{before.scale}: name a new folder"
            )
        return {outcome.pair: outcome for outcome in outcomes}

    def add(self, outcome: Outcome) -> None:
        """Record what became of a pair, once its files are complete."""
        if self._outcomes.get(outcome.pair) == outcome:
            return
        self._outcomes[outcome.pair] = outcome
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(outcome)) + "\n")
