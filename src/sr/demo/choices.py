"""The models and leaderboards that the demo offers."""

from pathlib import Path

from sr.runs.schema import read_result
from sr.weights import zoo

Choices = dict[str, tuple[str, int]]  # label: name for sr.load, factor


def find_models(runs: Path) -> Choices:
    """The networks that ship with sr, then the trained runs below a folder, newest first."""
    found: Choices = {}
    for entry in zoo.entries():
        scales = entry.about["scales"]
        for scale in scales:
            found[entry.name if len(scales) == 1 else f"{entry.name}, x{scale}"] = (entry.name, scale)
    checkpoints = sorted(runs.rglob("checkpoints/best.ckpt"), key=lambda path: -path.stat().st_mtime)
    for folder in dict.fromkeys(_run_of(path) for path in checkpoints):
        result = read_result(folder)
        config = result.config if result else {}
        scales = config.get("data", {}).get("scales") or [config.get("scale", 1)]
        for scale in scales:
            label = str(folder.relative_to(runs)) if folder != runs else folder.resolve().name
            found[label if len(scales) == 1 else f"{label}, x{scale}"] = (str(folder), scale)
    return found


def find_boards(runs: Path) -> dict[str, Path]:
    """Folders below a folder that hold several finished runs."""
    inside: dict[Path, int] = {}
    for result in sorted(runs.rglob("result.json")):
        if not result.parent.name.startswith("fold_"):
            inside[result.parents[1]] = inside.get(result.parents[1], 0) + 1
    return {str(folder): folder for folder, count in sorted(inside.items()) if count > 1}


def _run_of(checkpoint: Path) -> Path:
    run = checkpoint.parents[1]
    return run.parent if run.name.startswith("fold_") else run
