"""What a search with several objectives gets of a run."""

from collections.abc import Collection, Sequence

from sr.errors import UserError
from sr.runs.schema import RunResult
from sr.terms import Part

COSTS = ("ms_per_image", "parameters", "multiply_adds", "train_seconds", "peak_memory_bytes")


def objective(result: RunResult, name: str) -> float:
    """A mean score such as ``val/psnr``, or a cost such as ``ms_per_image``.

    Raises:
        UserError: if the result has no such number.
    """
    values: dict[str, float] = {
        f"{part}/{score}": summary.mean for part, scores in result.scores.items() for score, summary in scores.items()
    }
    costs: dict[str, float | None] = {cost: getattr(result, cost) for cost in COSTS}
    values |= {cost: float(value) for cost, value in costs.items() if value is not None}
    if name not in values:
        raise UserError(f"objectives: no {name!r} in a result: use {', '.join(values)}")
    return values[name]


def check_objectives(names: Sequence[str], metrics: Collection[str], *, test: bool) -> None:
    """Refuse objectives that no result of a run will have.

    Args:
        names: of the objectives.
        metrics: that the run computes; those of the input and of interpolations have a word before them.
        test: whether test images are scored.

    Raises:
        UserError: for the first such name.
    """
    parts = [Part.VAL, *([Part.TEST] if test else [])]
    for name in names:
        part, _, score = name.partition("/")
        is_score = score == "gain" or score in metrics or score.partition("_")[2] in metrics
        if name not in COSTS and not (part in parts and is_score):
            scores = ", ".join(f"{part}/{score}" for part in parts for score in (*metrics, "gain"))
            raise UserError(f"objectives: no {name!r} in a result: use {scores}, {', '.join(COSTS)}")
