"""Runs killed at the worst moments, and full disks; `scripts/campaigns` tests more of both."""

import random
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sr.callbacks.checkpoints import WholeCheckpointIO
from sr.io.run_folder import RunFolder
from tests.support.kills import make_images, run_to_end, run_with_kills, training_command
from tests.support.run_differences import differences
from tests.support.runs import Command, MakeFolder, result_of
from tests.support.small_disks import small_disk, train_on_small_disk

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the images ``data`` and ``undisturbed``, an undisturbed run."""
    folder = tmp_path_factory.mktemp("faults")
    root = make_images(folder / "data")
    run_to_end(training_command("run", root, folder / "undisturbed"), folder / "undisturbed")
    return folder


def test_a_run_killed_at_random_ends_like_an_undisturbed_run(faults: Path) -> None:
    killed = faults / "killed"
    kills = list(run_with_kills(training_command("run", faults / "data", killed), killed, 3, random.Random(5)))
    assert len(kills) == 3
    assert differences(faults / "undisturbed", killed) == []


def test_another_seed_is_reported_as_different(faults: Path) -> None:
    other = faults / "other"
    run_to_end([*training_command("run", faults / "data", other), "seed=2"], other)
    reported_differences = differences(faults / "undisturbed", other)
    for expected in ("last.ckpt: .state_dict", "last.ckpt: .random.torch", "metrics.csv", "curve train/loss_step"):
        assert any(expected in difference for difference in reported_differences), expected


def _failing_save(when: str, at: int) -> Callable[..., None]:
    """A `save_checkpoint` that raises just before or just after it writes ``last.ckpt`` for the ``at``-th time."""
    save, last_saves = WholeCheckpointIO.save_checkpoint, 0

    def save_checkpoint(self: WholeCheckpointIO, checkpoint: dict[str, Any], path: Path, **kwargs: object) -> None:
        nonlocal last_saves
        last_saves += Path(path).name == RunFolder(Path()).last.name
        if last_saves == at and when == "before":
            raise RuntimeError("power failure")
        save(self, checkpoint, path)
        if last_saves == at:
            raise RuntimeError("power failure")

    return save_checkpoint


# In an epoch of four steps, after the last of them, after validation.
@pytest.mark.parametrize(("when", "at"), [("before", 2), ("after", 2), ("after", 4), ("after", 5)])
@pytest.mark.parametrize("workers", [0, 1])
def test_a_failure_just_before_or_after_a_checkpoint_loses_nothing(
    command: Command,
    make_folder: MakeFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    when: str,
    at: int,
    workers: int,
) -> None:
    settings = ["data=isr", f"data.root={make_folder(count=14)}", "trainer.max_epochs=2", "data.batch_size=3"]
    settings += ["callbacks.checkpoints.minutes=0", "trainer.log_every_n_steps=1", "callbacks=ema"]
    settings += [f"data.num_workers={workers}"]
    assert command(*settings, folder="uninterrupted")[0] == 0
    with monkeypatch.context() as patch:
        patch.setattr(WholeCheckpointIO, "save_checkpoint", _failing_save(when, at))
        code, text = command(*settings)
    assert (code, "power failure" in text) == (1, True)
    assert result_of(tmp_path / "run")["status"] == "failed"
    time.sleep(1)  # TensorBoard sorts the event files of the same process and second as text: 10 before 9
    code, text = command(*settings)
    assert code == 0, text
    assert "resuming from" in text
    assert differences(tmp_path / "uninterrupted", tmp_path / "run") == []


@pytest.mark.parametrize("size", ["16k", "250k", "500k"])  # full before the run, at a checkpoint, in an epoch
def test_a_full_disk_ends_a_run_with_a_one_line_error_and_intact_checkpoints(faults: Path, size: str) -> None:
    try:
        with small_disk(faults / "disk", "16k"):
            pass
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a small file system needs Linux and root")
    assert train_on_small_disk(faults / "data", faults / "disk", size, faults / "undisturbed") == (2, [])
