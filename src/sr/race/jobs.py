"""One more training of a configuration: in which folder, and by which options."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser

from sr.errors import UserError
from sr.io.run_folder import RunFolder
from sr.runs.schema import read_result

_REPLACED = re.compile(r"[+~]*(seeds?|name|run_dir|retrain|hydra\..*|hydra/.*|--config-dir)")


@dataclass(frozen=True)
class Job:
    """A training to start, or to resume.

    Attributes:
        training: folder of the training itself.
        cell: folder that the command writes to: the same, or the cell whose seed it is.
        overrides: all options that make it.
        configs: where Hydra looks for configs of the user, such as ``file:///home/me/myconf``.
    """

    training: Path
    cell: Path
    overrides: Sequence[str]
    configs: Sequence[str] = ()


def next_jobs(folders: Sequence[Path], seeds: Sequence[int]) -> list[Job]:
    """The jobs of the next seed of a configuration.

    A cell that was trained with ``seeds=N`` gets the seed into its folder; a single run gets it into one beside it.

    Args:
        folders: of its first training: one, or one for each fold that was trained as a run of its own.
        seeds: that were trained.

    Raises:
        UserError: if a record does not say by which command it was trained.
    """
    cell = RunFolder(folders[0]).cell
    if cell.path == folders[0]:
        return [_beside(folder, max(seeds) + 1) for folder in folders]
    begun = [part.number for part in cell.seeds if part.number not in seeds and part.result.is_file()]
    seed = begun[0] if begun else max(seeds) + 1
    named = sorted({seed, *(part.number for part in cell.seeds if part.result.is_file())})
    words = _options(cell.path)
    overrides = [*_overrides(words), f"seeds=[{','.join(map(str, named))}]"]
    return [Job(cell.seed(seed).path, cell.path, overrides, _configs(words))]


def _beside(folder: Path, seed: int) -> Job:
    path = folder.with_name(f"{re.sub(r'_seed[0-9]+$', '', folder.name)}_seed{seed}")
    words = _options(folder)
    return Job(path, path, [*_overrides(words), f"seed={seed}"], _configs(words))


def _options(folder: Path) -> list[str]:
    """What follows the program in the command that a run was started with."""
    result = read_result(folder)
    words = shlex.split(result.command) if result and result.command else []
    if words[1:3] != ["-m", "sr.train"]:
        raise UserError(f"{folder}: its record has no command that trains it again: leave it out, or train it anew")
    return words[3:]


def _overrides(words: Sequence[str]) -> list[str]:
    """The options of a run, without those that say where it and its configs are, or which seed it has."""
    return [word for word in words if not _REPLACED.fullmatch(word.partition("=")[0])]


def _configs(words: Sequence[str]) -> list[str]:
    """Where the configs of a user are that a command names."""
    values = {name: value for name, _, value in (word.partition("=") for word in words)}
    folder, path = values.get("--config-dir"), values.get("hydra.searchpath", "null")
    named = OverridesParser.create().parse_override(f"hydra.searchpath={path}").value()
    return [
        *(map(str, named) if isinstance(named, list) else ()),
        *([f"file://{Path(folder).absolute()}"] if folder else []),
    ]
