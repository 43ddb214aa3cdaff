"""The models that a command line names, some of them by a glob such as ``runs/grid/*``."""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sr.errors import UserError
from sr.io.run_folder import RunFolder
from sr.runs.best import model_path
from sr.runs.schema import read_result
from sr.runs.status import standing_of
from sr.weights.find import MODEL_SUFFIXES, find_model
from sr.weights.model import Model
from sr.weights.onnx.hints import UNKNOWN, OnnxHints


def find_models(
    names: Sequence[str],
    scale: int | None,
    hints: OnnxHints = UNKNOWN,
    *,
    skip: bool = True,
    needed: str | None = None,
) -> tuple[list[Model], int]:
    """Load models; among several names, skip with a line each what is no model, and what cannot be used.

    Models of others are called by the name of their file, or by its path if another has the same.

    Args:
        names: of models, as for `sr.load`.
        scale: factor of the sides; None: that of each model.
        hints: see `sr.weights.find.find_model`.
        skip: False refuses what would be skipped.
        needed: a name that must be usable: it comes first, whether it is among the others or not.

    Returns:
        The models, and how many could not be used.

    Raises:
        UserError: for a name that is neither a path nor shipped, and if no model is left.
    """
    models: list[Model] = []
    paths: list[str] = []
    failures = 0
    are_several = len(names) > 1
    if needed is not None:
        place = _place(needed)
        names = [needed, *(name for name in names if _place(name) != place)]
    for name in names:
        may_skip = skip and are_several and name != needed
        if may_skip and _is_no_model(Path(name)):
            sys.stderr.write(f"{name}: skipped, it is no model\n")
            continue
        try:
            path = model_path(name)
            models.append(find_model(path, scale, hints))
            paths.append(path)
            _warn_of_unfinished(Path(path))
        except UserError as error:
            if not may_skip or not Path(name).exists():
                raise
            failures += 1
            sys.stderr.write(f"error: {error} (skipped)\n")
    if names and not models:
        raise UserError(f"none of these {len(names)} can be used: name a checkpoint or the folder of a finished run")
    counts = Counter(model.label for model in models)
    unique = [
        model if counts[model.label] == 1 else replace(model, label=path)
        for model, path in zip(models, paths, strict=True)
    ]
    return unique, failures


def common_scale(models: Sequence[Model]) -> int:
    """The scale of all models.

    Raises:
        UserError: if they differ, or there are none.
    """
    scales = sorted({model.scale for model in models})
    if not scales:
        raise UserError("a scale is needed (--scale): no model says it")
    if len(scales) > 1:
        raise UserError(f"the models enlarge by {' and '.join(map(str, scales))}: evaluate them one at a time")
    return scales[0]


def _place(name: str) -> str | Path:
    """The run or the file of a model; the name itself of one that ships, and of what is no model."""
    try:
        path = Path(model_path(name, quiet=True)).resolve()
    except UserError:  # which is said where it is loaded
        return name
    if path.exists():
        return path.parents[1] if path == RunFolder(path.parents[1]).best else path
    return name


def _is_no_model(path: Path) -> bool:
    """Whether a path is a file of another kind, or a folder without runs, as a glob of a sweep's folder names some."""
    if path.is_dir():
        run = RunFolder(path)
        return not run.has_checkpoints and not RunFolder.below(path)
    return path.is_file() and path.suffix.lower() not in MODEL_SUFFIXES


def _warn_of_unfinished(run: Path) -> None:
    """Say how a run stands whose training has not come to its end: its best weights so far are used."""
    result = read_result(run)
    if result and not result.is_done:
        sys.stderr.write(f"{run}: is {standing_of(run, result)[0]}: its best weights so far are used\n")
