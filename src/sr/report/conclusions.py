"""What a comparison says in sentences: its result, how far it can be believed, and what would decide the rest."""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from scipy import stats

from sr.report.analysis import Analysis
from sr.report.components import Components
from sr.report.formats import amount, interval
from sr.report.statistics import ALPHA, Interval, Scope
from sr.report.verdicts import Verdict

_POWER = 0.8
_MOST_SEEDS = 50
_MOST_TIMES = 100  # as many photographs
_LISTED = 5


def headline(analysis: Analysis) -> str:
    """The result in one sentence, and whether any configuration beats the baselines."""
    names = analysis.names
    trained = len(analysis.configurations)
    if trained == 1:
        text = _only_one(analysis)
    elif not analysis.possible_bests:
        text = _without_verdict(analysis)
    elif len(analysis.possible_bests) == 1:
        text = _one_best(analysis, analysis.possible_bests[0])
    else:
        listed = [names[number] for number in analysis.possible_bests]
        claim = "are the best, and equivalent," if analysis.all_equivalent else "may be the best"
        caveat = _without_clear_gain(analysis)
        text = f"{len(listed)} of {trained} configurations {claim} {analysis.scope}{caveat}: {_listed(listed)}."
    if analysis.undecidable_above:
        above = "; ".join(names[number] for number in analysis.undecidable_above[:_LISTED])
        more = "higher" if analysis.metric.higher_is_better else "lower"
        text += f" A {more} mean, but too few trainings for a verdict: {above}."
    strongest = _strongest(analysis)
    if analysis.mean(analysis.order[0]) <= analysis.mean(strongest):
        text += f" No configuration beats {names[strongest]}: using no model at all would be better."
    return text


def _strongest(analysis: Analysis) -> int:
    """The number of the baseline with the best mean."""
    return analysis.number(max(analysis.baselines, key=lambda baseline: analysis.mean(analysis.number(baseline))))


def _without_clear_gain(analysis: Analysis) -> str:
    """How few of those that may be the best clearly beat the strongest baseline; empty if all do, or it is said later.

    Without a verdict on that baseline, as beside another reference, nothing is said.
    """
    strongest = _strongest(analysis)
    pairs = [analysis.pairs.get((number, strongest)) for number in analysis.possible_bests]
    clear = sum(pair is not None and pair.verdict is Verdict.BETTER for pair in pairs)
    none_beats = analysis.mean(analysis.order[0]) <= analysis.mean(strongest)
    if None in pairs or clear == len(pairs) or none_beats:
        return ""
    few = f"only {clear} of them clearly {'beats' if clear == 1 else 'beat'}" if clear else "none of them clearly beats"
    return f", but {few} {analysis.names[strongest]}"


def _listed(names: Sequence[str]) -> str:
    more = f", and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return "; ".join(names[:_LISTED]) + more


def in_other_scope(other: Analysis, main: Analysis) -> str:
    """Which configurations may be the best in another scope than that of the headline; empty without verdicts there.

    Args:
        other: the analysis in that scope.
        main: the analysis of the headline.
    """
    names = [other.names[number] for number in other.possible_bests]
    scope = str(other.scope).capitalize()
    if not names:
        return ""
    if set(names) == {main.names[number] for number in main.possible_bests} and not other.undecidable_above:
        if main.all_equivalent and not other.all_equivalent:
            return f"{scope}, the same may be the best, but it is not shown that they are equivalent."
        if other.all_equivalent and not main.all_equivalent:
            return f"{scope}, the same are the best, and equivalent."
        return f"The same holds {other.scope}."
    if len(names) == 1:
        return f"{scope}, {names[0]} is the best."
    return f"{scope}, {len(names)} may be the best: {_listed(names)}."


def without_sets(joint: Analysis, without: Mapping[str, Analysis]) -> Iterator[str]:
    """Whether the result on several sets depends on a single one.

    Args:
        joint: the analysis of all sets.
        without: the analysis of all sets but one, by the name of that one.
    """
    winners = _winners(joint)
    changed = False
    for label, analysis in without.items():
        others = _winners(analysis)
        if others != winners:
            changed = True
            claim = "may be the best" if analysis.possible_bests else f"has the {joint.extreme} mean"
            yield f"Without {label}, {'; '.join(sorted(others)[:_LISTED])} {claim}."
    if not changed:
        highest = f"configuration has the {joint.extreme} mean"
        claim = "configurations may be the best" if joint.possible_bests else highest
        yield f"Leaving out any one set does not change which {claim}."


def _winners(analysis: Analysis) -> set[str]:
    """Names of the configurations that may be the best; without verdicts, of the one with the best mean."""
    return {analysis.names[number] for number in analysis.possible_bests or [analysis.best]}


