"""Multi-scale SSIM; SSIM itself is tested with the protocols."""

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d
from torch import Tensor

from sr.errors import UserError
from sr.image import quantise, resize
from sr.metrics.structure import ms_ssim, ssim


def pair(channels: int, height: int, width: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(2, channels, height // 4 + 1, width // 4 + 1, generator=generator, dtype=torch.float64)
    hr = quantise(resize(coarse, 4)[..., :height, :width])
    return quantise(hr + 0.05 * torch.randn(hr.shape, generator=generator, dtype=torch.float64)), hr


def reference(sr: np.ndarray, hr: np.ndarray) -> float:
    """Wang et al. 2003, equation 7, of one image ``(C, H, W)`` by plain correlations."""
    offsets = np.arange(-5, 6)
    window = np.exp(-(offsets**2) / (2 * 1.5**2))
    window /= window.sum()

    def blur(image: np.ndarray) -> np.ndarray:
        blurred: np.ndarray = correlate1d(correlate1d(image, window, -1), window, -2)[..., 5:-5, 5:-5]
        return blurred

    score = 1.0
    for weight in (0.0448, 0.2856, 0.3001, 0.2363, 0.1333):
        x, y = blur(sr), blur(hr)
        contrast = (2 * (blur(sr * hr) - x * y) + 0.03**2) / (blur(sr**2) + blur(hr**2) - x**2 - y**2 + 0.03**2)
        brightness = (2 * x * y + 0.01**2) / (x**2 + y**2 + 0.01**2)
        factor = contrast if weight != 0.1333 else contrast * brightness
        score *= max(0.0, float(factor.mean())) ** weight
        sr, hr = (
            image[:, : image.shape[1] // 2 * 2, : image.shape[2] // 2 * 2]
            .reshape(image.shape[0], image.shape[1] // 2, 2, image.shape[2] // 2, 2)
            .mean((2, 4))
            for image in (sr, hr)
        )
    return score


@pytest.mark.parametrize(("channels", "height", "width"), [(1, 176, 180), (3, 201, 193)])
def test_ms_ssim_agrees_with_the_definition(channels: int, height: int, width: int) -> None:
    sr, hr = pair(channels, height, width)
    expected = [reference(x.numpy(), y.numpy()) for x, y in zip(sr, hr, strict=True)]
    assert ms_ssim(sr, hr).tolist() == pytest.approx(expected, abs=1e-12)


def test_ms_ssim_is_that_of_torchmetrics_but_for_its_cut_borders() -> None:
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as theirs

    sr, hr = pair(1, 200, 220)
    expected = theirs(sr, hr, data_range=1.0, reduction="none")
    assert ms_ssim(sr, hr).tolist() == pytest.approx(expected.tolist(), abs=5e-4)


def test_ms_ssim_after_ssim_of_the_same_pair_does_not_change() -> None:
    sr, hr = pair(1, 180, 180)
    alone = ms_ssim(sr, hr)
    again, other = sr.clone(), hr.flip(-1)
    ssim(again, hr)
    assert torch.equal(ms_ssim(again, hr), alone)
    assert not torch.equal(ms_ssim(again, other), alone)  # the same output against another target
    again.mul_(0.5)
    assert torch.equal(ms_ssim(again, hr), ms_ssim(sr * 0.5, hr))  # an output that was changed in place


def test_ms_ssim_of_small_images_is_refused_in_one_line() -> None:
    sr, hr = pair(1, 175, 400)
    with pytest.raises(UserError, match="ms_ssim of 5 scales needs images of 176x176 pixels or more, got 400x175"):
        ms_ssim(sr, hr)


def test_equal_images_have_an_ms_ssim_of_one_and_inverted_ones_of_zero() -> None:
    _, hr = pair(1, 176, 176)
    assert ms_ssim(hr, hr).tolist() == pytest.approx([1, 1])
    assert ms_ssim(1 - hr, hr).tolist() == [0, 0]
