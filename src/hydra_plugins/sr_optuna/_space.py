"""Search spaces: Hydra's sweep grammar as Optuna's distributions, and values back as overrides."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep
from hydra.errors import HydraException
from optuna.distributions import (
    BaseDistribution,
    CategoricalChoiceType,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)
from optuna.trial import Trial

from hydra_plugins.sr_optuna._errors import SearchError


@dataclass(frozen=True)
class Space:
    """What a search varies and what it holds.

    Attributes:
        distributions: by option.
        fixed: overrides that every trial has.
    """

    distributions: Mapping[str, BaseDistribution]
    fixed: Sequence[str]

    def describe(self) -> dict[str, Any]:
        """As plain values, to tell whether a study is of this search."""
        return {
            "space": {name: distribution_to_json(one) for name, one in sorted(self.distributions.items())},
            "fixed": sorted(self.fixed),
        }


def parse_space(overrides: Sequence[Override]) -> Space:
    """Split overrides into what varies and what is fixed; a later one of the same option replaces an earlier one.

    Raises:
        SearchError: for a range or interval that is empty, and sweeps that are none of a search.
    """
    last = {override.get_key_element(): override for override in overrides}
    distributions: dict[str, BaseDistribution] = {}
    fixed = []
    for key, override in last.items():
        if override.is_sweep_override():
            try:
                distributions[key] = _distribution(override)
            except (ValueError, HydraException) as error:
                raise SearchError(f"{override.input_line}: {error}") from error
        else:
            text = override.get_value_element_as_str()
            fixed.append(key if override.is_delete() and not text else f"{key}={text}")
    return Space(distributions, fixed)


def _distribution(override: Override) -> BaseDistribution:
    sweep = override.value()
    if isinstance(sweep, ChoiceSweep):
        return CategoricalDistribution([_plain(value) for value in sweep.list])
    log = isinstance(sweep, RangeSweep | IntervalSweep) and "log" in sweep.tags
    if isinstance(sweep, RangeSweep):
        values = list(sweep.range())
        if not values:
            raise ValueError("this range is empty")
        whole = all(isinstance(value, int) for value in values)
        low, high = min(values), max(values)
        if log:
            raise ValueError("a range cannot be logarithmic: use tag(log,interval(a,b)), or int(...) around interval")
        if whole:
            return IntDistribution(int(low), int(high), step=abs(int(sweep.step)))
        return FloatDistribution(float(low), float(high), step=abs(float(sweep.step)))
    if isinstance(sweep, IntervalSweep):
        assert sweep.start is not None
        assert sweep.end is not None
        if isinstance(sweep.start, int) and isinstance(sweep.end, int):
            return IntDistribution(sweep.start, sweep.end, log=log)
        return FloatDistribution(sweep.start, sweep.end, log=log)
    raise ValueError("is no search space: use choice(), range() or interval()")


def _plain(value: Any) -> CategoricalChoiceType:
    """A choice as Optuna keeps it; what it cannot keep as Hydra would write it."""
    if isinstance(value, bool | int | float) or value is None:
        return value
    return str(Override._get_value_element_as_str(value))


def to_override(name: str, value: CategoricalChoiceType) -> str:
    """One option and its value in Hydra's grammar.

    >>> to_override("optimizer.lr", 1e-05), to_override("model.skips", True), to_override("model", None)
    ('optimizer.lr=1e-05', 'model.skips=True', 'model=null')
    """
    return f"{name}={value if isinstance(value, str) else Override._get_value_element_as_str(value)}"


def sample_point(distributions: Mapping[str, BaseDistribution]) -> list[str]:
    """Some point of a space, as overrides."""
    return [
        to_override(name, one.choices[0] if isinstance(one, CategoricalDistribution) else getattr(one, "low", 0))
        for name, one in distributions.items()
    ]


def suggest(trial: Trial, distributions: Mapping[str, BaseDistribution]) -> None:
    """Let a trial choose; one that was interrupted keeps what it has chosen already."""
    for name, one in distributions.items():
        if isinstance(one, CategoricalDistribution):
            trial.suggest_categorical(name, one.choices)
        elif isinstance(one, IntDistribution):
            trial.suggest_int(name, one.low, one.high, step=one.step, log=one.log)
        elif isinstance(one, FloatDistribution):
            trial.suggest_float(name, one.low, one.high, step=one.step, log=one.log)


def grid_points(distributions: Mapping[str, BaseDistribution]) -> list[dict[str, CategoricalChoiceType]]:
    """Every combination of a space of choices and ranges.

    Raises:
        SearchError: for an interval, which has no end of points.
    """
    axes = [[(name, value) for value in dict.fromkeys(_values(name, one))] for name, one in distributions.items()]
    return [dict(point) for point in itertools.product(*axes)]


def _values(name: str, one: BaseDistribution) -> Sequence[CategoricalChoiceType]:
    if isinstance(one, CategoricalDistribution):
        return one.choices
    if isinstance(one, IntDistribution) and not one.log:
        return range(one.low, one.high + 1, one.step)
    if isinstance(one, FloatDistribution) and one.step:
        count = round((one.high - one.low) / one.step) + 1
        return [one.low + number * one.step for number in range(count)]
    raise SearchError(f"sampler=grid needs choice() or range(): {name} is an interval")
