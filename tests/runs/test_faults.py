"""Kills at the worst moments, and a disk that fills up; scripts/campaigns do more of both."""

import random
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scripts.campaigns.fill_disks import fill, small_disk
from scripts.campaigns.kill_runs import command as command_of
from scripts.campaigns.kill_runs import differences, finish, make_images, survive
from sr.callbacks.checkpoints import WholeCheckpointIO
from sr.io.run_folder import RunFolder
from tests.support.runs import Command, MakeFolder, result_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def unharmed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``data``, and ``unharmed``, the run that nothing happened to."""
    base = tmp_path_factory.mktemp("faults")
    root = make_images(base / "data")
    finish(command_of("run", root, base / "unharmed"), base / "unharmed")
    return base


def test_a_run_that_is_killed_at_random_ends_as_if_it_had_not_been(unharmed: Path) -> None:
    killed = unharmed / "killed"
    hits = list(survive(command_of("run", unharmed / "data", killed), killed, 3, random.Random(5)))
    assert len(hits) == 3
    assert differences(unharmed / "unharmed", killed) == []


def test_another_seed_is_seen_as_different(unharmed: Path) -> None:
    other = unharmed / "other"
    finish([*command_of("run", unharmed / "data", other), "seed=2"], other)
    found = differences(unharmed / "unharmed", other)
    for part in ("last.ckpt: .state_dict", "last.ckpt: .random.torch", "metrics.csv", "curve train/loss_step"):
        assert any(part in one for one in found), part


def _dies(when: str, at: int) -> Callable[..., None]:
    """A `save_checkpoint` that ends its run right before, or right after, the last checkpoint is written so often."""
    save, written = WholeCheckpointIO.save_checkpoint, 0

    def save_checkpoint(self: WholeCheckpointIO, checkpoint: dict[str, Any], path: Path, **others: object) -> None:
        nonlocal written
        written += Path(path).name == RunFolder(Path()).last.name
        if written == at and when == "before":
            raise RuntimeError("the power is gone")
        save(self, checkpoint, path)
        if written == at:
            raise RuntimeError("the power is gone")

    return save_checkpoint


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("at", [2, 4])  # inside an epoch of four steps, and at its end
def test_nothing_is_lost_around_a_checkpoint(
    command: Command, make_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str, at: int
) -> None:
    settings = ["data=isr", f"data.root={make_folder(count=14)}", "trainer.max_epochs=2", "data.batch_size=3"]
    settings += ["callbacks.checkpoints.minutes=0", "trainer.log_every_n_steps=1", "callbacks=ema"]
    assert command(*settings, folder="whole")[0] == 0
    with monkeypatch.context() as patch:
        patch.setattr(WholeCheckpointIO, "save_checkpoint", _dies(when, at))
        code, text = command(*settings)
    assert (code, "the power is gone" in text) == (1, True)
    assert result_of(tmp_path / "run")["status"] == "failed"
    time.sleep(1)  # TensorBoard orders the files of one process and second by text: its tenth before its ninth
    code, text = command(*settings)
    assert code == 0, text
    assert "resuming from" in text
    assert differences(tmp_path / "whole", tmp_path / "run") == []


@pytest.mark.parametrize("size", ["16k", "250k", "500k"])  # before the run, at a checkpoint, in an epoch
def test_a_full_disk_ends_a_run_with_one_line_and_its_checkpoints_whole(unharmed: Path, size: str) -> None:
    try:
        with small_disk(unharmed / "disk", "16k"):
            pass
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a small file system needs Linux and root")
    code, wrong = fill(unharmed / "data", unharmed / "disk", size)
    assert (code, wrong) == (2, [])
