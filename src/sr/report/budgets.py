"""What a configuration cost: training budget, size, speed, and the trials of the search that it came from."""

import statistics
from dataclasses import asdict, dataclass
from pathlib import Path

from sr.io.run_folder import RunFolder
from sr.report.run import Configuration
from sr.runs.schema import RunResult
from sr.terms import Cost, ntire_score


@dataclass(frozen=True)
class Budget:
    """The budget of one training of a configuration, means over its trainings.

    Attributes:
        epochs: passes over the training images.
        steps: optimizer steps, with those behind its initial weights; None if these are unknown.
        images_seen: training examples of its own steps.
        train_seconds: time spent in training steps, over all folds.
        seconds: time in all, validation and all.
        parameters: trainable parameters.
        multiply_adds: of a forward pass that makes a 256x256 image.
        ms_per_image: median time of that pass, one image at a time.
        ms_low: lower end of its 95 % interval; None for records of old.
        ms_high: upper end.
        images_per_second: of batches; None for records of old.
        is_quiet: whether the machine did nothing else while that was measured.
        trials: of the search that it came from; 1 without a search.
        init: what its weights were initialised from; empty for random weights.
    """

    epochs: int
    steps: int | None
    images_seen: int
    train_seconds: float
    seconds: float
    parameters: int
    multiply_adds: int
    ms_per_image: float | None
    ms_low: float | None
    ms_high: float | None
    images_per_second: float | None
    is_quiet: bool
    trials: int
    init: str

    def as_dict(self) -> dict[str, object]:
        """All of it by name."""
        return asdict(self)

    def ntire(self, baseline: "Budget") -> float | None:
        """The NTIRE efficiency score relative to a baseline, see `sr.terms.ntire_score`; None if a time is unknown."""
        own, others = self._cost, baseline._cost
        return ntire_score(own, others) if own and others else None

    @property
    def _cost(self) -> Cost | None:
        return Cost(self.ms_per_image, self.multiply_adds, self.parameters) if self.ms_per_image else None


def budget(configuration: Configuration) -> Budget:
    """The budget of a configuration."""
    results = [run.result for run in configuration.runs]
    first, fastest = results[0], _best_measured(results)
    speed = fastest.speed
    return Budget(
        epochs=first.epochs,
        steps=first.total_steps,
        images_seen=first.images_seen,
        train_seconds=statistics.fmean(result.train_seconds for result in results),
        seconds=statistics.fmean(result.seconds for result in results),
        parameters=first.parameters,
        multiply_adds=first.multiply_adds,
        ms_per_image=fastest.ms_per_image,
        ms_low=speed.latency_ms.low if speed else None,
        ms_high=speed.latency_ms.high if speed else None,
        images_per_second=speed.images_per_second.median if speed else None,
        is_quiet=bool(speed and speed.quiet),
        trials=max(_trials(folder, run.result) for run in configuration.runs for folder in run.folders),
        init=first.initial.source if first.initial else "",
    )


def _best_measured(results: list[RunResult]) -> RunResult:
    """The run whose speed was measured best: on a quiet machine, with the narrowest interval."""

    def quality(result: RunResult) -> tuple[bool, float]:
        if result.speed is None:
            return True, float("inf")
        latency = result.speed.latency_ms
        return not result.speed.quiet, (latency.high - latency.low) / latency.median

    return min(results, key=quality)


def _trials(folder: Path, result: RunResult) -> int:
    """Number of trials of the search that a run, or its cell, is a trial of, and of those that chose its options."""
    own, earlier = len(RunFolder(folder).trials), int(result.config.get("trials", 1))  # pictures have no config
    return own + earlier if earlier > 1 else max(own, 1)
