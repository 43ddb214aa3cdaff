import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sr.callbacks.checkpoints import RunCheckpoints
from sr.callbacks.pictures import SampleCrops, SampleGrids, sample_grid, worst_square
from sr.image import quantise, resize
from sr.io.run_folder import RunFolder
from sr.terms import Batch, Part, StepOutput
from tests.support.runs import Command, MakeFolder


def test_grid_shows_input_output_target_and_amplified_error() -> None:
    hr = quantise(torch.rand(3, 12, 16))
    lr = quantise(resize(hr[None], 0.5)[0])
    sr = hr + 0.1
    grid = sample_grid(lr, sr, hr, error_gain=4.0)
    assert grid.shape == (3, 12, 64)
    enlarged, output, target, error = grid.split(16, dim=-1)
    assert torch.equal(enlarged, quantise(resize(lr[None], 2)[0]))
    assert torch.equal(output, quantise(sr))
    assert torch.equal(target, hr)
    assert torch.allclose(error, torch.tensor(0.4), atol=1e-6)


def test_the_square_is_where_the_input_is_worst_and_fits_the_image() -> None:
    hr = torch.zeros(3, 64, 96)
    enlarged = hr.clone()
    enlarged[:, 40:56, 16:32] = 1
    assert worst_square(enlarged, hr, 16) == (40, 16, 16)
    top, left, side = worst_square(enlarged, hr, 200)
    assert (top, side) == (0, 64)
    assert left + side <= 96


def test_a_run_leaves_squares_of_its_validation_images_beside_input_and_target(
    command: Command, make_folder: MakeFolder, tmp_path: Path
) -> None:
    data = make_folder(count=10, size=(48, 64))
    code, text = command("data=isr", f"data.root={data}", "callbacks.samples.side=32", "logger=none")
    assert code == 0, text
    with Image.open(RunFolder(tmp_path / "run").samples) as picture:
        layout = json.loads(picture.text["sr"])  # type: ignore[attr-defined]
        pixels = np.asarray(picture)
    names = {line.split(",")[0] for line in (tmp_path / "run" / "images.csv").read_text().splitlines()[1:]}
    assert {row["name"] for row in layout["rows"]} == names
    assert pixels.shape == (32 * len(names), 96, 3)
    for number, row in enumerate(layout["rows"]):
        target = np.asarray(Image.open(data / "high_res" / f"{row['name']}.png"))
        square = target[row["top"] : row["top"] + 32, row["left"] : row["left"] + 32]
        assert np.array_equal(pixels[32 * number : 32 * number + 32, 64:], square)


@pytest.mark.parametrize(
    ("max_epochs", "epochs_apart", "times", "expected"),
    [
        (6, 1, 20, [0, 1, 2, 3, 4, 5]),
        (10, 1, 5, [0, 2, 4, 6, 8, 9]),
        (8, 4, 20, [3, 7]),
        (40, 4, 5, [3, 11, 19, 27, 35, 39]),
        (1, 1, 20, [0]),
    ],
)
def test_pictures_are_spread_over_the_validations_first_and_last_among_them(
    max_epochs: int, epochs_apart: int, times: int, expected: list[int]
) -> None:
    grids = SampleGrids(times=times)
    validated = range(epochs_apart - 1, max_epochs, epochs_apart)
    trainers: list[Any] = [
        SimpleNamespace(current_epoch=epoch, max_epochs=max_epochs, check_val_every_n_epoch=epochs_apart)
        for epoch in validated
    ]
    assert [trainer.current_epoch for trainer in trainers if grids._is_due(trainer)] == expected


def test_the_columns_are_the_input_the_output_and_the_target(tmp_path: Path) -> None:
    lr, sr, hr = (torch.full((1, 3, side, side), value) for side, value in ((8, 0.2), (16, 0.4), (16, 0.6)))
    outputs: StepOutput = {"part": Part.VAL, "name": ["a"], "scores": {"input_psnr": torch.tensor([20.0])}, "sr": sr}
    batch: Batch = {"lr": lr, "hr": hr, "name": ["a"]}
    crops = SampleCrops(side=16)
    checkpoints = RunCheckpoints(str(tmp_path))
    checkpoints.epoch_is_best = True
    trainer: Any = SimpleNamespace(callbacks=[checkpoints], default_root_dir=str(tmp_path))
    module: Any = None
    crops.on_validation_start(trainer, module)
    crops.on_validation_batch_end(trainer, module, outputs, batch, 0)
    crops.on_validation_batch_end(trainer, module, {**outputs, "part": Part.TRAIN, "name": ["b"]}, batch, 0, 1)
    crops.on_train_epoch_end(trainer, module)
    with Image.open(RunFolder(tmp_path).samples) as picture:
        assert [row["name"] for row in json.loads(picture.info["sr"])["rows"]] == ["a"]
        pixels = np.asarray(picture)
    assert [pixels[:, column : column + 16].mean() for column in (0, 16, 32)] == [51, 102, 153]
    RunFolder(tmp_path).samples.unlink()
    checkpoints.epoch_is_best = False
    crops.on_validation_batch_end(trainer, module, outputs, batch, 0)
    crops.on_train_epoch_end(trainer, module)
    assert not RunFolder(tmp_path).samples.exists()
