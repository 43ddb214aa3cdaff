"""Tests of the plugin itself; those of a network should hold for any that you put in its place."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from sr_example.data import listed_images
from sr_example.loss import EdgeLoss
from sr_example.metric import edge_error
from sr_example.network import Recursive

from sr.errors import UserError


@pytest.mark.parametrize("scale", [1, 2, 3])
@pytest.mark.parametrize("size", [(8, 8), (7, 13)])
def test_the_network_enlarges_any_size(scale: int, size: tuple[int, int]) -> None:
    out = Recursive(scale)(torch.rand(2, 3, *size))
    assert out.shape == (2, 3, scale * size[0], scale * size[1])


def test_untrained_it_returns_the_bilinear_image() -> None:
    lr = torch.rand(1, 3, 8, 8)
    net = Recursive(2)
    torch.nn.init.zeros_(net.tail.bias)
    expected = torch.nn.functional.interpolate(lr, scale_factor=2, mode="bilinear", align_corners=False)
    assert torch.equal(net(lr), expected)


def test_the_loss_is_zero_for_equal_images_and_counts_edges() -> None:
    flat, edge = torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 4)
    edge[..., 2:] = 1.0
    assert EdgeLoss()(edge, edge) == 0
    # Half of the pixels differ, and a third of the differences between columns.
    assert EdgeLoss(0.5)(edge, flat) == pytest.approx(1 / 2 + 0.5 / 3)


def test_the_metric_has_a_value_for_each_image() -> None:
    flat, edge = torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 4, 4)
    edge[1, ..., 2:] = 1.0
    # A third of the differences between columns, none between rows.
    assert edge_error(edge, flat).tolist() == pytest.approx([0, 1 / 6])


def test_a_list_names_its_images(tmp_path: Path) -> None:
    Image.new("RGB", (16, 16)).save(tmp_path / "a.png")
    (tmp_path / "list.txt").write_text("a.png\nb.png\n")
    assert [source.name for source in listed_images(tmp_path / "list.txt", "skip")] == ["a"]
    with pytest.raises(UserError, match=r"lists .*b\.png, which does not exist"):
        listed_images(tmp_path / "list.txt")
