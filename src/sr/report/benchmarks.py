"""Comparisons on benchmark sets, from the scores that `sr evaluate` left in run folders."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from sr.errors import UserError
from sr.report.comparison import Comparison
from sr.report.configurations import find_configurations, with_degradation
from sr.report.photograph_names import contents_of, named_photographs
from sr.report.run import Configuration, Contender, Evaluation, ImageScores, Run
from sr.runs.schema import RunResult, Status, read_result


class _Conditions(NamedTuple):
    """Scores under different conditions never share a table."""

    protocol: str
    scale: int
    shrink: int | None
    settings: str


_Scored = Mapping[str, Mapping[Path, Run]]  # by the fingerprint of a set: every training with its scores, by its folder


@dataclass(frozen=True)
class Joint:
    """Several sets under one degradation.

    Attributes:
        comparison: on the images of all sets together, those that the most configurations share.
        without: for each set, a comparison on the images of all others.
        left_out: configurations that lack one of the sets.
        sets_left_out: names of the sets under the same degradation that are not among these.
    """

    comparison: Comparison
    without: Mapping[str, Comparison]
    left_out: Sequence[str]
    sets_left_out: Sequence[str]


@dataclass(frozen=True)
class Benchmark:
    """Everything that was scored under the same conditions.

    Attributes:
        sets: a comparison on each set.
        joints: for each degradation, a comparison on several sets together, unless no two configurations share two
            sets. Sets under different degradations are never put together.
        unfinished: folders of trainings that were scored before they were done, and do not count.
    """

    sets: Sequence[Comparison]
    joints: Sequence[Joint]
    unfinished: Sequence[Path]


def find_benchmarks(comparisons: Sequence[Comparison], contenders: Sequence[Contender] = ()) -> list[Benchmark]:
    """Group all evaluations that have the scores of each image by each training.

    Configurations of different comparisons compete, which may have been trained on different images, and so do weights
    of others and finished pictures. The latter compete under every setting of the same protocol and scale.
    """
    runs: dict[_Conditions, list[Run]] = defaultdict(list)
    for run in (run for comparison in comparisons for run in comparison.runs):
        for conditions in dict.fromkeys(_conditions(entry) for entry in run.evaluations if entry.is_complete):
            runs[conditions].append(run)
    for other in sorted(contenders, key=lambda other: other.is_pictures):
        for conditions in (_conditions(entry) for entry in other.evaluations if entry.is_complete):
            if not other.is_pictures or not any(conditions[:2] == known[:2] for known in runs):
                runs.setdefault(conditions, [])
    return [
        _benchmark(conditions, of_conditions, contenders)
        for conditions, of_conditions in sorted(runs.items(), key=lambda item: str(item[0]))
    ]


def _conditions(evaluation: Evaluation) -> _Conditions:
    return _Conditions(evaluation.protocol, evaluation.scale, evaluation.shrink, evaluation.settings)


def _benchmark(conditions: _Conditions, runs: Sequence[Run], contenders: Sequence[Contender]) -> Benchmark:
    configurations = find_configurations(runs, []) if runs else []
    if _are_trained_differently([*configurations, *contenders]):
        configurations = [with_degradation(entry) for entry in configurations]
    scored = {entry.name: _trainings(entry, conditions) for entry in configurations}
    for other in contenders:
        fixed = _fixed(other, {entry.name for entry in configurations})
        if trainings := _trainings(fixed, conditions):
            configurations.append(fixed)
            scored[fixed.name] = trainings
    unfinished = sorted(
        {folder for sets in scored.values() for of_set in sets.values() for folder in of_set if not _is_done(folder)}
    )
    scored = {name: _without(sets, unfinished) for name, sets in scored.items()}
    labels = _labels(configurations, conditions)
    labels = {key: labels[key] for key in labels if any(key in sets for sets in scored.values())}
    about = _first_evaluations(configurations, conditions)
    photographs_of = named_photographs({label: about[key] for key, label in labels.items()})

    def comparison(on: Sequence[str]) -> Comparison:
        return Comparison(
            protocol=conditions.protocol,
            scale=conditions.scale,
            fingerprint=_hash_of(on),
            shrink=conditions.shrink,
            configurations=[
                replace(entry, runs=joined, training_folds=_fold_count(entry, joined))
                for entry in configurations
                if (joined := _joined(scored[entry.name], on, labels, photographs_of))
            ],
            label=", ".join(labels[key] for key in on),
            data_set=about[on[0]].data_set if len(on) == 1 else "",
            degradation=about[on[0]].degradation if len(on) == 1 else "",
            degraded_by=about[on[0]].degraded_by if len(on) == 1 else "",
            contents=frozenset(content for key in on for content in contents_of(about[key])),
        )

    def joint(keys: Sequence[str], together: Sequence[str]) -> Joint:
        of_all = comparison(together)
        names = {entry.name for entry in of_all.configurations}
        return Joint(
            of_all,
            without={labels[key]: comparison([other for other in together if other != key]) for key in together},
            left_out=[entry.name for entry in configurations if entry.name not in names],
            sets_left_out=[labels[key] for key in keys if key not in together],
        )

    by_degradation: dict[str, list[str]] = defaultdict(list)
    for key in labels:
        by_degradation[about[key].degraded_by].append(key)
    return Benchmark(
        sets=[comparison([key]) for key in labels],
        joints=[
            joint(keys, together) for keys in by_degradation.values() if (together := _shared_by_most(scored, keys))
        ],
        unfinished=unfinished,
    )


def _are_trained_differently(entries: Sequence[Configuration | Contender]) -> bool:
    """Whether the records of scores name several degradations that networks were trained on."""
    evaluations = [
        evaluation
        for entry in entries
        for part in (entry.runs if isinstance(entry, Configuration) else [entry])
        for evaluation in part.evaluations
    ]
    return len({evaluation.trained_on for evaluation in evaluations if evaluation.trained_on}) > 1


def _is_done(folder: Path) -> bool:
    """Whether a training is done; one whose record is not beside its weights is taken to be."""
    try:
        result = read_result(folder)
    except UserError:
        return False
    return result is None or result.is_done


def _without(sets: _Scored, folders: Collection[Path]) -> dict[str, dict[Path, Run]]:
    kept = {key: {path: run for path, run in runs.items() if path not in folders} for key, runs in sets.items()}
    return {key: runs for key, runs in kept.items() if runs}


def _labels(configurations: Iterable[Configuration], conditions: _Conditions) -> dict[str, str]:
    """The name of each set by its fingerprint, in order: the shortest, with the fingerprint if it is ambiguous."""
    names: dict[str, set[str]] = defaultdict(set)
    for configuration in configurations:
        for entry in _evaluations(configuration, conditions):
            names[entry.fingerprint].add(replace(entry, settings=conditions.settings).label)
    shortest = {key: min(of_set, key=lambda name: (len(name), name)) for key, of_set in names.items()}
    count = Counter(shortest.values())
    unique = {key: name if count[name] == 1 else f"{name} [{key[:8]}]" for key, name in shortest.items()}
    return dict(sorted(unique.items(), key=lambda item: item[1]))


def _first_evaluations(configurations: Iterable[Configuration], conditions: _Conditions) -> dict[str, Evaluation]:
    """An evaluation of each set, by its fingerprint."""
    found: dict[str, Evaluation] = {}
    for configuration in configurations:
        for entry in _evaluations(configuration, conditions):
            found.setdefault(entry.fingerprint, entry)
    return found


def _shared_by_most(scored: Mapping[str, _Scored], sets: Sequence[str]) -> list[str]:
    """The sets to look at together: at least two, which at least two configurations have in common."""
    count = {key: sum(key in of_configuration for of_configuration in scored.values()) for key in sets}
    for least in sorted(set(count.values()), reverse=True):
        chosen = [key for key in sets if count[key] >= least]
        common = [name for name, of_configuration in scored.items() if all(key in of_configuration for key in chosen)]
        if len(chosen) > 1 and len(common) > 1:
            return chosen
    return []


def _fold_count(configuration: Configuration, trainings: Sequence[Run]) -> int:
    """The number of folds that trainings are of, if they are of several; 1 otherwise."""
    if configuration.is_fixed or len(trainings) < 2:
        return 1
    return max(len(set(run.folds.values())) for run in configuration.runs)


def _fixed(contender: Contender, taken: Collection[str]) -> Configuration:
    """A program as a configuration that is not trained."""
    name = contender.name if contender.name not in taken else f"{contender.name} ({contender.folder.name})"
    result = RunResult(Status.DONE, config={}, choices={"model": name})
    run = Run(name, (contender.folder,), result, {}, {}, {}, (), contender.evaluations)
    return Configuration(name, (name, "", ""), "", (run,), is_fixed=True, is_pictures=contender.is_pictures)


def _hash_of(fingerprints: Sequence[str]) -> str:
    """That of a set, or one of several together."""
    if len(fingerprints) == 1:
        return fingerprints[0]
    return hashlib.sha256("".join(fingerprints).encode()).hexdigest()[:16]


def _trainings(configuration: Configuration, conditions: _Conditions) -> dict[str, dict[Path, Run]]:
    """The trainings of a configuration on each set; one that was scored twice, as a part and by itself, counts once.

    Scores of a whole cell are with each of its seeds: a training counts if it lies in a run of the configuration.
    """
    own = [folder.resolve() for run in configuration.runs for folder in run.folders]
    found: dict[str, dict[Path, Run]] = defaultdict(dict)
    for entry in _evaluations(configuration, conditions):
        for name, scores in entry.trainings.items():
            folder = (entry.folder / name).resolve()
            if any(folder.is_relative_to(of_run) for of_run in own):
                found[entry.fingerprint][folder] = _training(configuration.runs[0], folder, entry, scores)
    return found


def _evaluations(configuration: Configuration, conditions: _Conditions) -> Iterator[Evaluation]:
    """Those under the conditions; for finished pictures, which have no settings, under the same protocol and scale."""
    for entry in (entry for run in configuration.runs for entry in run.evaluations if entry.is_complete):
        own = _conditions(entry)
        if own == conditions or (configuration.is_pictures and own[:2] == conditions[:2]):
            yield entry


def _training(run: Run, folder: Path, evaluation: Evaluation, scores: ImageScores) -> Run:
    """A training with its scores on the images of a set."""
    columns = dict(scores)
    for prefix, of_baseline in evaluation.baselines.items():
        columns |= {f"{prefix}_{metric}": values for metric, values in of_baseline.items()}
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
        metrics=evaluation.metrics,
        trained_on=evaluation.trained_on,
    )


def _joined(
    scored: _Scored,
    on: Sequence[str],
    labels: Mapping[str, str],
    photographs_of: Mapping[str, Mapping[str, str]],
) -> tuple[Run, ...]:
    """The trainings that were scored on all of some sets, with the images of these together; empty if none was.

    ``photographs_of`` are those of `named_photographs`.
    """
    if not on or any(key not in scored for key in on):
        return ()
    folders = sorted(folder for folder in scored[on[0]] if all(folder in scored[key] for key in on))
    if len(on) == 1:
        return tuple(scored[on[0]][folder] for folder in folders)
    return tuple(_over_sets({labels[key]: scored[key][folder] for key in on}, photographs_of) for folder in folders)


def _over_sets(runs: Mapping[str, Run], photographs_of: Mapping[str, Mapping[str, str]]) -> Run:
    """One training with its scores on several sets, by their names; a photograph counts once."""
    images = {f"{label}/{name}": row for label, run in runs.items() for name, row in run.images.items()}
    groups = {
        f"{label}/{name}": photographs_of[label].get(group, f"{label}/{group}")
        for label, run in runs.items()
        for name, group in run.groups.items()
    }
    first = next(iter(runs.values()))
    return replace(first, images=dict(sorted(images.items())), folds=dict.fromkeys(images, 0), groups=groups)
