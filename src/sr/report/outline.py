"""What stands at the head of a report: a list of its contents, and what its numbers were measured on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sr.errors import counted
from sr.report.run import Run
from sr.report.sections import BenchmarkSection, Board, Section

_LISTED = 3  # machines


@dataclass(frozen=True)
class Entry:
    """A heading of a page: the id of its element, its text, and its level, 2 or 3."""

    id: str
    title: str
    level: int


@dataclass
class Outline:
    """The headings of a page in their order; templates add them as they write them."""

    entries: list[Entry] = field(default_factory=list)

    def add(self, element: str, title: str, level: int) -> str:
        """Add a heading; returns an empty text, so that a template can call it where it writes the heading."""
        self.entries.append(Entry(element, title, level))
        return ""


def facts(
    sections: Sequence[Section], benchmarks: Sequence[BenchmarkSection], unfinished: int
) -> list[tuple[str, str]]:
    """What was compared, on which data, when and on which machine, as pairs of a name and a text."""
    boards: list[Board] = [*sections, *(board for entry in benchmarks for board in entry.boards)]
    configurations = {entry.name: entry for board in boards for entry in board.comparison.configurations}
    runs = [run for section in sections for run in section.comparison.runs]
    compared = counted(len(configurations), "configuration")
    compared += f", {counted(sum(_trainings(run) for run in runs), 'training')}" if runs else ""
    compared += f"; {unfinished} not done" if unfinished else ""
    data = [board.comparison.title for board in boards]
    found = [
        ("compared", compared),
        ("data", "; ".join(data[:_LISTED]) + _more(len(data) - _LISTED)),
        ("trained", _dates(run.result.started for run in runs)),
        ("machine", _machines(runs)),
    ]
    return [(name, text) for name, text in found if text]


def _trainings(run: Run) -> int:
    """Number of networks behind a run: one for each fold."""
    return max(1, len(set(run.folds.values())))


def _more(count: int) -> str:
    return f", and {count} more" if count > 0 else ""


def _dates(times: Iterable[str]) -> str:
    """The first and the last day of some times (ISO 8601); empty if none is known."""
    days = sorted({time[:10] for time in times if time})
    return days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}" if days else ""


def _machines(runs: Sequence[Run]) -> str:
    """The machines of some runs, the one with most runs first."""
    texts = [", ".join(_part(name, value) for name, value in run.result.machine.items() if value) for run in runs]
    order = sorted({text for text in texts if text}, key=lambda text: (-texts.count(text), text))
    return "; ".join(order[:_LISTED]) + _more(len(order) - _LISTED)


def _part(name: str, value: str | int) -> str:
    return counted(value, name.removesuffix("s")) if isinstance(value, int) else value
