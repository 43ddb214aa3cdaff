"""What a search with several objectives gets of a run."""

from sr.errors import UserError
from sr.runs.schema import RunResult

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
