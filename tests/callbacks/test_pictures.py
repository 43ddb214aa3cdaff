import io
import itertools
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sr.callbacks import pictures
from sr.callbacks.checkpoints import RunCheckpoints
from sr.callbacks.pictures import SampleCrops, SampleGrids, sample_grid, worst_square
from sr.errors import UserError
from sr.image import quantise, resize, to_uint8
from sr.io.run_folder import RunFolder
from sr.terms import Batch, Part, StepOutput
from sr.trackers.tensorboard import TensorBoardTracker
from tests.support.runs import Command, MakeFolder

MODULE: Any = None


def gray_step(name: str, part: Part = Part.VAL, side: int = 16, input_psnr: float = 20.0) -> tuple[StepOutput, Batch]:
    """A step on one image with uniformly gray input (51), output (102) and target (153)."""
    lr, sr, hr = (torch.full((1, 3, size, size), value) for size, value in ((side // 2, 0.2), (side, 0.4), (side, 0.6)))
    scores = {"input_psnr": torch.tensor([input_psnr]), "gain": torch.tensor([1.5])}
    return {"part": part, "name": [name], "scores": scores, "sr": sr}, {"lr": lr, "hr": hr, "name": [name]}


def test_grid_shows_input_output_target_and_amplified_error() -> None:
    hr = quantise(torch.rand(3, 12, 16))
    lr = quantise(resize(hr[None], 0.5)[0])
    sr = hr + 0.1
    grid = sample_grid(lr, sr, hr, error_gain=4.0)
    assert grid.shape == (3, 28, 64)
    enlarged, output, target, error = grid[:, 16:].split(16, dim=-1)
    assert torch.equal(enlarged, to_uint8(resize(lr[None], 2)[0]))
    assert torch.equal(output, to_uint8(sr))
    assert torch.equal(target, to_uint8(hr))
    assert (error == 102).all()  # 0.4 of 255
    names = grid[:, :16].split(16, dim=-1)  # a name above each, in white
    assert all(name.max() > 100 for name in names)
    assert not any(torch.equal(first, second) for first, second in itertools.pairwise(names))


def test_the_crop_is_where_the_input_is_worst_and_fits_the_image() -> None:
    hr = torch.zeros(3, 64, 96)
    enlarged = hr.clone()
    enlarged[:, 40:56, 16:32] = 1
    assert worst_square(enlarged, hr, 16) == (40, 16, 16)
    top, left, side = worst_square(enlarged, hr, 200)
    assert (top, side) == (0, 64)
    assert left + side <= 96


@pytest.mark.slow
def test_a_run_saves_crops_of_its_validation_images_with_input_and_target(
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
def test_grids_are_logged_evenly_from_the_first_to_the_last_validation(
    max_epochs: int, epochs_apart: int, times: int, expected: list[int]
) -> None:
    grids = SampleGrids(times=times)
    validated = range(epochs_apart - 1, max_epochs, epochs_apart)
    trainers: list[Any] = [
        SimpleNamespace(current_epoch=epoch, max_epochs=max_epochs, check_val_every_n_epoch=epochs_apart)
        for epoch in validated
    ]
    assert [trainer.current_epoch for trainer in trainers if grids._is_due(trainer)] == expected


def test_the_columns_are_input_output_and_target(tmp_path: Path) -> None:
    crops = SampleCrops(side=16)
    checkpoints = RunCheckpoints(str(tmp_path))
    checkpoints.epoch_is_best = True
    trainer: Any = SimpleNamespace(callbacks=[checkpoints], default_root_dir=str(tmp_path))
    crops.on_validation_start(trainer, MODULE)
    crops.on_validation_batch_end(trainer, MODULE, *gray_step("a"), 0)
    crops.on_validation_batch_end(trainer, MODULE, *gray_step("b", Part.TRAIN), 0, 1)
    crops.on_train_epoch_end(trainer, MODULE)
    with Image.open(RunFolder(tmp_path).samples) as picture:
        assert [row["name"] for row in json.loads(picture.info["sr"])["rows"]] == ["a"]
        pixels = np.asarray(picture)
    assert [pixels[:, column : column + 16].mean() for column in (0, 16, 32)] == [51, 102, 153]
    RunFolder(tmp_path).samples.unlink()
    checkpoints.epoch_is_best = False
    crops.on_validation_batch_end(trainer, MODULE, *gray_step("a"), 0)
    crops.on_train_epoch_end(trainer, MODULE)
    assert not RunFolder(tmp_path).samples.exists()


def test_tensorboard_shows_the_first_validation_images_at_the_step_of_their_scores(tmp_path: Path) -> None:
    board = TensorBoardTracker(str(tmp_path))
    trainer: Any = SimpleNamespace(
        loggers=[object(), board], current_epoch=0, max_epochs=1, check_val_every_n_epoch=1, global_step=8
    )
    module: Any = None
    grids = SampleGrids(images=2, error_gain=2.0)
    for number, name in enumerate("abc"):
        grids.on_validation_batch_end(trainer, module, *gray_step(name), number)
    grids.on_validation_batch_end(trainer, module, *gray_step("t", Part.TRAIN), 0, 1)
    board.experiment.flush()
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert events.Tags()["images"] == ["pictures/a", "pictures/b"]
    (event,) = events.Images("pictures/a")
    assert event.step == 7
    with Image.open(io.BytesIO(event.encoded_image_string)) as picture:
        pixels = np.asarray(picture)
    assert pixels.shape == (32, 64, 3)
    assert [pixels[16:, column : column + 16].mean() for column in range(0, 64, 16)] == [51, 102, 153, 102]
    assert [(scalar.step, scalar.value) for scalar in events.Scalars("gain/a")] == [(7, 1.5)]


def test_no_grids_without_tensorboard_or_between_the_chosen_validations(tmp_path: Path) -> None:
    board = TensorBoardTracker(str(tmp_path))
    trainer: Any = SimpleNamespace(loggers=[], current_epoch=1, max_epochs=10, check_val_every_n_epoch=1, global_step=8)
    grids = SampleGrids(times=2)
    grids.on_validation_batch_end(trainer, MODULE, *gray_step("a"), 0)
    trainer.loggers = [board]
    grids.on_validation_batch_end(trainer, MODULE, *gray_step("a"), 0)
    assert not list(tmp_path.glob("events*"))


def test_samples_are_the_images_with_the_worst_inputs_and_small_ones_are_padded_with_black(tmp_path: Path) -> None:
    checkpoints = RunCheckpoints(str(tmp_path))
    checkpoints.epoch_is_best = True
    trainer: Any = SimpleNamespace(callbacks=[checkpoints], default_root_dir=str(tmp_path))
    crops = SampleCrops(side=16, images=3)
    crops.on_validation_start(trainer, MODULE)
    crops.on_validation_batch_end(trainer, MODULE, *gray_step("a", side=16, input_psnr=22.0), 0)  # an earlier one
    crops.on_validation_start(trainer, MODULE)
    for number, (name, side, psnr) in enumerate((("d", 16, 25.0), ("c", 8, 20.0), ("b", 16, 20.0), ("a", 16, 22.0))):
        crops.on_validation_batch_end(trainer, MODULE, *gray_step(name, side=side, input_psnr=psnr), number)
    crops.on_train_epoch_end(trainer, MODULE)
    with Image.open(RunFolder(tmp_path).samples) as picture:
        layout = json.loads(picture.info["sr"])
        pixels = np.asarray(picture)
    assert layout["side"] == 16
    assert [(row["name"], row["side"]) for row in layout["rows"]] == [("b", 16), ("c", 8), ("a", 16)]
    assert pixels.shape == (48, 48, 3)
    assert [pixels[16:24, column : column + 8].mean() for column in range(0, 48, 8)] == [51, 102, 153, 0, 0, 0]
    assert pixels[24:32].max() == 0


def test_squares_are_found_once_and_later_outputs_are_cut_where_they_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched = []

    def search(enlarged: torch.Tensor, hr: torch.Tensor, side: int) -> tuple[int, int, int]:
        searched.append(side)
        return worst_square(enlarged, hr, side)

    monkeypatch.setattr(pictures, "worst_square", search)
    checkpoints = RunCheckpoints(str(tmp_path))
    checkpoints.epoch_is_best = True
    trainer: Any = SimpleNamespace(callbacks=[checkpoints], default_root_dir=str(tmp_path))
    crops = SampleCrops(side=16, images=2)
    for brightness in (0.4, 1.0):
        crops.on_validation_start(trainer, MODULE)
        for name, psnr in (("a", 20.0), ("b", 21.0), ("better", 30.0)):
            outputs, batch = gray_step(name, input_psnr=psnr)
            crops.on_validation_batch_end(
                trainer, MODULE, {**outputs, "sr": outputs["sr"] / 0.4 * brightness}, batch, 0
            )
        crops.on_train_epoch_end(trainer, MODULE)
    assert searched == [16, 16, 16]
    with Image.open(RunFolder(tmp_path).samples) as picture:
        assert [row["name"] for row in json.loads(picture.info["sr"])["rows"]] == ["a", "b"]
        pixels = np.asarray(picture)
    assert [pixels[:, column : column + 16].mean() for column in (0, 16, 32)] == [51, 255, 153]


def test_no_samples_are_written_without_images(tmp_path: Path) -> None:
    checkpoints = RunCheckpoints(str(tmp_path))
    checkpoints.epoch_is_best = True
    trainer: Any = SimpleNamespace(callbacks=[checkpoints], default_root_dir=str(tmp_path))
    crops = SampleCrops(images=0)
    crops.on_validation_batch_end(trainer, MODULE, *gray_step("a"), 0)
    crops.on_train_epoch_end(trainer, MODULE)
    assert not RunFolder(tmp_path).samples.exists()


def test_a_side_below_1_and_a_negative_number_of_images_are_refused() -> None:
    with pytest.raises(UserError, match="side"):
        SampleCrops(side=0)
    with pytest.raises(UserError, match="images"):
        SampleCrops(images=-1)


def test_the_crop_is_placed_to_an_eighth_of_its_side() -> None:
    hr = torch.zeros(3, 64, 96)
    enlarged = hr.clone()
    enlarged[:, 22:38, 50:66] = 1
    assert worst_square(enlarged, hr, 16) == (22, 50, 16)