def _only_one(analysis: Analysis) -> str:
    pair = analysis.pairs[0, analysis.reference] if analysis.reference else None
    if pair is None:
        return f"{analysis.names[0]} is the only configuration."
    metric = analysis.metric
    shown = pair if metric.higher_is_better else pair.of_distances
    known = f" ({interval(Interval(shown.low, shown.high), metric)})" if math.isfinite(pair.low) else ""
    scope = analysis.scope if analysis.decidable else "for this checkpoint: seeds=3 or more tells of others"
    return (
        f"{analysis.names[0]} is the only configuration: {shown.difference:+.{metric.digits}f} {metric.of}{known} "
        f"against {analysis.names[analysis.reference]}, {scope}."
    )


def _one_best(analysis: Analysis, best: int) -> str:
    others = [number for number in analysis.order if number != best and number in analysis.decidable]
    second = analysis.pairs[best, others[0]]
    low, high = (amount(max(0.0, value), analysis.metric) for value in (second.low, second.high))
    unit = analysis.metric.of
    gap = f"{low.removesuffix(f' {unit}')} to {high}"
    rest = "nothing else" if not analysis.undecidable_above else "no other that was trained repeatedly"
    text = (
        f"{analysis.names[best]} is the best {analysis.scope}, by {gap} over the second, "
        f"{analysis.names[others[0]]}; {rest} may be the best."
    )
    if max(abs(second.low), abs(second.high)) < analysis.rope:
        text += f" The difference is smaller than {amount(analysis.rope, analysis.metric)}: too small to matter."
    return text


def _without_verdict(analysis: Analysis) -> str:
    parts = analysis.parts[analysis.score]
    if parts.within_df < 1 and analysis.scope is Scope.LIKE_THESE:
        what = "All images are of one photograph" if parts.photographs.sum() < 2 else "Each fold has one photograph"
        return f"No verdict: {what.lower()}, so nothing can be said of others; validate on more photographs."
    verdicts = [analysis.pairs[other, analysis.best].on_checkpoints for other in analysis.order[1:]]
    different = sum(verdict in (Verdict.WORSE, Verdict.BETTER) for verdict in verdicts)
    seen = f"differ from those of {different} of the others" if different else "do not clearly differ from the others"
    best = analysis.names[analysis.best]
    entry = analysis.configurations[analysis.best]
    kind = "pictures" if entry.is_pictures else "weights"
    subject = f"The {kind} of {best}" if entry.is_fixed else f"These checkpoints of {best}"
    return (
        f"No verdict on configurations: {_too_few(analysis)}. {subject} have the {analysis.extreme} mean and {seen} on "
        "these images; whether the configurations do needs seeds=3 or more."
    )


def _too_few(analysis: Analysis) -> str:
    """Why there are too few trainings for a verdict."""
    trained = [configuration for configuration in analysis.configurations if not configuration.is_fixed]
    if all(len(configuration.runs) == 1 for configuration in trained):
        return "each was trained once" if len(trained) > 1 else f"{trained[0].name} was trained once"
    return "fewer than two of them have several whole trainings, with all folds where folds differ"


def limits(analysis: Analysis) -> Iterator[str]:
    """How far the verdicts can be believed: what they rest on."""
    parts = analysis.parts[analysis.score]
    count = len(analysis.configurations)
    photographs = int(parts.photographs.sum())
    per_fold = parts.trainings[:count][np.isfinite(parts.trainings[:count])]
    fewest, most = (int(per_fold.min()), int(per_fold.max())) if per_fold.size else (0, 0)
    seeds = str(fewest) if fewest == most else f"{fewest} to {most}"
    if parts.overlap.max() > 1:
        folds = ", from folds whose training sets overlap"
    elif parts.folds > 1:
        folds = f", {parts.folds} folds"
    else:
        folds = ", one split: another training set may change the result"
    images, trainings = "photograph" + "s" * (photographs != 1), "training" + "s" * (most > 1)
    if not most:
        yield f"Rests on {photographs} {images}."
        return
    yield f"Rests on {photographs} {images}, {seeds} {trainings} of each configuration{folds}."
    missing = [analysis.names[number] for number in sorted(analysis.undecidable)]
    if missing and analysis.possible_bests:
        yield f"Too few trainings for a verdict: {'; '.join(missing[:_LISTED])}; seeds=3 or more gives one."


def advice(analysis: Analysis) -> Iterator[str]:
    """What would decide between the configurations that may be the best, and the one with the best mean."""
    for other in analysis.order:
        if other == analysis.best:
            continue
        pair = analysis.pairs[other, analysis.best]
        undecided = pair.verdict is Verdict.UNDECIDED and analysis.decides(other, analysis.best)
        if undecided and other in analysis.possible_bests:
            decided_by = needed(
                analysis.parts[analysis.score], other, analysis.best, analysis.rope, claims=len(analysis.pairs) // 2
            )
            yield f"{analysis.names[other]} and {analysis.names[analysis.best]}: {decided_by}."


