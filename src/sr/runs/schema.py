"""The record of a run, ``result.json``: its one schema, its one reader and its one writer."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from sr.errors import UserError
from sr.io.atomic import whole_file
from sr.io.paths import shortest_path
from sr.io.run_folder import RunFolder
from sr.runs.migration import SCHEMA, migrated
from sr.runs.scores import Scores
from sr.terms import DataSummary, Part, Protocol, Speed


class Status(StrEnum):
    """How a run stands, as its record says; a killed process leaves ``running`` behind."""

    RUNNING = "running"
    DONE = "done"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    DIVERGED = "diverged"
    PRUNED = "pruned"


@dataclass(frozen=True)
class Process:
    """The process that trains a run, or trained it last."""

    host: str
    id: int


@dataclass(frozen=True)
class Monitor:
    """The score that chooses the best epoch, and its value there; None if the run was never validated."""

    name: str
    value: float | None


@dataclass(frozen=True)
class TrainingResult:
    """What one training of a cell with several seeds or folds reached.

    Attributes:
        seed: of the run or the cross-validation that it belongs to, the same for all of its folds.
        fold: its number; None without cross-validation.
        scores: of each part.
        seconds: time spent.
    """

    seed: int
    fold: int | None
    scores: dict[Part, Scores]
    seconds: float


@dataclass(frozen=True)
class Extension:
    """A decision to train longer: how many epochs were done then, and the old and new length in epochs."""

    epochs_done: int
    before: int
    after: int


@dataclass(frozen=True)
class InitialWeights:
    """The weights that a run started from.

    Attributes:
        source: as the option ``init`` names them.
        weights_hash: SHA-256 of their file.
        steps: optimizer steps behind them, those of the weights they started from included; None if unknown.
        loaded: number of tensors taken from them.
        fresh: names of the tensors that started anew.
        frozen: names of the parameters that were kept fixed.
    """

    source: str
    weights_hash: str
    steps: int | None
    loaded: int
    fresh: list[str]
    frozen: list[str]


@dataclass(repr=False)
class RunResult:
    """What a run is, how it stands, and what it reached and cost so far.

    Attributes:
        status: see `Status`.
        reason: why it is not done, in one line.
        started: when its last start began, ISO 8601.
        process: which process trains it.
        config: the resolved config.
        choices: the choice of each config group.
        command: the command line that repeats it.
        versions: of Python and the packages it depends on.
        machine: processor, threads, and GPU if there is one.
        git_commit: of the source tree, ``-dirty`` behind it if files differ; None for an installed package.
        scale: factor between input and output.
        protocol: what its scores were computed under.
        loss: its name in tables.
        parameters: of the network, frozen ones included.
        multiply_adds: of one forward pass that makes a 256x256 image.
        precision: that the run trains in, once ``auto`` has been decided.
        device: that it trained on.
        data: the images; None before they were read.
        epochs: epochs done.
        steps: optimizer steps done, without those behind its initial weights.
        images_seen: training examples seen; 0 in records of earlier versions.
        initial: the weights that it started from; None if all were drawn at random.
        seconds: time spent over all starts, validation and all.
        elapsed_seconds: time of the last start of a cell with several seeds or folds.
        train_seconds: time spent in training steps.
        images_per_second: training examples per second of training time.
        wait_share: share of the training time that was spent waiting for data, 0 to 1.
        ms_per_image: milliseconds of one forward pass that makes a 256x256 image; the median of ``speed``.
        speed: latency and throughput, with intervals and whether the machine was quiet; None in older records.
        peak_memory_bytes: most memory held while it trained, over all starts.
        monitor: the score that chose the best epoch.
        scores: of each part, mean and deviation over images; over the folds of a cross-validation, or over seeds.
        extensions: decisions to train longer than planned, in order.
        trainings: what each seed or fold reached; empty for a single training.
        schema: version of this record.
    """

    status: Status
    config: dict[str, Any]
    choices: dict[str, str | None] = field(default_factory=dict)
    command: str | None = None
    reason: str = ""
    started: str = ""
    process: Process | None = None
    versions: dict[str, str] = field(default_factory=dict)
    machine: dict[str, str | int] = field(default_factory=dict)
    git_commit: str | None = None
    scale: int = 1
    protocol: Protocol = Protocol.RGB
    loss: str = ""
    parameters: int = 0
    multiply_adds: int = 0
    precision: str = ""
    device: str = ""
    data: DataSummary | None = None
    epochs: int = 0
    steps: int = 0
    images_seen: int = 0
    initial: InitialWeights | None = None
    seconds: float = 0.0
    elapsed_seconds: float = 0.0
    train_seconds: float = 0.0
    images_per_second: float = 0.0
    wait_share: float = 0.0
    ms_per_image: float | None = None
    speed: Speed | None = None
    peak_memory_bytes: int = 0
    monitor: Monitor | None = None
    scores: dict[Part, Scores] = field(default_factory=dict)
    extensions: list[Extension] = field(default_factory=list)
    trainings: list[TrainingResult] = field(default_factory=list)
    schema: int = SCHEMA

    def __repr__(self) -> str:
        """How it stands, what it reached on its validation images, and where it is; the whole record is long."""
        scores = [
            f"val/{name} {score:.2f} dB"
            for name in ("psnr", "gain")
            if (score := self.mean(Part.VAL, name)) is not None
        ]
        return f"RunResult({', '.join([self.status, *scores, shortest_path(self.folder)])})"

    @property
    def folder(self) -> Path:
        """Where it was trained."""
        return Path(self.config.get("run_dir", ""))

    @property
    def is_done(self) -> bool:
        """Whether training has come to its end."""
        return self.status is Status.DONE

    @property
    def is_tested(self) -> bool:
        """Whether its test images were scored."""
        return Part.TEST in self.scores

    @property
    def fold(self) -> int | None:
        """The fold that it trains; None if it trains all of them, or there are none."""
        fold = self.config["data"].get("fold")
        return fold if isinstance(fold, int) and self.config["data"].get("folds") else None

    @property
    def fold_count(self) -> int | None:
        """Number of folds that each seed trains one after the other; None without cross-validation."""
        data = self.config["data"]
        return int(data["folds"]) if data.get("fold") == "all" and data.get("folds") else None

    @property
    def total_steps(self) -> int | None:
        """Optimizer steps behind its weights, those of its initial weights included; None if these are unknown."""
        before = self.initial.steps if self.initial else 0
        return None if before is None else self.steps + before

    @property
    def seeds(self) -> list[int]:
        """The seeds that it trains one after the other; empty for a run of one seed."""
        return list(self.config.get("seeds") or [])

    @property
    def training_count(self) -> int | None:
        """Number of trainings in all, one for each fold of each seed; None for a single training."""
        return max(1, len(self.seeds)) * (self.fold_count or 1) if self.seeds or self.fold_count else None

    def mean(self, part: Part, score: str) -> float | None:
        """A mean score, or None if the run does not have it."""
        summary = self.scores.get(part, {}).get(score)
        return summary.mean if summary else None


def write_result(folder: Path, result: RunResult) -> None:
    """Write ``result.json`` whole; values that JSON lacks (nan, infinity) become null."""
    with whole_file(RunFolder(folder).result) as file:
        file.write(msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n")


def read_result(folder: Path) -> RunResult | None:
    """Read ``result.json``, of this schema or an older one; None if there is none.

    Raises:
        UserError: if it is damaged, is no record of a run, or was written by a newer version.
    """
    path = RunFolder(folder).result
    if not path.is_file():
        return None
    try:
        content = msgspec.json.decode(path.read_bytes())
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: is damaged ({error}): retrain=true trains again in this folder") from error
    if isinstance(content, dict) and isinstance(content.get("schema"), int) and content["schema"] > SCHEMA:
        raise UserError(f"{path}: was written by a newer version of sr: update sr to read it")
    try:
        return msgspec.convert(migrated(content), RunResult)
    except (msgspec.ValidationError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path}: is not the record of a run ({error}): retrain=true trains again in this folder"
        ) from error
