"""From runs to configurations: join folds, gather seeds, and name configurations by what they differ in."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sr.report.run import Configuration, Run
from sr.runs.identity import configuration
from sr.runs.scores import over_trainings_by_epoch
from sr.terms import OUR_DEGRADATIONS

_FACTORS = ("model", "loss", "optimizer")
_MOST_NAMED = 3  # options in a name; the others are counted
_ABSENT = object()
_DEGRADATION, _IMAGES, _WEIGHTS = "data.degrade._target_", "data (images)", "init (weights)"
DEPEND_ON_SCALE = frozenset({_IMAGES, _WEIGHTS})  # what `options_of` adds to the options


def find_configurations(runs: Sequence[Run], repeats: list[str]) -> list[Configuration]:
    """Group runs that differ in their seed alone, in order of appearance, and name the groups.

    Args:
        runs: with scores that may share a table.
        repeats: gets a line for each run that repeats another, which is left out.
    """
    groups: dict[str, list[Run]] = defaultdict(list)
    options = {}
    for run in runs:
        of_run = options_of(run)
        key = json.dumps([run.choices, of_run], sort_keys=True, default=str)
        options[key] = of_run
        groups[key].append(run)
    named = _levels([(group[0].choices, options[key]) for key, group in groups.items()])
    return [
        Configuration(name, levels, variant, tuple(_join_folds(group, repeats)))
        for name, (levels, variant), group in zip(_names(named), _told_apart(named), groups.values(), strict=True)
    ]


def with_degradation(entry: Configuration) -> Configuration:
    """A configuration whose name says what degradation it was trained on, if its scores record that."""
    keys = [evaluation.trained_on for run in entry.runs for evaluation in run.evaluations if evaluation.trained_on]
    if not keys or "degrade=" in entry.name:
        return entry
    text = f"degrade={keys[0].partition('(')[0]}"  # the key goes on with the options
    variant = f"{entry.variant} {text}".lstrip()
    return replace(entry, name=f"{entry.name}{' ' if entry.variant else ', '}{text}", variant=variant)


def _names(named: Sequence[tuple[tuple[str, str, str], str]]) -> list[str]:
    """The levels that configurations differ in, and their variants; numbered where they are alike after all.

    >>> _names([(("espcn", "mse", "adam"), ""), (("vdsr", "mse", "adam"), "")])
    ['espcn', 'vdsr']
    """
    levels = [of_one for of_one, _ in named]
    shown = [position for position in range(len(_FACTORS)) if len({of_one[position] for of_one in levels}) > 1]
    names: list[str] = []
    for of_one, variant in named:
        texts = [of_one[position] for position in shown or range(len(_FACTORS))]
        name = ", ".join(text for text in (*texts, variant) if text)
        alike = sum(earlier == name or earlier.startswith(f"{name} (") for earlier in names)
        names.append(f"{name} ({alike + 1})" if alike else name)
    return names


def _told_apart(named: Sequence[tuple[tuple[str, str, str], str]]) -> Iterator[tuple[tuple[str, str, str], str]]:
    """Levels and variants, the variants numbered where both are alike: each configuration has a place of its own."""
    seen: Counter[tuple[tuple[str, str, str], str]] = Counter()
    for levels, variant in named:
        seen[levels, variant] += 1
        count = seen[levels, variant]
        yield levels, f"{variant} ({count})".lstrip() if count > 1 else variant


def options_of(run: Run) -> dict[str, Any]:
    """What tells the configuration of a run from others, by dotted names."""
    options = configuration(run.result.config)
    options[_IMAGES] = run.data.fingerprint[:8]  # on a benchmark set, different training images compete
    if run.result.initial:
        options[_WEIGHTS] = run.result.initial.weights_hash[:8]
    return options


def _join_folds(runs: Sequence[Run], repeats: list[str]) -> list[Run]:
    """One run for each seed: those of single folds, as ``-m data.fold=0,1,2`` leaves them, are joined.

    The same seed and fold trained twice is one training, not two: the last one counts.
    """
    by_seed: dict[int, dict[int | None, Run]] = defaultdict(dict)
    for run in sorted(runs, key=lambda run: run.result.started):
        of_seed = by_seed[run.seed]
        if run.result.fold in of_seed:
            earlier = of_seed[run.result.fold]
            repeats.append(f"{earlier.name}: left out, {run.name} is the same training with the same seed")
        of_seed[run.result.fold] = run
    joined = []
    for seed in sorted(by_seed):
        whole = by_seed[seed].pop(None, None)
        parts = sorted(by_seed[seed].values(), key=lambda run: run.result.fold or 0)
        if whole:
            joined.append(whole)
            repeats += [f"{run.name}: left out, {whole.name} has all folds of this seed" for run in parts]
        else:
            joined.append(parts[0] if len(parts) == 1 else _joined(parts))
    return joined


def _joined(runs: Sequence[Run]) -> Run:
    result = replace(
        runs[0].result,
        seconds=sum(run.result.seconds for run in runs),
        train_seconds=sum(run.result.train_seconds for run in runs),
        command="; ".join(str(run.result.command) for run in runs),
    )
    images = {name: scores for run in runs for name, scores in run.images.items()}
    return Run(
        name=f"{runs[0].name.rstrip('_0123456789')} (folds {', '.join(str(run.result.fold) for run in runs)})",
        folders=tuple(folder for run in runs for folder in run.folders),
        result=result,
        images=dict(sorted(images.items())),
        folds={name: fold for run in runs for name, fold in run.folds.items()},
        groups={name: group for run in runs for name, group in run.groups.items()},
        curve=over_trainings_by_epoch([run.curve for run in runs]),
        evaluations=[evaluation for run in runs for evaluation in run.evaluations],
        metrics={name: info for run in runs for name, info in run.metrics.items()},
    )


def _levels(
    configurations: Sequence[tuple[tuple[str, str, str], Mapping[str, Any]]],
) -> list[tuple[tuple[str, str, str], str]]:
    """Levels and variant of each configuration.

    Options are named where configurations of the same model, loss and optimizer differ in them.
    """
    alike: dict[tuple[str, str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for choices, options in configurations:
        alike[choices].append(options)
    found = {name for group in alike.values() for name in differing(group)}
    if _DEGRADATION in differing([options for _, options in configurations]):
        found.add(_DEGRADATION)  # what a network was trained to undo tells more of its scores than any other option
    told = _without_consequences(sorted(found), [options for _, options in configurations])
    listed: list[tuple[list[str], ...]] = []
    for choices, options in configurations:
        named = [(name, options[name]) for name in told if name in options]
        by_factor = [
            [choice, *_texts([item for item in named if item[0].startswith(f"{factor}.")], told)]
            for choice, factor in zip(choices, _FACTORS, strict=True)
        ]
        others = [item for item in named if item[0].partition(".")[0] not in _FACTORS]
        listed.append((*by_factor, ["", *_texts(others, told)]))
    model, loss, optimizer, variant = (_shortened(column) for column in zip(*listed, strict=True))
    return list(zip(zip(model, loss, optimizer, strict=True), variant, strict=True))


def _without_consequences(names: Sequence[str], configurations: Sequence[Mapping[str, Any]]) -> list[str]:
    """Options to name: of a degradation its class alone, and not that images differ, where that follows from it."""
    if _DEGRADATION not in names:
        return list(names)

    def follows(name: str) -> bool:
        values = {(str(options.get(_DEGRADATION)), str(options.get(name, _ABSENT))) for options in configurations}
        return len(values) == len({degradation for degradation, _ in values})

    details = [name for name in names if name.startswith("data.degrade.") or name == _IMAGES]
    return [name for name in names if name == _DEGRADATION or name not in details or not follows(name)]


def differing(group: Sequence[Mapping[str, Any]]) -> set[str]:
    """The names of the options that are not the same in all of a group."""
    names = {name for options in group for name in options}
    return {
        name for name in names if any(options.get(name, _ABSENT) != group[0].get(name, _ABSENT) for options in group)
    }


def _texts(named: Sequence[tuple[str, Any]], told: Sequence[str]) -> list[str]:
    """Options as ``lr=0.001``: the last part of their names, or more of it where that is ambiguous."""
    return list(dict.fromkeys(_text(name, value, told) for name, value in named))


def _shortened(column: Sequence[list[str]]) -> list[str]:
    """A choice and its options in words: of many the first few, unless others are shortened to the same words."""
    whole = [" ".join(words).lstrip() for words in column]
    short = [_first(words) for words in column]
    meanings = {words: {text for text, other in zip(whole, short, strict=True) if other == words} for words in short}
    return [words if len(meanings[words]) == 1 else text for words, text in zip(short, whole, strict=True)]


def _first(words: list[str]) -> str:
    more = len(words) - 1 - _MOST_NAMED
    return " ".join(words if more <= 0 else [*words[:-more], f"and {more} more"]).lstrip()


def _text(name: str, value: Any, told: Sequence[str]) -> str:
    parts = name.split(".")
    if parts[-1].startswith("_"):  # the class of a part that others lack or have otherwise
        of_class = str(value).rpartition(".")[2]
        shown = of_class.lower() if str(value).startswith(OUR_DEGRADATIONS) else of_class  # as in the config group
        return f"{'.'.join(parts[1:-1]) or parts[0]}={shown}"
    ambiguous = sum(other.rpartition(".")[2] == parts[-1] for other in told) > 1
    shown = f"{value:g}" if isinstance(value, float) else str(value)
    return f"{'.'.join(parts[-2:]) if ambiguous else parts[-1]}={shown}"