def needed(parts: Components, first: int, second: int, rope: float, claims: int) -> str:
    """How many more seeds or photographs would settle a pair with a probability of about 80 %, if it is as it seems.

    More seeds also tell more of how much trainings vary: the degrees of freedom grow with them. Where no fold was
    trained twice, what trainings vary by is part of what folds differ by, and the answer supposes that it is all of it.

    Args:
        parts: the components.
        first: a configuration.
        second: another one.
        rope: the region of practical equivalence.
        claims: number of claims that share the page.
    """
    both = [first, second]
    distance = max(abs(float(parts.means[first] - parts.means[second])), 0.0)
    distance = max(distance, rope - distance)  # a difference, or an equivalence
    photographs, noise = float(parts.photographs.sum()), float(parts.noise[both].sum())
    seeds = float(parts.trainings[both].min())
    within = float(parts.within[first, first] + parts.within[second, second] - 2 * parts.within[first, second])
    interaction = max(0.0, within - noise / seeds)
    training = max(0.0, float(parts.likely_training[both].sum()) - noise / float(parts.photographs.mean()))
    training *= float(parts.overlap[both].max()) / parts.folds
    is_unknown = parts.folds > 1 and bool(np.isnan(parts.training[both]).any())
    if is_unknown or parts.folds == 1:
        fold_part = 0.0
    else:
        fold_part = 2 * parts.training_set * (1 / parts.folds + 1 / (parts.folds - 1))
    df = parts.training_df[both]
    if is_unknown:
        training_df = float(parts.folds)
    else:
        training_df = float(df[df > 0].min() if parts.is_cautious else df.sum()) if (df > 0).any() else math.inf

    def settles(of_seeds: float, of_photographs: float) -> bool:
        by_photograph, by_training = interaction / of_photographs, training / of_seeds
        variance = by_photograph + by_training + noise / (of_seeds * of_photographs) + fold_part
        df_of_seeds = training_df * max(1.0, of_seeds - 1) / max(1.0, seeds - 1) if math.isfinite(seeds) else math.inf
        df_of_photographs = max(1, parts.within_df) * of_photographs / photographs
        terms = by_photograph**2 / df_of_photographs + by_training**2 / df_of_seeds
        df = variance**2 / terms if terms else math.inf
        df = min(df, df_of_seeds) if parts.is_cautious else df
        enough = stats.t.isf(ALPHA / (2 * claims), df) + stats.t.ppf(_POWER, df)
        return bool(enough * math.sqrt(variance) <= distance)

    found = _least(settles, seeds, photographs)
    supposes = is_unknown and parts.training_set > 0
    return f"if it is seeds that folds differ by, which seeds=3 tells: {found}" if supposes else found


def _least(settles: Callable[[float, float], bool], seeds: float, photographs: float) -> str:
    """The least that settles a pair beyond so many seeds and photographs, in words."""
    for more in range(1, _MOST_SEEDS + 1):
        if settles(seeds + more, photographs):
            return f"about {more} more seed{'s' if more > 1 else ''} of each would decide"
    for times in range(2, _MOST_TIMES + 1):
        if settles(seeds, times * photographs):
            return f"no number of seeds will do, but about {round(times * photographs)} photographs in all would"
    for more, times in itertools.product((5, 10, 20, _MOST_SEEDS), range(2, _MOST_TIMES + 1)):
        if settles(seeds + more, times * photographs):
            return f"needs more of both: about {more} more seeds of each, and {round(times * photographs)} photographs"
    return "no realistic number of seeds or photographs will decide"


def components_table(analysis: Analysis) -> list[tuple[str, float]]:
    """Standard deviations of the sources of variation, in the unit of the score."""
    parts, count = analysis.parts[analysis.score], len(analysis.configurations)
    own = parts.within[:count, :count]
    noise = float(parts.noise[:count].mean())
    rows = [("between photographs, of the mean configuration", math.sqrt(max(0.0, float(own.mean()))))]
    if count > 1:
        specific = float((np.trace(own) - own.sum() / count) / (count - 1))
        seeds = float(parts.trainings[:count].mean())
        rows.append(("configuration x photograph", math.sqrt(max(0.0, specific - noise / seeds))))
    known = parts.own_training[:count][~np.isnan(parts.own_training[:count])]
    if len(known):
        pure = float(known.mean()) - noise / float(parts.photographs.mean())
        rows.append(("between trainings of a configuration", math.sqrt(max(0.0, pure))))
        rows.append(("training x photograph", math.sqrt(noise)))
    if parts.folds > 1:
        rows.append(("between training sets of folds, of a configuration", math.sqrt(parts.training_set)))
    return rows
