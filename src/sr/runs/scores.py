"""Means and standard deviations: over images, over trainings (folds or seeds), and of every epoch over trainings."""

import math
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from sr.terms import BASELINES, loses_to

# Columns of the joined table of epochs: how many trainings have reached the epoch, and the ends of deviations' names.
_COUNT, _SD = "trainings", "_sd"
_OF_BASELINES = tuple(f"{baseline.prefix}_" for baseline in BASELINES)


@dataclass(frozen=True)
class MeanSd:
    """A mean and a sample standard deviation; a single value has no deviation (None)."""

    mean: float
    sd: float | None = None


Scores: TypeAlias = dict[str, MeanSd]  # by name: psnr, ssim, gain, input_psnr ...


def mean_and_sd(values: Sequence[float]) -> MeanSd:
    """Mean and sample standard deviation of at least one value; if one is infinite or nan, so is the mean.

    >>> mean_and_sd([30.0, 32.0]), mean_and_sd([30.0])
    (MeanSd(mean=31.0, sd=1.4142135623730951), MeanSd(mean=30.0, sd=None))
    """
    if not all(map(math.isfinite, values)):  # on which `statistics.stdev` fails
        return MeanSd(sum(values), math.nan if len(values) > 1 else None)
    return MeanSd(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None)


def over_images(rows: Sequence[Mapping[str, Any]]) -> Scores:
    """Mean and deviation of each score over the rows of an image table; empty for no rows.

    >>> over_images([{"name": "a", "psnr": 30.0}, {"name": "b", "psnr": 32.0}])
    {'psnr': MeanSd(mean=31.0, sd=1.4142135623730951)}
    """
    names = [name for name, value in rows[0].items() if isinstance(value, float)] if rows else []
    return {name: mean_and_sd([row[name] for row in rows]) for name in names}


def baseline_psnrs(scores: Scores) -> dict[str, float]:
    """Mean PSNR of each recorded baseline by its prefix, for `sr.terms.loses_to`."""
    names = {baseline.prefix: f"{baseline.prefix}_psnr" for baseline in BASELINES}
    return {prefix: scores[name].mean for prefix, name in names.items() if name in scores}


def unbeaten(scores: Scores) -> str:
    """The recorded baselines that the mean PSNR does not beat, in words; empty for scores without a PSNR."""
    return loses_to(scores["psnr"].mean, baseline_psnrs(scores)) if "psnr" in scores else ""


def over_trainings(scores: Sequence[Scores]) -> Scores:
    """Mean over folds, or over seeds, of each score's mean, for the scores that all of them have.

    The deviation is that between trainings: of a score beyond that of the input, since folds have images of different
    difficulty. Scores of baselines, which are not trained, have none.

    >>> folds = [{"psnr": MeanSd(30.0), "input_psnr": MeanSd(28.0)}, {"psnr": MeanSd(35.0), "input_psnr": MeanSd(33.0)}]
    >>> over_trainings(folds)
    {'psnr': MeanSd(mean=32.5, sd=0.0), 'input_psnr': MeanSd(mean=30.5, sd=None)}
    """
    names = [name for name in scores[0] if all(name in training for training in scores)]
    return _summaries({name: [training[name].mean for training in scores] for name in names})


def _summaries(columns: Mapping[str, Sequence[float]]) -> Scores:
    """Mean and deviation of each column over trainings, as `over_trainings` says; names may begin with ``val/``.

    Of training images, the scores of the input are not recorded: only the gain, of PSNR.
    """
    summaries = {}
    for name, values in columns.items():
        part, slash, score = name.rpartition("/")
        of_input = columns.get(f"{part}{slash}{BASELINES[0].prefix}_{score}", ())
        gains = columns.get(f"{part}{slash}gain", ())
        summary = mean_and_sd(values)
        if score.startswith(_OF_BASELINES):
            summary = replace(summary, sd=None)
        elif len(of_input) == len(values):
            gains = [value - other for value, other in zip(values, of_input, strict=True)]
            summary = replace(summary, sd=mean_and_sd(gains).sd)
        elif gains and score not in ("gain", "loss"):
            summary = replace(summary, sd=mean_and_sd(gains).sd if score == "psnr" else None)
        summaries[name] = summary
    return summaries


def over_trainings_by_epoch(tables: Sequence[Sequence[Mapping[str, Any]]]) -> list[dict[str, float]]:
    """Mean and deviation over folds, or over seeds, of every column at every epoch that any of them has it for.

    Deviations are those of `over_trainings`.

    The tables may be joined ones of cross-validations themselves: then the deviation is that of their means.

    >>> over_trainings_by_epoch([[{"epoch": "0", "val/psnr": "30"}], [{"epoch": "0", "val/psnr": "32"}]])
    [{'epoch': 0, 'trainings': 2, 'val/psnr': 31.0, 'val/psnr_sd': 1.4142135623730951}]
    """
    columns: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    counts: dict[int, int] = defaultdict(int)
    for table in tables:
        for row in table:
            epoch = int(row["epoch"])
            counts[epoch] += int(row.get(_COUNT, 1))
            for name, value in row.items():
                if name not in ("epoch", _COUNT) and not name.endswith(_SD) and value != "":
                    columns[epoch][name].append(float(value))
    rows = []
    for epoch in sorted(counts):
        row_of_epoch: dict[str, float] = {"epoch": epoch, _COUNT: counts[epoch]}
        for name, summary in _summaries(columns[epoch]).items():
            row_of_epoch[name] = summary.mean
            if summary.sd is not None:
                row_of_epoch[f"{name}{_SD}"] = summary.sd
        rows.append(row_of_epoch)
    return rows
