"""Comparisons on benchmark sets, from the scores that `sr evaluate` left in run folders."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from sr.report.comparison import Comparison
from sr.report.configurations import find_configurations
from sr.report.run import Configuration, Contender, Evaluation, ImageScores, Run
from sr.runs.schema import RunResult, Status


class _Conditions(NamedTuple):
    """Scores under different conditions never share a table."""

    protocol: str
    scale: int
    shrink: int | None
    settings: str


class _Set(NamedTuple):
    """A set of images, as it was when it was scored."""

    label: str
    fingerprint: str


_Scored = Mapping[_Set, Mapping[Path, Run]]  # every training with its scores on a set, by its folder


@dataclass(frozen=True)
class Benchmark:
    """Everything that was scored under the same conditions.

    Attributes:
        sets: a comparison on each set.
        joint: a comparison on the images of all sets, each photograph counted once; None for a single set.
        without: for each set, a comparison on the images of all others; empty for a single set.
        left_out: configurations that lack a set and are not in ``joint``.
    """

    sets: Sequence[Comparison]
    joint: Comparison | None
    without: Mapping[str, Comparison]
    left_out: Sequence[str]


def find_benchmarks(comparisons: Sequence[Comparison], contenders: Sequence[Contender] = ()) -> list[Benchmark]:
    """Group all evaluations that have the scores of each image by each training.

    Configurations of different comparisons compete, which may have been trained on different images, and so do other
    programs. These compete under every setting of the same protocol and scale.
    """
    runs: dict[_Conditions, list[Run]] = defaultdict(list)
    for run in (run for comparison in comparisons for run in comparison.runs):
        for conditions in dict.fromkeys(_conditions(entry) for entry in run.evaluations if entry.is_complete):
            runs[conditions].append(run)
    for conditions in {_conditions(entry) for other in contenders for entry in other.evaluations if entry.is_complete}:
        if not any(conditions[:2] == other[:2] for other in runs):
            runs[conditions] = []
    return [
        _benchmark(conditions, of_conditions, contenders)
        for conditions, of_conditions in sorted(runs.items(), key=lambda item: str(item[0]))
    ]


def _conditions(evaluation: Evaluation) -> _Conditions:
    return _Conditions(evaluation.protocol, evaluation.scale, evaluation.shrink, evaluation.settings)


def _benchmark(conditions: _Conditions, runs: Sequence[Run], contenders: Sequence[Contender]) -> Benchmark:
    configurations = find_configurations(runs, []) if runs else []
    by_name = {entry.name: _trainings(entry, conditions) for entry in configurations}
    for other in contenders:
        fixed = _fixed(other, {entry.name for entry in configurations})
        if trainings := _trainings(fixed, conditions):
            configurations.append(fixed)
            by_name[fixed.name] = trainings
    scored = _with_unique_labels(by_name)
    sets = sorted({of_set for trainings in scored.values() for of_set in trainings})
    complete = [entry for entry in configurations if _joined(scored[entry.name], sets)]

    def comparison(among: Iterable[Configuration], on: Sequence[_Set]) -> Comparison:
        return Comparison(
            protocol=conditions.protocol,
            scale=conditions.scale,
            fingerprint=_hash_of([of_set.fingerprint for of_set in on]),
            shrink=conditions.shrink,
            configurations=[replace(entry, runs=_joined(scored[entry.name], on)) for entry in among],
            label=", ".join(of_set.label for of_set in on),
            training_folds=max((len(set(run.folds.values())) for run in runs), default=1),
        )

    several = len(sets) > 1 and bool(complete)
    return Benchmark(
        sets=[
            comparison((entry for entry in configurations if of_set in scored[entry.name]), [of_set]) for of_set in sets
        ],
        joint=comparison(complete, sets) if several else None,
        without={
            of_set.label: comparison(complete, [other for other in sets if other != of_set])
            for of_set in (sets if several else ())
        },
        left_out=[entry.name for entry in configurations if entry not in complete],
    )


def _fixed(contender: Contender, taken: Collection[str]) -> Configuration:
    """A program as a configuration that is not trained."""
    name = contender.name if contender.name not in taken else f"{contender.name} ({contender.folder.name})"
    result = RunResult(Status.DONE, config={}, choices={"model": name})
    run = Run(name, (contender.folder,), result, {}, {}, {}, (), contender.evaluations)
    return Configuration(name, (name, "", ""), "", (run,), is_fixed=True)


def _with_unique_labels(scored: Mapping[str, _Scored]) -> dict[str, _Scored]:
    """Sets of other images under the same name, told apart by their fingerprints."""
    sets = {of_set for trainings in scored.values() for of_set in trainings}
    count = Counter(of_set.label for of_set in sets)

    def unique(of_set: _Set) -> _Set:
        label, fingerprint = of_set
        return of_set if count[label] == 1 else _Set(f"{label} [{fingerprint[:8]}]", fingerprint)

    return {
        name: {unique(of_set): of_training for of_set, of_training in trainings.items()}
        for name, trainings in scored.items()
    }


def _hash_of(fingerprints: Sequence[str]) -> str:
    """That of a set, or one of several together."""
    if len(fingerprints) == 1:
        return fingerprints[0]
    return hashlib.sha256("".join(fingerprints).encode()).hexdigest()[:16]


def _trainings(configuration: Configuration, conditions: _Conditions) -> _Scored:
    """The trainings of a configuration on each set; one that was scored twice, as a part and by itself, counts once."""
    found: dict[_Set, dict[Path, Run]] = defaultdict(dict)
    for run in configuration.runs:
        for entry in run.evaluations:
            own = _conditions(entry)
            is_alike = own[:2] == conditions[:2] if configuration.is_fixed else own == conditions
            if entry.is_complete and is_alike:
                label = replace(entry, settings=conditions.settings).label
                of_set = found[_Set(label, entry.fingerprint)]
                for name, scores in entry.trainings.items():
                    folder = (entry.folder / name).resolve()
                    of_set[folder] = _training(run, folder, entry, scores)
    return found


def _training(run: Run, folder: Path, evaluation: Evaluation, scores: ImageScores) -> Run:
    """A training with its scores on the images of a set."""
    columns = {"psnr": scores.psnr, "ssim": scores.ssim}
    for prefix, of_baseline in evaluation.baselines.items():
        columns |= {f"{prefix}_psnr": of_baseline.psnr, f"{prefix}_ssim": of_baseline.ssim}
    images = {
        name: {column: values[number] for column, values in columns.items()}
        for number, name in enumerate(evaluation.names)
    }
    return replace(
        run,
        folders=(folder,),
        images=dict(sorted(images.items())),
        folds=dict.fromkeys(images, 0),
        groups=dict(zip(evaluation.names, evaluation.groups, strict=True)),
        evaluations=(),
    )


def _joined(scored: _Scored, on: Sequence[_Set]) -> tuple[Run, ...]:
    """The trainings that were scored on all of some sets, with the images of these together; empty if none was."""
    folders = [folder for folder in scored.get(on[0], {}) if all(folder in scored.get(of_set, {}) for of_set in on)]
    if len(on) == 1:
        return tuple(scored[on[0]][folder] for folder in sorted(folders))
    return tuple(_over_sets({of_set: scored[of_set][folder] for of_set in on}) for folder in sorted(folders))


def _over_sets(runs: Mapping[_Set, Run]) -> Run:
    """One training with its scores on several sets."""
    images = {f"{of_set.label}/{name}": row for of_set, run in runs.items() for name, row in run.images.items()}
    groups = {
        f"{of_set.label}/{name}": f"{of_set.label}/{group}"
        for of_set, run in runs.items()
        for name, group in run.groups.items()
    }
    first = next(iter(runs.values()))
    return replace(first, images=dict(sorted(images.items())), folds=dict.fromkeys(images, 0), groups=groups)
