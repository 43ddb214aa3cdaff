import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sr.machine import quiet
from sr.machine.quiet import ProcessorWatch

pytestmark = pytest.mark.skipif(not quiet._STATISTICS.is_file(), reason="needs /proc/stat")

_BURN = "import time\nend = time.process_time() + 60\nwhile time.process_time() < end: pass"


def test_processor_time_of_another_process_counts() -> None:
    watch = ProcessorWatch()
    process = subprocess.Popen([sys.executable, "-c", _BURN])
    try:
        time.sleep(1.5)
        others = watch.cores_of_others()
    finally:
        process.kill()
        process.wait()
    assert others is not None
    assert 0.2 < others <= len(watch.processors) + 0.1


def test_only_what_the_columns_call_busy_on_allowed_processors_counts_and_steal_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "stat"
    ticks = os.sysconf("SC_CLK_TCK")
    path.write_text(f"cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 {ticks} 0 0 77 88 0 0 {ticks} 99 99\ncpu1 5 5 5 5 5 5 5 5 0 0\n")
    monkeypatch.setattr(quiet, "_STATISTICS", path)
    assert quiet._busy_seconds(frozenset({0})) == 2.0
    assert quiet._busy_seconds(frozenset({0, 2})) is None  # a container that numbers its processors anew
    assert quiet._busy_seconds(frozenset()) is None
    path.unlink()
    assert ProcessorWatch().cores_of_others() is None


def test_own_time_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    busy, own, clock = iter([100.0, 101.0, 101.5]), iter([10.0, 11.0, 11.25]), iter([0.0, 2.0])
    monkeypatch.setattr(quiet, "_busy_seconds", lambda processors: next(busy))
    monkeypatch.setattr("time.process_time", lambda: next(own))
    monkeypatch.setattr("time.perf_counter", lambda: next(clock, 2.0))
    watch = ProcessorWatch()
    assert watch.cores_of_others() == 0.0
    assert watch.cores_of_others() == pytest.approx(0.25 / 2)
