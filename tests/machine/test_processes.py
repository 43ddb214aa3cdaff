import os
from types import SimpleNamespace

import pytest
from hydra.core.hydra_config import HydraConfig

from sr.machine import processes
from sr.machine.processes import workers_of_sweep


@pytest.mark.parametrize(("jobs", "expected"), [(2, 2), (1, 1), (-1, 8), (-2, 7), (-100, 1), (None, 1)])
def test_the_workers_of_a_sweep_are_counted_as_joblib_does(
    jobs: int | None, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    launcher = {} if jobs is None else {"n_jobs": jobs}
    monkeypatch.setattr(HydraConfig, "initialized", lambda: True)
    monkeypatch.setattr(HydraConfig, "get", lambda: SimpleNamespace(launcher=launcher))
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert workers_of_sweep() == 1  # this process is no worker
    monkeypatch.setattr(processes, "in_worker", lambda: True)
    assert workers_of_sweep() == expected


def test_a_worker_that_hydra_knows_nothing_of_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "in_worker", lambda: True)
    monkeypatch.setattr(HydraConfig, "initialized", lambda: False)
    assert workers_of_sweep() == 1
