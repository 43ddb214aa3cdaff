"""What a search with several objectives gets of a run."""

from collections.abc import Collection, Sequence

from sr.errors import UserError
from sr.runs.schema import RunResult
from sr.terms import BASELINES, Part

_COSTS = ("ms_per_image", "parameters", "multiply_adds", "train_seconds", "peak_memory_bytes")


def objective(result: RunResult, name: str) -> float:
    """A mean score such as ``val/psnr``, or a cost such as ``ms_per_image``.

    Raises:
        UserError: if the result has no such number.
    """
    values: dict[str, float] = {
        f"{part}/{score}": summary.mean for part, scores in result.scores.items() for score, summary in scores.items()
    }
    costs: dict[str, float | None] = {cost: getattr(result, cost) for cost in _COSTS}
    values |= {cost: float(value) for cost, value in costs.items() if value is not None}
    if name not in values:
        raise UserError(f"objectives: no {name!r} in a result: use {', '.join(values)}")
    return values[name]


def check_objectives(names: Sequence[str], metrics: Collection[str], *, test: bool) -> None:
    """Refuse objectives that no result of a run will have.

    Args:
        names: of the objectives.
        metrics: that the run computes, of its output and of the baselines.
        test: whether test images are scored.

    Raises:
        UserError: for the first such name.
    """
    parts = [Part.VAL, *([Part.TEST] if test else [])]
    scores = [f"{part}/{score}" for part in parts for score in (*metrics, "gain")]
    of_baselines = {f"{part}/{one.prefix}_{metric}" for part in parts for one in BASELINES for metric in metrics}
    for name in names:
        if name not in {*scores, *_COSTS, *of_baselines}:
            raise UserError(f"objectives: no {name!r} in a result: use {', '.join([*scores, *_COSTS])}")
