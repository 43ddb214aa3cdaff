"""VIF, against torchmetrics, which computes the authors' vifp_mscale as sewar does."""

import pytest
import torch
from torchmetrics.functional.image import visual_information_fidelity

from sr.errors import UserError
from sr.image import quantise, resize
from sr.metrics.information import vif


@pytest.mark.parametrize("size", [(1, 41, 41), (1, 128, 301), (3, 75, 64)])
@pytest.mark.parametrize("noise", [0.01, 0.2])
def test_vif_agrees_with_torchmetrics(size: tuple[int, int, int], noise: float) -> None:
    channels, height, width = size
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand(2, channels, height // 4 + 1, width // 4 + 1, generator=generator, dtype=torch.float64)
    hr = quantise(resize(coarse, 4)[..., :height, :width])
    sr = quantise(hr + noise * torch.randn(hr.shape, generator=generator, dtype=torch.float64))
    expected = [visual_information_fidelity(sr[[n]] * 255, hr[[n]] * 255).item() for n in range(2)]
    assert vif(sr, hr).tolist() == pytest.approx(expected, abs=1e-5)


def test_equal_images_keep_all_information_and_flat_ones_none() -> None:
    hr = torch.rand(1, 1, 50, 60, generator=torch.Generator().manual_seed(0))
    assert vif(hr, hr).item() == pytest.approx(1, abs=1e-5)
    assert vif(torch.full_like(hr, 0.5), hr).item() == pytest.approx(0, abs=1e-5)
    flat = torch.full_like(hr, 0.25)
    assert vif(flat, flat).item() == 1  # nothing to lose


def test_vif_of_small_images_is_refused_in_one_line() -> None:
    with pytest.raises(UserError, match="vif needs images of 41x41 pixels or more, got 60x40"):
        vif(torch.zeros(1, 1, 40, 60), torch.zeros(1, 1, 40, 60))
