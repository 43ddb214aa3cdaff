import io
import logging
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from sr.io.locks import hold
from sr.io.run_folder import RunFolder
from sr.io.tables import write_table
from sr.launch import messages
from sr.launch.console import ConsoleHandler
from sr.launch.watch import _looker, _Watcher, line_of_end, table
from sr.runs.schema import RunResult, Status, write_result
from sr.runs.scores import MeanSd
from sr.runs.status import PLAN, Cell, Standing, find_cells, seconds_left
from sr.terms import Part

CELLS = [
    Cell("a_mse", Standing.DONE, gain=0.5, psnr=30.5, seconds=600.0, model="a"),
    Cell("b_mse", Standing.RUNNING, gain=-0.1, psnr=29.9, seconds=60.0, epochs=(3, 20), model="b"),
    Cell("b_mae", Standing.PENDING),
    Cell("a_mae", Standing.PENDING),
]


def write_run(folder: Path, status: Status, *, epochs: int = 0, reason: str = "") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {"epoch": epoch, "seconds": 5.0, "val/psnr": 30 + epoch, "val/gain": epoch / 10}
        for epoch in range(1, epochs + 1)
    ]
    if rows:
        write_table(RunFolder(folder).metrics, rows)
    scores = {Part.VAL: {"psnr": MeanSd(30.5), "input_psnr": MeanSd(30.0), "gain": MeanSd(0.5)}}
    config = {"data": {}, "trainer": {"max_epochs": 8}}
    done = status is Status.DONE
    write_result(folder, RunResult(status, config, reason=reason, seconds=90.0, scores=scores if done else {}))


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """The folder of a sweep of three cells, of which one was done before."""
    (tmp_path / PLAN).write_text('{"cells": ["a_mse", "a_mae", "b_mse"]}')
    messages.messages_file(tmp_path).touch()
    write_run(tmp_path / "a_mse", Status.DONE)
    return tmp_path


def text_of(cells: list[Cell], height: int | None = None) -> list[str]:
    console = Console(width=100, file=io.StringIO())
    console.print(table(cells, height))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


def test_the_time_left_counts_what_running_cells_have_done_and_times_of_the_same_model() -> None:
    # 3 of 20 epochs in 60 s: 340 s are left; the other cell of b takes the 400 s that this one will have taken
    assert seconds_left(CELLS) == pytest.approx(340 + 400 + 600)


def test_the_table_has_a_row_for_each_cell_and_the_time_left() -> None:
    lines = text_of(CELLS)
    assert lines[0].split() == ["cell", "status", "epochs", "val/psnr", "dB", "gain", "dB", "time"]
    assert lines[1].split() == ["a_mse", "done", "30.50", "+0.50", "10", "min"]
    assert lines[2].split() == ["b_mse", "running", "3/20", "29.90", "-0.10", "60", "s"]
    assert lines[3].split() == ["b_mae", "pending"]
    assert lines[5] == "1 done, 2 pending, 1 running; about 22 min left"


def test_a_table_that_is_too_high_shows_running_cells_first() -> None:
    lines = text_of(CELLS, height=3)
    assert [line.split()[0] for line in lines[1:4]] == ["b_mse", "a_mse", "..."]
    assert lines[3] == "... and 2 more"


def test_a_cell_that_ends_says_its_score_and_how_the_sweep_stands() -> None:
    lost = Cell("a_mse", Standing.DONE, gain=-0.5, psnr=29.5, seconds=42.0, loses_to="its input")
    assert line_of_end(lost, [lost]) == "a_mse done, val/psnr 29.50 dB, gain -0.50, loses to its input, 42 s  (1 done)"
    failed = Cell("a_mse", Standing.DIVERGED, "the loss is not finite")
    assert line_of_end(failed, [failed]) == "a_mse diverged, the loss is not finite  (1 diverged)"


def test_without_a_terminal_each_cell_that_ends_while_it_is_watched_gets_a_line(
    sweep: Path, caplog: pytest.LogCaptureFixture
) -> None:
    watcher = _Watcher(_looker(sweep), messages.messages_file(sweep), prints_lines=True)
    caplog.set_level(logging.INFO, logger="sr.launch.watch")
    watcher._show()
    assert caplog.messages == []  # a_mse was done before
    write_run(sweep / "a_mae", Status.RUNNING, epochs=2)
    with hold(RunFolder(sweep / "a_mae").lock):
        watcher._show()
        (running,) = [cell for cell in find_cells(sweep) if cell.status is Standing.RUNNING]
    assert (running.epochs, running.seconds, running.psnr, running.gain) == ((2, 8), 10.0, 32.0, 0.2)
    assert caplog.messages == []
    write_run(sweep / "a_mae", Status.DONE)
    with messages.messages_file(sweep).open("a") as file:
        file.write("b_mse: error: model.head: VDSR has no such option\na_mae: 2 files are skipped\nhalf a li")
    watcher._show()
    watcher._show()
    assert caplog.messages == [
        "a_mae: 2 files are skipped",
        "a_mae done, val/psnr 30.50 dB, gain +0.50, 90 s  (2 done, 1 failed)",
        "b_mse failed, model.head: VDSR has no such option  (2 done, 1 failed)",
    ]


def test_workers_of_a_watched_sweep_pass_warnings_on_and_write_nothing_themselves(
    sweep: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = SimpleNamespace(cwd=str(sweep.parent), output_dir=str(sweep / "a_mae"))
    hydra = SimpleNamespace(runtime=runtime, sweep=SimpleNamespace(dir=sweep.name), job=SimpleNamespace(name="train"))
    monkeypatch.setattr(messages, "in_worker", lambda: True)
    monkeypatch.setattr(messages, "HydraConfig", SimpleNamespace(initialized=lambda: True, get=lambda: hydra))
    stdout = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stdout)
    logger = logging.Logger("sr.test")
    logger.addHandler(ConsoleHandler())
    logger.info("epoch 1/2")
    logger.warning("two\nlines")
    logger.warning("said by its state", extra={"in_state": True})
    try:
        raise ZeroDivisionError("division by zero")
    except ZeroDivisionError:
        logger.exception("this run failed")
    assert stdout.getvalue() == ""
    assert messages.messages_file(sweep).read_text().splitlines() == [
        "a_mae: two",
        f"a_mae: this run failed (ZeroDivisionError: division by zero), see {sweep / 'a_mae' / 'train.log'}",
    ]
