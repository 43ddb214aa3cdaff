"""Measure the speed of models side by side, and put it into the records of their runs."""

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch

from sr.errors import UserError, check_choice
from sr.io.atomic import reporting_unwritable, write_text
from sr.io.locks import hold
from sr.io.run_folder import RunFolder
from sr.io.tables import aligned
from sr.machine.cost import count_parameters, multiply_adds
from sr.machine.environment import environment
from sr.machine.float32 import full_float32
from sr.machine.hardware import find_device
from sr.machine.hardware import precision as best_precision
from sr.machine.speed import Timed, measure_speeds
from sr.runs.schema import RunResult, read_result, write_result
from sr.terms import PRECISIONS, Cost, Speed, ntire_score
from sr.weights.model import Model

_TRAINED_IN = {"float32": "32-true", "bfloat16": "bf16-mixed"}  # names of the precision in records

_HEADER = (
    *("model", "scale", "precision", "parameters", "multiply-adds", "latency ms", "95 % interval"),
    *("images/s", "batch", "NTIRE", "machine"),
)


@dataclass(frozen=True)
class SpeedRow:
    """A measured model.

    Attributes:
        model: of several folds, the first network was measured.
        device: that it ran on.
        precision: ``float32`` or ``bfloat16``.
        parameters: trainable ones; None for an ONNX file, whose network cannot be looked into.
        multiply_adds: of one pass that makes a 256x256 image; None for an ONNX file.
        speed: what was measured.
        score: NTIRE's, see `sr.terms.ntire_score`; None if a cost is unknown.
    """

    model: Model
    device: torch.device
    precision: str
    parameters: int | None
    multiply_adds: int | None
    speed: Speed
    score: float | None


def compare_speed(models: Sequence[Model], *, device: str | None = None, precision: str = "auto") -> list[SpeedRow]:
    """Measure models in turns, see `sr.machine.speed.measure_speeds`.

    Args:
        models: at least one; the first is what the others are scored against.
        device: a GPU if there is one, by default.
        precision: ``float32``, ``bfloat16``, or ``auto``: the faster one on this machine. ONNX files run in float32.

    Raises:
        UserError: for an unknown precision, an unavailable device, or an ONNX file on a GPU.
    """
    check_choice("--precision", precision, PRECISIONS)
    where = find_device(device)
    if precision == "auto":
        precision = "bfloat16" if best_precision(where.type) == "bf16-mixed" else "float32"
    is_open = [next(model.nets[0].parameters(), None) is not None for model in models]
    if where.type != "cpu" and not all(is_open):
        raise UserError(f"{models[is_open.index(False)].label}: ONNX files run on the CPU: --device cpu")
    context = partial(_bfloat16, where.type) if precision == "bfloat16" else full_float32
    networks = [Timed(model.nets[0].to(where), model.scale, context) for model in models]
    costs = [
        (count_parameters(network.net), multiply_adds(network.net, network.scale)) if has_weights else (None, None)
        for network, has_weights in zip(networks, is_open, strict=True)
    ]
    speeds = measure_speeds(networks)
    rows = []
    for model, has_weights, (parameters, operations), speed in zip(models, is_open, costs, speeds, strict=True):
        score = _score((parameters, operations), speed, costs[0], speeds[0])
        own_precision = precision if has_weights else "float32"
        rows.append(SpeedRow(model, where, own_precision, parameters, operations, speed, score))
    return rows


@contextmanager
def _bfloat16(device_type: str) -> Iterator[None]:
    """As while a run trains: weights are cast in every pass, and what is left in float32 is that."""
    with full_float32(), torch.autocast(device_type, torch.bfloat16, cache_enabled=False):
        yield


def _score(
    own: tuple[int | None, int | None], speed: Speed, others: tuple[int | None, int | None], baseline: Speed
) -> float | None:
    """NTIRE's score from parameters, multiply-adds and speed of a network and of its baseline, if all are known."""
    if not all((*own, *others)):
        return None
    (cost, base) = (
        Cost(measured.latency_ms.median, operations or 0, parameters or 0)
        for (parameters, operations), measured in ((own, speed), (others, baseline))
    )
    return ntire_score(cost, base)


