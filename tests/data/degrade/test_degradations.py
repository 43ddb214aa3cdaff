"""Every choice of the group ``degrade``: its contract, and values from elsewhere."""

import math
import pickle
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from PIL import Image
from scipy.ndimage import gaussian_filter

from sr.data.degrade.area import Area
from sr.data.degrade.base import Degradation, full_key, generator, name_of
from sr.data.degrade.bicubic import BICUBIC
from sr.data.degrade.blur import Blur
from sr.data.degrade.chain import Chain
from sr.data.degrade.configured import build
from sr.data.degrade.filters import convolve, gaussian
from sr.data.degrade.jpeg import Jpeg
from sr.data.degrade.mixed import Mixed
from sr.data.degrade.nearest import Nearest
from sr.data.degrade.noise import Noise, linear_of_srgb, srgb_of_linear
from sr.data.degrade.pillow import Pillow
from sr.data.stores.fingerprint import degradation_settings
from sr.errors import UserError
from sr.image import resize, to_uint8
from sr.train import config_dir
from tests.support.runs import config_names

GROUP = config_dir() / "degrade"
NAMES = config_names("degrade")


@cache
def named(name: str) -> Degradation:
    """A choice of the group, with the values in its file."""
    return build(OmegaConf.to_container(OmegaConf.load(GROUP / f"{name}.yaml")))


