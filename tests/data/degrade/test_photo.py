"""The degradations of Real-ESRGAN and BSRGAN: what they draw, where the image ends up, and what a crop needs."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from sr.data.degrade.base import Degradation, generator
from sr.data.degrade.bicubic import BICUBIC
from sr.data.degrade.bsrgan import Bsrgan, coloured_noise
from sr.data.degrade.photo import Photo
from sr.data.degrade.random_kernels import drawn_kernel
from sr.data.degrade.sinc import Sinc
from sr.errors import UserError

# Without noise, and with the best JPEG there is.
NOTHING = ((0, 0), (0, 0))
QUIET_PHOTO = Photo(noise=NOTHING, poisson=NOTHING, quality=((100, 100), (100, 100)))
QUIET_BSRGAN = Bsrgan(noise=(0, 0), quality=(100, 100), camera=0)


def smooth(height: int, width: int) -> torch.Tensor:
    rows, columns = np.mgrid[:height, :width]
    plane = 0.5 + 0.3 * np.sin(columns / 9 + 0.3) * np.cos(rows / 11)
    return torch.from_numpy(np.stack([plane] * 3))


def shift_between(image: np.ndarray, reference: np.ndarray) -> float:
    """By how many pixels an image is moved against a smooth reference, by least squares over its gradients."""
    inner = (slice(8, -8), slice(8, -8))
    columns = [*np.gradient(reference), reference, np.ones_like(reference)]
    matrix = np.stack([column[inner].ravel() for column in columns], 1)
    return float(np.abs(np.linalg.lstsq(matrix, image[inner].ravel())[0][:2]).max())


@pytest.mark.parametrize("degradation", [QUIET_PHOTO, QUIET_BSRGAN], ids=["photo", "bsrgan"])
@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_random_sizes_in_between_do_not_move_the_image(degradation: Degradation, scale: int) -> None:
    image = smooth(96, 120)
    reference = BICUBIC(image, scale, generator()).numpy()[0]
    for seed in range(30):
        small = degradation(image, scale, generator(seed)).numpy()[0]
        assert small.shape == reference.shape
        assert shift_between(small, reference) < 0.05


@pytest.mark.parametrize("degradation", [Photo(), Bsrgan()], ids=["photo", "bsrgan"])
@pytest.mark.parametrize("size", [(12, 12), (132, 12)])
def test_small_images_are_degraded_too(degradation: Degradation, size: tuple[int, int]) -> None:
    for seed in range(10):
        small = degradation(torch.rand(3, *size).double(), 4, generator(seed))
        assert small.shape == (3, size[0] // 4, size[1] // 4)
        assert 0 <= float(small.min()) <= float(small.max()) <= 1


@pytest.mark.parametrize(
    "degradation",
    [
        # Where the size changes in between, it is rounded, and the pixels of a crop lie elsewhere.
        replace(QUIET_PHOTO, resize_odds=((0, 0, 1), (0, 0, 1))),
        QUIET_BSRGAN,
    ],
    ids=["photo", "bsrgan"],
)
@pytest.mark.parametrize("scale", [2, 4])
def test_a_crop_with_the_drawn_margin_is_degraded_as_the_whole_image(degradation: Photo | Bsrgan, scale: int) -> None:
    image = torch.from_numpy(np.random.default_rng(0).random((3, 36, 36)).repeat(8, 1).repeat(8, 2))
    compared = 0
    for seed in range(16):
        if isinstance(degradation, Bsrgan):
            drawn = degradation.drawn(scale, generator(seed))
            if drawn.shrink == "twice":
                continue
        margin = -(-degradation.drawn_margin(scale, generator(seed)) // 8) * 8  # whole blocks of JPEG
        assert margin <= degradation.margin(scale) + 8
        whole = degradation(image, scale, generator(seed))
        part = degradation(image[:, 128 - margin : 160 + margin, 128 - margin : 160 + margin], scale, generator(seed))
        inside = slice(margin // scale, (margin + 32) // scale)
        expected = whole[:, 128 // scale : 160 // scale, 128 // scale : 160 // scale]
        difference = (part[:, inside, inside] - expected).abs() * 255
        assert float(difference.mean()) < 2  # of JPEG's rounding, whose blocks of colour lie elsewhere
        compared += 1
    assert compared >= 8


def test_the_drawn_margin_is_a_third_of_the_largest_on_average() -> None:
    photo = Photo()
    drawn = [photo.drawn_margin(2, generator(seed)) for seed in range(200)]
    assert max(drawn) <= photo.margin(2)
    assert np.mean(drawn) < 0.35 * photo.margin(2)


def share(values: list[bool]) -> float:
    return sum(values) / len(values)


def test_photo_draws_with_the_published_probabilities() -> None:
    drawn = [Photo().drawn(generator(seed)) for seed in range(1500)]
    firsts, seconds = zip(*(each.passes for each in drawn), strict=True)
    near = 0.04  # three standard deviations of a share
    assert all(each.kernel is not None for each in firsts)
    assert share([each.kernel is not None for each in seconds]) == pytest.approx(0.8, abs=near)
    assert share([each.factor < 1 for each in firsts]) == pytest.approx(0.7, abs=near)
    assert share([each.factor > 1 for each in seconds]) == pytest.approx(0.3, abs=near)
    assert 0.15 <= min(each.factor for each in firsts) < 0.2
    assert 1.4 < max(each.factor for each in firsts) <= 1.5
    assert share([each.is_gaussian for each in firsts]) == pytest.approx(0.5, abs=near)
    assert {each.quality for each in firsts} == {*range(30, 96)}
    assert share([each.kernel is not None for each in drawn]) == pytest.approx(0.8, abs=near)
    assert share([each.ends_with_jpeg for each in drawn]) == pytest.approx(0.5, abs=near)
    assert Counter(each.resampling for each in firsts).keys() == {"area", "bilinear", "bicubic"}


def test_kernels_have_all_sizes_and_the_sum_1() -> None:
    random = generator(1)
    kernels = [drawn_kernel((0.2, 3.0), 0.1, random) for _ in range(400)]
    assert {len(kernel) for kernel in kernels} == {7, 9, 11, 13, 15, 17, 19, 21}
    assert all(kernel.sum() == pytest.approx(1) for kernel in kernels)
    rings = share([bool((kernel < 0).any()) for kernel in kernels])
    assert rings == pytest.approx(0.1, abs=0.045)


def test_bsrgan_draws_every_order_with_the_published_probabilities() -> None:
    drawn = [Bsrgan().drawn(4, generator(seed)) for seed in range(1500)]
    assert share(["jpeg" in each.order for each in drawn]) == pytest.approx(0.75, abs=0.04)
    assert share(["camera" in each.order for each in drawn]) == pytest.approx(0.25, abs=0.04)
    assert share([each.halved_by is not None for each in drawn]) == pytest.approx(0.25, abs=0.04)
    assert share([each.order[0] == "shrink" for each in drawn]) == pytest.approx(0.2, abs=0.04)  # one of five
    assert not any(Bsrgan().drawn(2, generator(seed)).halved_by for seed in range(50))


def test_coloured_noise_is_correlated_between_channels_and_no_stronger_than_asked_for() -> None:
    correlations = []
    for seed in range(20):
        planes = coloured_noise((3, 100, 100), 0.1, generator(seed)).reshape(3, -1)
        assert planes.std(1).max() < 0.105
        correlations.append(abs(np.corrcoef(planes)[0, 1]))
    assert max(correlations) > 0.3


def test_a_sinc_filter_rings_at_an_edge_and_keeps_flat_areas() -> None:
    image = torch.zeros(1, 64, 64, dtype=torch.float64)
    image[:, :, 32:] = 1
    filtered = Sinc((1.5, 1.5), (10, 10))(image, 1, generator())
    assert float(filtered.max()) > 1.04
    assert float(filtered[:, :, :20].abs().max()) < 0.05
    assert not Sinc((1.5, 1.5), (10, 10)).is_random


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Photo(blur=1.0), "degrade=photo: blur must be a list of two, for the first and the second pass: 1.0"),  # type: ignore[arg-type]
        (lambda: Photo(blur=(2, 0)), "degrade=photo: blur must be a number from 0 to 1, got 2"),
        (lambda: Photo(resize=((0.1, 0.5), (1, 1))), "each range of resize must hold 1"),
        (lambda: Photo(resize_odds=((0, 0, 0), (1, 1, 1))), "resize_odds must be three numbers of 0 or more"),
        (lambda: Photo(quality=((95, 30), (30, 95))), "degrade=photo: quality must be two whole numbers from 1 to 100"),
        (lambda: Bsrgan(jpeg=-1), "degrade=bsrgan: jpeg must be a number from 0 to 1, got -1"),
        (lambda: Bsrgan(variance=(0, 1)), "degrade=bsrgan: variance must be two numbers from 0.05"),
        (lambda: Sinc((0, 1)), "degrade=sinc: cutoff must be two numbers from 0.1"),
    ],
)
def test_options_out_of_range_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        make()
