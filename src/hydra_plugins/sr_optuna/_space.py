"""Search spaces: from Hydra's sweep grammar to Optuna's distributions, and from values back to overrides."""

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
    """The options that a search varies and those that it fixes.

    Attributes:
        distributions: by option.
        fixed: overrides common to all trials.
    """

    distributions: Mapping[str, BaseDistribution]
    fixed: Sequence[str]

    def describe(self) -> dict[str, Any]:
        """JSON values that tell whether a stored study belongs to the same search."""
        distributions = sorted(self.distributions.items())
        return {
            "space": {name: distribution_to_json(distribution) for name, distribution in distributions},
            "fixed": sorted(self.fixed),
        }


def parse_space(overrides: Sequence[Override]) -> Space:
    """Split overrides into distributions and fixed values; of several overrides of an option, the last one counts.

    Raises:
        SearchError: for an empty range or interval, and for sweeps that cannot be searched.
    """
    override_by_key = {override.get_key_element(): override for override in overrides}
    distributions: dict[str, BaseDistribution] = {}
    fixed = []
    for key, override in override_by_key.items():
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
        return CategoricalDistribution([_to_choice(value) for value in sweep.list])
    log = isinstance(sweep, RangeSweep | IntervalSweep) and "log" in sweep.tags
    if isinstance(sweep, RangeSweep):
        values = list(sweep.range())
        if not values:
            raise ValueError("the range is empty")
        low, high = min(values), max(values)
        if log:
            raise ValueError("a range cannot be logarithmic: use tag(log,interval(a,b)) or tag(log,int(interval(a,b)))")
        if all(isinstance(value, int) for value in values):
            return IntDistribution(int(low), int(high), step=abs(int(sweep.step)))
        return FloatDistribution(float(low), float(high), step=abs(float(sweep.step)))
    if isinstance(sweep, IntervalSweep):
        assert sweep.start is not None
        assert sweep.end is not None
        if isinstance(sweep.start, int) and isinstance(sweep.end, int):
            return IntDistribution(sweep.start, sweep.end, log=log)
        return FloatDistribution(sweep.start, sweep.end, log=log)
    raise ValueError("not a search space: use choice(), range() or interval()")


def _to_choice(value: Any) -> CategoricalChoiceType:
    """A choice in a type that Optuna can store; other types become text in Hydra's grammar."""
    if isinstance(value, bool | int | float) or value is None:
        return value
    return str(Override._get_value_element_as_str(value))


def to_override(name: str, value: CategoricalChoiceType) -> str:
    """The override that sets an option to a value, in Hydra's grammar.

    >>> to_override("optimizer.lr", 1e-05), to_override("model.skips", True), to_override("model", None)
    ('optimizer.lr=1e-05', 'model.skips=True', 'model=null')
    """
    return f"{name}={value if isinstance(value, str) else Override._get_value_element_as_str(value)}"


def example_point(distributions: Mapping[str, BaseDistribution]) -> list[str]:
    """One point of a space, as overrides."""
    values = {
        name: distribution.choices[0]
        if isinstance(distribution, CategoricalDistribution)
        else getattr(distribution, "low", 0)
        for name, distribution in distributions.items()
    }
    return [to_override(name, value) for name, value in values.items()]


def suggest(trial: Trial, distributions: Mapping[str, BaseDistribution]) -> None:
    """Sample the parameters of a trial; an interrupted trial keeps the values that it already has."""
    for name, distribution in distributions.items():
        if isinstance(distribution, CategoricalDistribution):
            trial.suggest_categorical(name, distribution.choices)
        elif isinstance(distribution, IntDistribution):
            trial.suggest_int(name, distribution.low, distribution.high, step=distribution.step, log=distribution.log)
        elif isinstance(distribution, FloatDistribution):
            trial.suggest_float(name, distribution.low, distribution.high, step=distribution.step, log=distribution.log)


def grid_points(distributions: Mapping[str, BaseDistribution]) -> list[dict[str, CategoricalChoiceType]]:
    """All combinations of the values of choices and ranges.

    Raises:
        SearchError: for an interval, whose values cannot be enumerated.
    """
    axes = [
        [(name, value) for value in dict.fromkeys(_values(name, distribution))]
        for name, distribution in distributions.items()
    ]
    return [dict(point) for point in itertools.product(*axes)]


def _values(name: str, distribution: BaseDistribution) -> Sequence[CategoricalChoiceType]:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices
    if isinstance(distribution, IntDistribution) and not distribution.log:
        return range(distribution.low, distribution.high + 1, distribution.step)
    if isinstance(distribution, FloatDistribution) and distribution.step:
        count = round((distribution.high - distribution.low) / distribution.step) + 1
        return [distribution.low + index * distribution.step for index in range(count)]
    raise SearchError(f"sampler=grid needs choice() or range(): {name} is an interval")