def picture(height: int = 48, width: int = 60, channels: int = 3) -> torch.Tensor:
    """Levels of 8 bits, with flat areas and edges."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (channels, height // 6, width // 6))
    return torch.from_numpy(coarse.repeat(6, 1).repeat(6, 2)).double() / 255


@pytest.fixture(params=NAMES)
def degradation(request: pytest.FixtureRequest) -> Degradation:
    return named(request.param)


@pytest.mark.parametrize("scale", [1, 2, 3])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_degradation_divides_the_sides_and_keeps_the_channels(
    degradation: Degradation, scale: int, channels: int
) -> None:
    out = degradation(picture(channels=channels), scale, generator(1))
    assert out.shape == (channels, 48 // scale, 60 // scale)
    assert out.dtype == torch.float64
    assert out.isfinite().all()


def test_the_same_numbers_give_the_same_pixels_and_others_only_if_it_is_random(degradation: Degradation) -> None:
    one, same, other = (degradation(picture(), 2, generator(*parts)) for parts in ((1, "a"), (1, "a"), (2, "a")))
    assert torch.equal(one, same)
    draws = [degradation(picture(), 2, generator(seed)) for seed in range(8)]
    assert any(not torch.equal(one, draw) for draw in (other, *draws)) is degradation.is_random


def test_the_global_random_states_are_neither_read_nor_changed(degradation: Degradation) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[index]  # noqa: NPY002
    degradation(picture(), 2, generator(1))
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])  # type: ignore[index]  # noqa: NPY002


def test_it_can_be_sent_to_a_loading_process_and_compared(degradation: Degradation) -> None:
    assert pickle.loads(pickle.dumps(degradation)) == degradation
    assert degradation.key() == pickle.loads(pickle.dumps(degradation)).key()


def test_hydra_and_a_checkpoint_build_the_same(degradation: Degradation) -> None:
    path = next(path for path in GROUP.glob("*.yaml") if named(path.stem) == degradation)
    config: Any = OmegaConf.load(path)
    assert instantiate(config).key() == build(OmegaConf.to_container(config)).key() == degradation.key()


def test_the_margin_of_a_fixed_degradation_suffices(degradation: Degradation) -> None:
    if degradation.is_random:
        pytest.skip("is drawn anew")
    whole = degradation(picture(), 2, generator(1))
    margin = -(-degradation.margin(2) // 2) * 2
    cut = picture()[:, 20 - margin : 28 + margin, 20 - margin : 28 + margin]
    part = degradation(cut, 2, generator(1))[:, margin // 2 :, margin // 2 :][:, :4, :4]
    assert torch.allclose(part, whole[:, 10:14, 10:14], atol=1e-9)


def test_all_keys_differ() -> None:
    keys = [named(name).key() for name in NAMES]
    assert len(NAMES) >= 11
    assert len(set(keys)) == len(keys)
    assert Jpeg((30, 95)).key() == "jpeg(quality=[30, 95])" != Jpeg((30, 90)).key()
    assert BICUBIC.key() == "bicubic"


def test_keys_do_not_tell_1_from_1_point_0() -> None:
    assert Blur((1, 2), 1).key() == Blur((1.0, 2.0), 1.0).key() == "blur(sigma=[1, 2], anisotropic=1)"
    assert Chain((Blur((1, 2)), Jpeg())).key() == Chain((Blur((1.0, 2.0)), Jpeg())).key()
    assert Blur((1, 2)).key() != Blur((1, 2.5)).key()


class Webp(Jpeg):
    """Of another package, with the name of one of ours."""


class Silent(Jpeg):
    """One that says it is another."""

    def key(self) -> str:
        return Jpeg().key()


def test_keys_of_another_package_are_never_those_of_ours() -> None:
    module = "tests.data.degrade.test_degradations"
    assert Webp().key() == full_key(Webp()) == f"{module}.Webp(quality=[30, 95])"
    assert full_key(Silent()) == f"{module}.Silent:jpeg(quality=[30, 95])"
    assert Chain((Silent(), Area())).key() == f"chain(steps=[{full_key(Silent())}, area])"
    assert degradation_settings(Silent(), 1) != degradation_settings(Jpeg(), 1)
    assert name_of(Webp()) == f"{module}.Webp"


def test_bicubic_is_matlabs() -> None:
    assert torch.equal(BICUBIC(picture(), 2, generator()), resize(picture()[None], 0.5)[0])


def test_area_is_the_mean_and_nearest_a_pixel() -> None:
    image = torch.arange(16, dtype=torch.float64).view(1, 4, 4) / 16
    assert (Area()(image, 2, generator()) * 16).tolist() == [[[2.5, 4.5], [10.5, 12.5]]]
    assert (Nearest()(image, 2, generator()) * 16).tolist() == [[[5, 7], [13, 15]]]
    assert (Nearest()(image[:, :3, :3], 3, generator()) * 16).tolist() == [[[5]]]


def test_pillow_is_pillows() -> None:
    pixels = to_uint8(picture()).permute(1, 2, 0).numpy()
    expected = np.asarray(Image.fromarray(pixels).resize((30, 24), Image.Resampling.BICUBIC))
    assert np.array_equal(to_uint8(Pillow()(picture(), 2, generator())).permute(1, 2, 0).numpy(), expected)


def test_a_blur_of_one_width_is_scipys() -> None:
    expected = gaussian_filter(picture().numpy(), (0, 1.5, 1.5), mode="reflect", radius=(0, 5, 5))
    blurred = Blur(sigma=(1.5, 1.5), anisotropic=0)(picture(), 1, generator())
    assert np.allclose(blurred.numpy(), expected, atol=1e-12)


def test_an_anisotropic_kernel_is_wider_along_its_first_axis_and_turns() -> None:
    kernel = gaussian(9, (3.0, 1.0))
    steps = np.arange(-9, 10)
    assert math.sqrt((kernel.sum(0) * steps**2).sum()) == pytest.approx(3, abs=0.05)  # columns
    assert math.sqrt((kernel.sum(1) * steps**2).sum()) == pytest.approx(1, abs=0.01)  # rows
    assert np.allclose(gaussian(9, (3.0, 1.0), math.pi / 2), kernel.T)


def test_a_convolution_moves_by_an_impulse_off_the_middle() -> None:
    kernel = np.zeros((3, 3))
    kernel[1, 2] = 1.0  # one column to the right
    image = picture()
    assert torch.allclose(convolve(image, kernel)[:, :, 1:], image[:, :, :-1], atol=1e-12)


@pytest.mark.parametrize(
    ("noise", "expected"),
    [
        (Noise(("gaussian",), sigma=(10, 10), gray=0), 10 / 255),
        (Noise(("poisson",), poisson=(1, 1), gray=0), math.sqrt(0.5 / 255)),  # variance of a count is its mean
    ],
)
def test_noise_has_the_deviation_that_was_asked_for(noise: Noise, expected: float) -> None:
    flat = torch.full((3, 200, 200), 0.5, dtype=torch.float64)
    assert float((noise(flat, 1, generator(3)) - flat).std()) == pytest.approx(expected, rel=0.02)


def test_a_cameras_noise_has_its_variance_in_linear_light() -> None:
    flat = torch.full((1, 400, 400), 0.7, dtype=torch.float64)
    noise = Noise(("camera",), shot=(1e-3, 1e-3), read=(1e-4, 1e-4))
    light = linear_of_srgb(noise(flat, 1, generator(3)).numpy())
    value = float(linear_of_srgb(np.array(0.7)))
    assert value == pytest.approx(0.4479884, abs=1e-6)
    assert light.var() == pytest.approx(1e-3 * value + 1e-4, rel=0.02)
    assert np.allclose(srgb_of_linear(linear_of_srgb(np.linspace(0, 1, 50))), np.linspace(0, 1, 50), atol=1e-5)


def test_gray_noise_is_equal_in_all_channels() -> None:
    flat = torch.full((3, 20, 20), 0.5, dtype=torch.float64)
    for kind in ("gaussian", "poisson"):
        red, green, blue = Noise((kind,), gray=1)(flat, 1, generator(3))
        assert torch.equal(red, green)
        assert torch.equal(red, blue)


def test_jpeg_is_what_a_file_holds(tmp_path: Path) -> None:
    pixels = to_uint8(picture()).permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(tmp_path / "a.jpg", quality=40)
    expected = np.asarray(Image.open(tmp_path / "a.jpg"))
    out = Jpeg((40, 40))(picture(), 1, generator())
    assert np.array_equal(to_uint8(out).permute(1, 2, 0).numpy(), expected)


def test_a_chain_shrinks_at_its_first_resize_or_else_at_its_start() -> None:
    image = picture()
    blur, jpeg = Blur((1, 1), 0), Jpeg((40, 40))
    by_area = jpeg(Area()(blur(image, 1, generator()).clamp(0, 1), 2, generator()), 1, generator())
    assert torch.equal(Chain((blur, Area(), jpeg))(image, 2, generator()), by_area)
    assert torch.equal(
        Chain((blur, jpeg))(image, 2, generator()), jpeg(blur(image, 2, generator()).clamp(0, 1), 1, generator())
    )


def test_mixed_draws_by_weights() -> None:
    image = torch.arange(16, dtype=torch.float64).view(1, 4, 4) / 16
    mixed = Mixed((Area(), Nearest()), (3, 1))
    area = Area()(image, 2, generator())
    share = sum(torch.equal(mixed(image, 2, generator(number)), area) for number in range(400)) / 400
    assert share == pytest.approx(0.75, abs=0.07)  # three standard deviations
    assert not Mixed((Area(),)).is_random


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Jpeg((95, 30)),
            r"degrade=jpeg: quality must be two whole numbers from 1 to 100, the lower first: \[95, 30\]",
        ),
        (lambda: Blur((0, 3)), "degrade=blur: sigma must be two numbers from 0.05"),
        (lambda: Blur(anisotropic=2), "degrade=blur: anisotropic must be a number from 0 to 1, got 2"),
        (
            lambda: Noise(("salt",)),
            r"degrade=noise: kinds must be a list of some of gaussian, poisson, camera: \['salt'\]",
        ),
        (lambda: Chain(()), "degrade=chain: steps must be a list of degradations"),
        (lambda: Mixed((Area(),), (1, 2)), "degrade=mixed: weights must be 1 numbers"),
        (lambda: build({"_target_": "os.system", "command": "true"}), "if you trust the code of os, add --trust os"),
        (lambda: build({"_target_": "sr.data.degrade.base.interval"}), "which is not a degradation"),
        (lambda: build({"_target_": "sr.data.degrade.jpeg.Jpeg", "q": 1}), "cannot be built: .*'q'"),
        (lambda: build([]), "names no degradation"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(make: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make()
