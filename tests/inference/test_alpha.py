from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sr.inference.alpha import fill_hidden
from sr.inference.enlarger import Enlarger
from sr.nets.espcn import ESPCN
from sr.weights.model import Model
from tests.support.images import photograph


def cut_out(hidden: int) -> np.ndarray:
    """A disc of a photograph; under alpha 0 lies one colour."""
    rows, columns = np.mgrid[:48, :60]
    seen = (rows - 24) ** 2 + (columns - 30) ** 2 < 15**2
    colours = np.where(seen[..., None], np.asarray(photograph(48, 60)), hidden)
    return np.dstack([colours, seen * 255]).astype(np.uint8)


@pytest.mark.parametrize("nets", [[], [ESPCN(2)]])
def test_hidden_colours_do_not_change_what_is_seen(nets: list[torch.nn.Module]) -> None:
    enlarger = Enlarger(Model("bicubic", 2, nets), device="cpu", precision="float32")
    black, white = (enlarger(cut_out(hidden)) for hidden in (0, 255))
    assert np.array_equal(black, white)
    tensor = torch.from_numpy(cut_out(0)).permute(2, 0, 1)
    assert torch.equal(enlarger(tensor), enlarger(torch.from_numpy(cut_out(255)).permute(2, 0, 1)))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_visible_edge_of_one_colour_keeps_it(dtype: type) -> None:
    pixels: Any = cut_out(0).astype(dtype)
    pixels[pixels[..., 3] > 0, :3] = (200, 30, 60)
    out = Enlarger(Model("bicubic", 2), device="cpu")(pixels)
    assert (out[out[..., 3] > 0][:, :3] == (200, 30, 60)).all()


def test_pictures_without_hidden_pixels_and_those_of_nothing_else_stay() -> None:
    opaque = np.asarray(photograph(8, 9).convert("RGBA"))
    assert fill_hidden(opaque) is opaque
    hidden = np.asarray(Image.new("LA", (9, 8), (7, 0)))
    assert fill_hidden(hidden) is hidden


def test_strips_of_rows_give_what_the_whole_gives_near_the_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = fill_hidden(cut_out(9))
    monkeypatch.setattr("sr.inference.alpha._ROWS", 10)
    assert np.array_equal(fill_hidden(cut_out(9)), whole)