def record_speeds(rows: Sequence[SpeedRow]) -> Iterator[str]:
    """Write each speed into the record of its run, if it was measured as the run was trained and nothing disturbed it.

    Yields:
        A line for each run folder: the file that was written, or why it was left as it is.
    """
    for row in rows:
        if row.model.run is None:
            continue
        folder = RunFolder(row.model.run)
        try:
            with hold(folder.lock, 1) as is_free:
                result = read_result(folder.path) if is_free else None
                obstacle = _obstacle(row, result) if is_free else "another process trains this run"
                if result and not obstacle:
                    result.speed, result.ms_per_image = row.speed, row.speed.latency_ms.median
                    write_result(folder.path, result)
        except (OSError, UserError) as error:
            obstacle = str(error)
        yield f"{folder.result}: not changed: {obstacle}" if obstacle else f"{folder.result}: speed recorded"


def _obstacle(row: SpeedRow, result: RunResult | None) -> str:
    """Why a speed does not belong into a record; empty if it does."""
    if result is None or not result.is_done:
        return "no finished run is recorded in it"
    if not row.speed.quiet:
        return f"measured while the machine was not quiet ({row.speed.reason})"
    trained = {"scale": str(result.scale), "device": result.device.split(":")[0], "precision": result.precision}
    measured = {"scale": str(row.model.scale), "device": row.device.type, "precision": _TRAINED_IN[row.precision]}
    present = environment(row.device).machine
    for name in ("gpu",) if row.device.type == "cuda" else ("processor", "threads"):
        trained[name], measured[name] = str(result.machine.get(name, "unknown")), str(present.get(name))
    different = [name for name in trained if trained[name] != measured[name]]
    return ", ".join(f"trained with {name} {trained[name]}, measured with {measured[name]}" for name in different)


def render(rows: Sequence[SpeedRow]) -> str:
    """The rows as a text table, under a line that says what was measured and on what."""
    device, machine = rows[0].device, environment(rows[0].device).machine
    where = machine.get("gpu") if device.type == "cuda" else f"{machine['processor']}, threads: {machine['threads']}"
    lines: list[tuple[str, ...]] = [_HEADER]
    for row in rows:
        latency = row.speed.latency_ms
        lines.append(
            (
                *(row.model.label, f"x{row.model.scale}", row.precision),
                *("" if count is None else f"{count:,}" for count in (row.parameters, row.multiply_adds)),
                *(f"{latency.median:.4g}", f"{latency.low:.4g} to {latency.high:.4g}"),
                *(f"{row.speed.images_per_second.median:.4g}", str(row.speed.batch)),
                "" if row.score is None else f"{row.score:.3g}",
                "quiet" if row.speed.quiet else f"not quiet: {row.speed.reason}",
            )
        )
    title = f"{device} ({where}), 256x256 pixels of output"
    ntire = f"NTIRE's score against {rows[0].model.label}, less is better"
    return "\n".join([f"{title}, {ntire}", *aligned(lines)]) + "\n"


def write_json(path: Path, rows: Sequence[SpeedRow]) -> None:
    """Write the rows with their intervals; an infinite score becomes null.

    Raises:
        UserError: if the file cannot be written.
    """
    content = [
        {
            "model": row.model.label,
            "scale": row.model.scale,
            "device": str(row.device),
            "precision": row.precision,
            "machine": environment(row.device).machine,
            "parameters": row.parameters,
            "multiply_adds": row.multiply_adds,
            **asdict(row.speed),
            "ntire_score": row.score if row.score is not None and math.isfinite(row.score) else None,
            "ntire_baseline": rows[0].model.label,
        }
        for row in rows
    ]
    with reporting_unwritable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(content, indent=2) + "\n")
