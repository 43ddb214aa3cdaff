import os
from pathlib import Path

import pytest
import torch

from sr.machine.quiet import ProcessorWatch
from sr.runs import fit
from tests.support.runs import Command, MakeFolder, result_of


def test_a_run_uses_and_records_the_threads_that_it_names_and_the_next_one_is_the_same_run_with_others(
    command: Command, make_folder: MakeFolder, tmp_path: Path
) -> None:
    settings = ["data=isr", f"data.root={make_folder(count=6)}", "trainer.max_epochs=1", "logger=none"]
    before = torch.get_num_threads(), os.environ["OMP_NUM_THREADS"]
    code, text = command(*settings, f"trainer.threads={before[0] + 1}")
    assert code == 0, text
    assert f"{before[0] + 1} threads" in text
    assert result_of(tmp_path / "run")["machine"]["threads"] == before[0] + 1
    assert (torch.get_num_threads(), os.environ["OMP_NUM_THREADS"]) == before
    code, text = command(*settings)
    assert code == 0, text
    assert "done before" in text


def test_a_run_on_a_busy_machine_says_with_how_many_threads_it_trains(
    command: Command, make_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(ProcessorWatch, "cores_of_others", lambda self: 1.2)
    monkeypatch.setattr(fit, "ProcessorWatch", lambda: _of_two_processors())
    monkeypatch.setattr("sr.machine.threads._seconds_of_step", lambda candidates: {2: 5.0, 1: 1.0})
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        code, text = command("data=isr", f"data.root={make_folder(count=6)}", "trainer.max_epochs=1", "logger=none")
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert code == 0, text
    line = "threads: other processes use 1.2 of 2 processors: training with 1 thread (trainer.threads=N)"
    assert text.count(line) == 1
    assert result_of(tmp_path / "run")["machine"]["threads"] == 1


def _of_two_processors() -> ProcessorWatch:
    watch = ProcessorWatch()
    watch.processors = frozenset((0, 1))
    return watch
