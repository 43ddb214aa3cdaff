"""The models and leaderboards that the demo offers."""

from pathlib import Path

from sr.io.run_folder import RunFolder
from sr.runs.schema import read_result
from sr.weights import zoo

Choices = dict[str, tuple[str, int]]  # label: name for `sr.load`, scale


def find_models(runs: Path) -> Choices:
    """The networks that ship with sr, then the trained runs below a folder, the newest first."""
    choices: Choices = {}
    for entry in zoo.entries():
        choices |= _choices(entry.name, entry.name, entry.about["scales"])
    checkpoints = sorted(runs.rglob(f"{RunFolder(Path()).best}"), key=lambda path: path.stat().st_mtime, reverse=True)
    for folder in dict.fromkeys(_run_of(path) for path in checkpoints):
        result = read_result(folder)
        config = result.config if result else {}
        scales = config.get("data", {}).get("scales") or [config.get("scale", 1)]
        label = str(folder.relative_to(runs)) if folder != runs else folder.resolve().name
        choices |= _choices(label, str(folder), scales)
    return choices


def find_boards(runs: Path) -> dict[str, Path]:
    """Folders at any depth that hold several runs."""
    counts: dict[Path, int] = {}
    for run in RunFolder.below(runs):
        if not run.is_fold:
            parent = run.path.parent
            counts[parent] = counts.get(parent, 0) + 1
    return {str(folder): folder for folder, count in sorted(counts.items()) if count > 1}


def _choices(label: str, name: str, scales: list[int]) -> Choices:
    """A choice for each scale of a model; the label names the scale where there are several."""
    return {label if len(scales) == 1 else f"{label}, x{scale}": (name, scale) for scale in scales}


def _run_of(checkpoint: Path) -> Path:
    """The run of a checkpoint of it or of one of its folds."""
    folder = RunFolder(checkpoint.parents[1])
    return folder.path.parent if folder.is_fold else folder.path
