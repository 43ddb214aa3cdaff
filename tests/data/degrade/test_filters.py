"""Blur kernels and resizes against other implementations."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve as convolve_directly
from torch.nn.functional import interpolate

from sr.data.degrade.filters import convolved, gaussian, plateau, sinc
from sr.data.degrade.resampling import AREA, BICUBIC, BILINEAR, resampled


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape)


def test_a_sinc_filter_passes_low_frequencies_and_stops_high_ones() -> None:
    response = np.abs(np.fft.fft2(sinc(40, math.pi / 2), (256, 256)))
    frequencies = np.hypot(*np.meshgrid(np.fft.fftfreq(256), np.fft.fftfreq(256))) * 2 * math.pi
    assert response[frequencies < math.pi / 2 * 0.85].min() > 0.9
    assert response[(frequencies > math.pi / 2 * 1.15) & (frequencies < math.pi)].max() < 0.1


def test_a_generalised_kernel_of_shape_1_is_gaussian_and_a_larger_shape_is_flatter() -> None:
    kernel = gaussian(6, (2.0, 2.0))
    assert np.allclose(gaussian(6, (2.0, 2.0), beta=1), kernel)
    box = gaussian(6, (2.0, 2.0), beta=8)
    assert box[6, 6] / box[6, 5] == pytest.approx(1, abs=1e-4)
    assert box[6, 6] / box[6, 9] > 1e6


def test_a_plateau_is_half_as_high_at_its_width() -> None:
    kernel = plateau(6, (2.0, 2.0), 0.0, 1.5)
    assert kernel[6, 8] / kernel[6, 6] == pytest.approx(0.5)
    assert kernel.sum() == pytest.approx(1)


def test_a_shifted_kernel_moves_the_image() -> None:
    ramp = np.tile(np.arange(40, dtype=np.float64), (1, 40, 1))
    moved = convolved(ramp, gaussian(6, (1.0, 1.0), shift=1.5))
    assert np.allclose(moved[0, 10:30, 10:30], ramp[0, 10:30, 10:30] + 1.5, atol=1e-3)


@pytest.mark.parametrize("size", [(7, 9), (40, 61), (97, 103)])
def test_a_convolution_is_that_of_scipy(size: tuple[int, int]) -> None:
    image, kernel = noise(3, *size), noise(15, 15)
    expected = np.stack([convolve_directly(plane, kernel, mode="reflect") for plane in image])
    assert np.allclose(convolved(image, kernel), expected)
    single = convolved(image.astype(np.float32), kernel)
    assert single.dtype == np.float32
    assert np.allclose(single, expected, rtol=1e-5)


@pytest.mark.parametrize("size", [(30, 20), (13, 9), (7, 41)])
@pytest.mark.parametrize("kind", [BILINEAR, BICUBIC])
def test_resizes_without_antialiasing_are_those_of_torch(kind: str, size: tuple[int, int]) -> None:
    image = noise(3, 22, 26)
    expected = interpolate(torch.from_numpy(image)[None], size, mode=kind)[0].numpy()
    assert np.allclose(resampled(image, size, kind), expected)


def test_area_is_the_mean_over_what_a_pixel_covers() -> None:
    row = np.array([[[0.0, 1.0, 2.0]]])
    assert np.allclose(resampled(row, (1, 2), AREA), [[[(0 + 0.5 * 1) / 1.5, (0.5 * 1 + 2) / 1.5]]])
    image = noise(3, 12, 18)
    assert np.allclose(resampled(image, (4, 6), AREA), image.reshape(3, 4, 3, 6, 3).mean((2, 4)))
    assert np.allclose(resampled(image, (24, 36), AREA), image.repeat(2, 1).repeat(2, 2))


@pytest.mark.parametrize("kind", [AREA, BILINEAR, BICUBIC])
def test_resizes_there_and_back_do_not_move_the_image(kind: str) -> None:
    """The middle of a smooth spot stays where it is, whatever the sizes in between."""
    rows, columns = np.mgrid[:80, :80]
    spot = np.exp(-((rows - 41) ** 2 + (columns - 38) ** 2) / 200)[None]
    for between in (33, 47, 61, 111):
        back = resampled(resampled(spot, (between, between + 3), kind), (80, 80), kind)[0]
        assert (back.sum(1) * np.arange(80)).sum() / back.sum() == pytest.approx(41, abs=0.03)
        assert (back.sum(0) * np.arange(80)).sum() / back.sum() == pytest.approx(38, abs=0.03)
