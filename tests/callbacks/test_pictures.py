import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from sr.callbacks.pictures import SampleCrops, sample_grid, worst_square
from sr.image import quantise, resize
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
    with Image.open(tmp_path / "run" / SampleCrops.FILE) as picture:
        layout = json.loads(picture.text["sr"])  # type: ignore[attr-defined]
        pixels = np.asarray(picture)
    names = {line.split(",")[0] for line in (tmp_path / "run" / "images.csv").read_text().splitlines()[1:]}
    assert {row["name"] for row in layout["rows"]} == names
    assert pixels.shape == (32 * len(names), 96, 3)
    for number, row in enumerate(layout["rows"]):
        target = np.asarray(Image.open(data / "high_res" / f"{row['name']}.png"))
        square = target[row["top"] : row["top"] + 32, row["left"] : row["left"] + 32]
        assert np.array_equal(pixels[32 * number : 32 * number + 32, 64:], square)
