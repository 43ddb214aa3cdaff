"""What a run steps and logs, compared with formulas."""

import math
from pathlib import Path

import pytest
import torch

from sr.io.run_folder import RunFolder
from sr.io.tables import read_table
from tests.support.runs import Command, MakeFolder

STEPS_AN_EPOCH, EPOCHS = 2, 3


@pytest.fixture
def files(command: Command, make_folder: MakeFolder, tmp_path: Path) -> RunFolder:
    """A run of 7 training images in batches of 4 and 3, every step of it logged."""
    code, text = command(
        *("data=isr", f"data.root={make_folder(count=10)}", f"trainer.max_epochs={EPOCHS}", "logger=csv"),
        *("trainer.log_every_n_steps=1", "scheduler.warmup=0.34", "scheduler.final=0.1", "optimizer.lr=1e-3"),
    )
    assert code == 0, text
    return RunFolder(tmp_path / "run")


def test_a_run_steps_its_schedule_once_a_step_and_records_the_mean_loss_of_each_epoch(files: RunFolder) -> None:
    (table,) = [read_table(path) for path in files.step_tables]
    steps = {int(row["step"]): row for row in table if row["train/loss_step"]}
    total = STEPS_AN_EPOCH * EPOCHS
    assert sorted(steps) == list(range(total))

    rising = round(0.34 * total)
    assert rising == 2
    for step, row in steps.items():
        if step < rising:
            factor = (step + 1) / rising
        else:  # half a cosine from 1 to 0.1 at the last step
            factor = 0.1 + 0.9 * (1 + math.cos(math.pi * (step - rising) / (total - 1 - rising))) / 2
        assert float(row["lr"]) == pytest.approx(1e-3 * factor)

    epochs = read_table(files.metrics)
    assert [row["step"] for row in epochs] == ["2", "4", "6"]
    for epoch, row in enumerate(epochs):
        losses = [float(steps[STEPS_AN_EPOCH * epoch + step]["train/loss_step"]) for step in range(STEPS_AN_EPOCH)]
        assert float(row["train/loss"]) == pytest.approx((4 * losses[0] + 3 * losses[1]) / 7, rel=1e-5)

    best = max(epochs, key=lambda row: float(row["val/psnr"]))
    images = read_table(files.images)
    assert {row["epoch"] for row in images} == {best["epoch"]}
    for name in ("psnr", "ssim", "gain", "input_psnr"):
        mean = sum(float(row[name]) for row in images) / len(images)
        assert float(best[f"val/{name}"]) == pytest.approx(mean, rel=1e-5)
    assert torch.load(files.last, weights_only=True)["global_step"] == total
