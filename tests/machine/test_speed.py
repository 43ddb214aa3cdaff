import math
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import pytest
import torch
from torch import Tensor, nn

from sr.machine import quiet, speed
from sr.machine.quiet import ProcessorWatch
from sr.machine.speed import Timed, measure_speed, measure_speeds, median_interval
from sr.nets.autoencoder import Autoencoder
from sr.terms import Measurement

_SECONDS = 0.005


@pytest.fixture(autouse=True)
def whole_measurements() -> None:
    """Tells `short_measurements` to leave the tests of this file alone."""


@pytest.fixture
def others(monkeypatch: pytest.MonkeyPatch) -> dict[str, float | None]:
    """What other processes seem to use; nothing unless ``cores`` is set."""
    seen: dict[str, float | None] = {"cores": 0.0}
    monkeypatch.setattr(ProcessorWatch, "cores_of_others", lambda watch: seen["cores"])
    return seen


class Sleeper(nn.Module):
    """A network that takes some time for each image, draws a random number, and remembers the shapes of its inputs."""

    def __init__(self, seconds: float = _SECONDS, log: list[str] | None = None, name: str = "") -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.seconds, self.log, self.name = seconds, log, name
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, lr: Tensor) -> Tensor:
        assert not self.training
        assert torch.is_inference_mode_enabled()
        self.shapes.append(tuple(lr.shape))
        if self.log is not None:
            self.log.append(self.name)
        time.sleep(self.seconds * lr.shape[0])
        return lr + torch.rand(1)


def test_latency_and_throughput_are_two_numbers_of_at_least_20_repeats() -> None:
    net = Sleeper()
    measured = measure_speed(net, 2, nullcontext)
    latency, throughput = measured.latency_ms, measured.images_per_second
    assert 1000 * _SECONDS <= latency.low <= latency.median <= latency.high < 100 * 1000 * _SECONDS
    assert throughput.low <= throughput.median <= throughput.high <= 1 / _SECONDS
    assert min(latency.repeats, throughput.repeats) >= 20
    assert net.shapes[0] == (1, 3, 128, 128)
    assert net.shapes[-1] == (measured.batch, 3, 128, 128)
    assert len(net.shapes) == latency.repeats + throughput.repeats + 2 * 2  # warm-up


def test_batches_of_a_slow_network_are_smaller(others: dict[str, float | None]) -> None:
    batches = [speed._largest_batch(Timed(Sleeper(), 1, nullcontext), seconds) for seconds in (0.01, 0.03, 0.07, 0.2)]
    assert batches == [8, 4, 2, 1]
    net = Sleeper(0.1)
    measured = measure_speed(net, 4, nullcontext)
    assert measured.batch == 1
    assert set(net.shapes) == {(1, 3, 64, 64)}
    assert measured.images_per_second.median == pytest.approx(1000 / measured.latency_ms.median, rel=0.1)
    assert measured.images_per_second.repeats == measured.latency_ms.repeats == 20


def test_networks_take_turns(others: dict[str, float | None]) -> None:
    log: list[str] = []
    nets = [Sleeper(0.001, log, "a"), Sleeper(0.005, log, "b")]
    first, second = measure_speeds([Timed(net, 2, nullcontext) for net in nets])
    assert first.latency_ms.median < second.latency_ms.median
    assert min(first.latency_ms.repeats, second.latency_ms.repeats) >= 20
    changes = sum(log[at] != log[at - 1] for at in range(1, len(log)))
    assert changes >= 2 * speed._ROUNDS - 1


def test_measuring_leaves_modes_and_random_state_as_they_were(
    others: dict[str, float | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speed, "_LEAST_SECONDS", 0.0)
    monkeypatch.setattr(speed, "_BATCH_SECONDS", 0.0)
    net = nn.Sequential(Autoencoder(channels=4, dropout=0.5), Sleeper(0.0)).train()
    net[0].eval()
    state = torch.get_rng_state()
    measure_speed(net, 1, nullcontext)
    assert torch.equal(torch.get_rng_state(), state)
    assert net.training
    assert net[1].training
    assert not any(module.training for module in net[0].modules())


def test_every_pass_runs_in_the_context(others: dict[str, float | None]) -> None:
    entered = []

    @contextmanager
    def context() -> Iterator[None]:
        entered.append(True)
        yield
        entered.pop()

    class Inside(Sleeper):
        def forward(self, lr: Tensor) -> Tensor:
            assert entered
            return super().forward(lr)

    measure_speed(Inside(), 2, context)
    assert not entered


def test_a_network_that_takes_too_long_gets_fewer_repeats_and_is_not_trusted(others: dict[str, float | None]) -> None:
    (measured,) = measure_speeds([Timed(Sleeper(0.1), 2, nullcontext)], most_seconds=0.25)
    assert 1 <= measured.latency_ms.repeats <= 3
    assert not measured.quiet
    assert measured.reason.startswith(f"only {measured.latency_ms.repeats} repeats")


@pytest.mark.parametrize(
    ("count", "low", "high"),
    [(1, 1, 1), (5, 1, 5), (6, 1, 6), (8, 1, 8), (9, 2, 8), (20, 6, 15), (50, 18, 33), (100, 40, 61)],
)
def test_the_interval_of_a_median_has_the_ranks_of_the_binomial_distribution(count: int, low: int, high: int) -> None:
    values = [float(value) for value in range(count, 0, -1)]
    assert median_interval(values) == Measurement((count + 1) / 2, low, high, count)


def test_the_interval_of_many_repeats_is_computed_too() -> None:
    measurement = median_interval([float(value) for value in range(1, 5001)])
    assert (measurement.low + measurement.high) / 2 == measurement.median == 2500.5
    assert (measurement.high - measurement.low) / 2 == pytest.approx(1.96 * math.sqrt(5000) / 2, abs=1.5)


def test_a_machine_is_quiet_if_others_use_little_and_repeats_agree(others: dict[str, float | None]) -> None:
    even, uneven = [1.0, 1.1] * 10, [1.0, 1.5] * 10
    assert speed._disturbance(0.0, 2, [even, even]) == ""
    assert speed._disturbance(0.15, 2, [even, even]) == ""
    assert speed._disturbance(None, 0, [even, even]) == ""  # a system that does not say
    assert speed._disturbance(0.94, 2, [even, even]) == "other processes used 0.9 of 2 processors"
    assert speed._disturbance(0.94, 64, [even, even]) == ""
    assert speed._disturbance(None, 0, [even, uneven]) == "repeats differ by 40%"
    assert speed._disturbance(None, 0, [even, even[:19]]) == "only 19 repeats in 20 s"
    others["cores"] = 100_000.0
    measured = measure_speed(Sleeper(), 2, nullcontext)
    assert not measured.quiet
    assert measured.reason.startswith("other processes used 100000.0 of ")


@pytest.mark.skipif(not quiet._STATISTICS.is_file(), reason="needs /proc/stat")
def test_a_busy_process_beside_it_makes_a_machine_not_quiet() -> None:
    burn = "while True: pass"
    count = 1 + len(ProcessorWatch().processors) // 5
    processes = [subprocess.Popen([sys.executable, "-c", burn]) for _ in range(count)]
    try:
        measured = measure_speed(Sleeper(), 2, nullcontext)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert not measured.quiet
    assert measured.reason.startswith("other processes used ")
