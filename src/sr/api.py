"""What programs and notebooks import: train, score, compare and use models. Each function is a command as well."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:  # torch takes seconds to import, so each function imports what it needs
    from pathlib import Path

    from sr.benchmark.tables import ScoreTable
    from sr.inference.enlarger import Enlarger
    from sr.report.sections import Board
    from sr.runs.schema import RunResult
    from sr.weights.onnx.hints import OnnxHints

    ModelName: TypeAlias = str | Path | RunResult


def load(
    name: "ModelName",
    scale: int | None = None,
    *,
    trust: str | Iterable[str] = (),
    onnx: "OnnxHints | None" = None,
    **options: Any,
) -> "Enlarger":
    """Load a trained model as a callable that enlarges Pillow images, numpy arrays and tensors.

    Args:
        name: a name of ``sr models``, a file of weights, a run folder, the folder of a sweep (its best cell, which is
            named in a warning), or what `fit` returned.
        scale: factor of the sides, for a model trained for several.
        trust: a package, or several, whose classes a checkpoint may name, for the rest of this process.
        onnx: what need not be found out about an ONNX network that ``sr`` did not write.
        options: of `sr.inference.enlarger.Enlarger`: ``tile``, ``ensemble``, ``device``, ``precision``.

    Raises:
        sr.errors.UserError: if there is no such model.
    """
    from sr.inference.enlarger import Enlarger
    from sr.runs.best import model_path
    from sr.weights.find import find_model
    from sr.weights.onnx.hints import OnnxHints
    from sr.weights.trust import trust as trust_packages

    trust_packages(trust)
    return Enlarger(find_model(model_path(_name_of(name)), scale, onnx or OnnxHints()), **options)


def fit(overrides: Sequence[str] = (), *, progress: bool = False) -> "RunResult":
    """Train a model, or resume the training that its folder holds, as ``python -m sr.train`` does.

    The training is a process of its own: a crash does not take this one down, and no random state or thread setting of
    this one changes. It imports from where this process imports. An interrupt reaches it, and the same call resumes it.

    Args:
        overrides: as on the command line: ``["model=vdsr", "data.root=photos", "scale=2", "name=first"]``. Several
            seeds and folds are one call (``seeds=3``, ``data.fold=all``), a sweep is not.
        progress: print the lines of the training. Its warnings are logged in any case.

    Returns:
        The record of the run: ``result.folder`` is where it is, ``result.scores`` what it reached.

    Raises:
        sr.errors.UserError: for input that has to change.
        sr.errors.DivergedError: if the training diverged.
        KeyboardInterrupt: after an interrupt, once the checkpoint is written.
        RuntimeError: if the training failed otherwise; the message holds its last lines.
    """
    from sr.launch.child import train
    from sr.runs.schema import read_result

    result = read_result(train(overrides, progress=progress))
    assert result is not None  # a training that ends well has written it
    return result


def evaluate(
    models: "ModelName | Sequence[ModelName]",
    *,
    data: "str | Path | Sequence[str | Path]",
    scale: int | None = None,
    protocol: str = "y",
    metrics: "str | Sequence[str]" = (),
    baselines: bool = False,
    low_res: "str | Path | None" = None,
    low_res_name: str | None = None,
    recursive: bool = False,
    record: "str | Path | None" = None,
    trust: str | Iterable[str] = (),
    onnx: "OnnxHints | None" = None,
    progress: bool = False,
    **options: Any,
) -> "ScoreTable":
    """Score models on folders of images, next to bicubic interpolation, as ``sr evaluate`` does.

    The scores of a run are kept in its folder, where a report finds them.

    Args:
        models: one or several, named as for `load`.
        data: folders of high-resolution images.
        scale: factor of the sides; None: that of the models.
        protocol: ``y`` or ``rgb``, see `sr.metrics.score`.
        metrics: to score besides PSNR and SSIM, by their names in ``conf/metrics``.
        baselines: score nearest-neighbour and Lanczos interpolation as well.
        low_res: folder of the low-resolution images; None: by the layout of ``data``, or derived.
        low_res_name: names of those files, if they are unusual: ``"{stem}_small"``.
        recursive: read images in subfolders, too.
        record: folder that keeps the scores of what is no run, for a report: in a folder of its name.
        trust: a package, or several, whose classes a checkpoint may name, for the rest of this process.
        onnx: what need not be found out about ONNX networks that ``sr`` did not write.
        progress: show a bar in a terminal or a notebook.
        options: of `sr.benchmark.evaluate.evaluate`: ``ensemble``, ``save``, ``tile``, ``device``, ``precision``,
            ``bits``.

    Returns:
        A table with a row for each model on each folder: a sequence of rows that prints itself, with ``to_pandas()``
        and, for the scores of each image, ``images_to_pandas()``.

    Raises:
        sr.errors.UserError: for a model or a folder that cannot be used.
    """
    from pathlib import Path

    from sr.benchmark.evaluate import evaluate as score_models
    from sr.benchmark.named_metrics import named_metrics
    from sr.benchmark.named_models import common_scale, find_models
    from sr.benchmark.records import check_records
    from sr.benchmark.tables import ScoreTable, write_rows
    from sr.data.folders.named import FolderOptions
    from sr.terms import BASELINES
    from sr.train import config_dir
    from sr.weights.onnx.hints import OnnxHints
    from sr.weights.trust import trust as trust_packages

    trust_packages(trust)
    found, _ = find_models([_name_of(name) for name in _listed(models)], scale, onnx or OnnxHints(), skip=False)
    folder = Path(record) if record else None
    if folder:
        check_records(folder, found)
    scale = common_scale(found) if scale is None else scale
    rows = score_models(
        found,
        [Path(folder) for folder in _listed(data)],
        scale=scale,
        protocol=protocol,
        metrics=named_metrics(_listed(metrics), config_dir()),
        baselines=BASELINES if baselines else BASELINES[:1],
        progress=progress,
        options=FolderOptions(scale, Path(low_res) if low_res else None, low_res_name, recursive),
        **options,
    )
    table = ScoreTable(tuple(rows))
    write_rows(table, None, None, folder)
    return table


def compare(
    *folders: "str | Path | RunResult", score: str = "psnr", rope: float | None = None, reference: str | None = None
) -> "list[Board]":
    """Compare the finished runs below some folders, as ``sr report`` does, without writing a report.

    Args:
        folders: of sweeps or runs, at any depth, or what `fit` returned.
        score: the metric to decide by.
        rope: differences up to this are practically equivalent; None: that of the metric, as 0.05 dB of PSNR.
        reference: what every configuration is compared with, besides the best one; None: the strongest baseline.

    Returns:
        A leaderboard for each set of validation images, then one for each benchmark set that `evaluate` scored: with
        its ``headline``, its ``rows``, and the verdict on every pair in ``analysis.pairs``. ``print`` shows it.

    Raises:
        sr.errors.UserError: if a folder has no finished run, or a file cannot be read.
    """
    from pathlib import Path

    from sr.report.page import compared
    from sr.report.sections import Settings

    return compared([Path(_name_of(folder)) for folder in folders], Settings(score, rope, reference))


def _name_of(model: "ModelName") -> str:
    from sr.io.paths import shortest_path
    from sr.runs.schema import RunResult

    return shortest_path(model.folder) if isinstance(model, RunResult) else str(model)


def _listed(value: Any) -> list[Any]:
    """A single name or path as a list of one."""
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]
