import hashlib
import io
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hydra.utils import instantiate
from PIL import Image
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from sr import vgg
from sr.errors import UserError
from sr.losses import (
    CharbonnierLoss,
    FocalFrequencyLoss,
    GradientLoss,
    LPIPSLoss,
    LumaLoss,
    MSSSIMLoss,
    SSIMLoss,
    VGGLoss,
    WeightedSum,
    _resized_by_matrices,
)
from sr.metrics.structure import ms_ssim, ssim
from tests.support.runs import Compose, config_names
from tests.support.vgg import UP_TO_RELU4_3, vgg_features


@pytest.fixture(scope="module")
def vgg_file(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, nn.Sequential]:
    torch.manual_seed(3)
    net = vgg_features(UP_TO_RELU4_3)
    path = tmp_path_factory.mktemp("vgg") / "vgg16.pth"
    state = {f"features.{name}": value for name, value in net.state_dict().items()}
    torch.save({**state, "classifier.0.weight": torch.zeros(2, 2)}, path)
    return path, net


def images(seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(2, 3, 24, 20, generator=generator), torch.rand(2, 3, 24, 20, generator=generator)


def test_vgg_loss_equals_the_mean_differences_at_four_layers_of_the_reference(
    vgg_file: tuple[Path, nn.Sequential],
) -> None:
    path, net = vgg_file
    sr, hr = images()
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    x, y, expected = (sr - mean) / std, (hr - mean) / std, 0.0
    for number, layer in enumerate(net):
        x, y = layer(x), layer(y)
        if number in (3, 8, 15, 22):  # relu1_2, relu2_2, relu3_3, relu4_3
            expected += F.l1_loss(x, y).item()
    assert VGGLoss(weights=str(path))(sr, hr).item() == pytest.approx(expected, rel=1e-5)


def test_vgg_loss_is_zero_on_equal_images_and_positive_on_others() -> None:
    loss = VGGLoss(weights="random")
    sr, hr = images()
    assert loss(hr, hr).item() == 0
    assert loss(sr, hr).item() > 0


def test_the_target_gets_no_gradient_and_the_features_are_frozen() -> None:
    loss = VGGLoss(weights="random")
    sr, hr = (image.requires_grad_() for image in images())
    loss(sr, hr).backward()
    assert sr.grad is not None
    assert sr.grad.abs().sum() > 0
    assert hr.grad is None
    assert list(loss.parameters()) == []
    assert all(not buffer.requires_grad for buffer in loss.buffers())


@pytest.mark.parametrize(("float32", "distance", "min_similarity"), [(True, 0.002, 0.999), (False, 0.1, 0.9)])
def test_bfloat16_keeps_the_direction_of_the_gradient(float32: bool, distance: float, min_similarity: float) -> None:
    loss = VGGLoss(weights="random", float32=float32)
    sr, hr = images()
    near = (hr + distance * (sr - hr)).requires_grad_()
    gradients = []
    for enabled in (False, True):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            gradients.append(torch.autograd.grad(loss(near, hr), near)[0].flatten())
    assert torch.equal(*gradients) == float32
    assert F.cosine_similarity(gradients[0], gradients[1], dim=0) > min_similarity


def test_features_are_kept_out_of_checkpoints_and_unused_layers_out_of_memory() -> None:
    loss = VGGLoss(weights="random")
    assert loss.state_dict() == {}
    value_count = sum(buffer.numel() for buffer in loss.buffers())
    assert value_count == sum(parameter.numel() for parameter in vgg_features(UP_TO_RELU4_3).parameters()) + 6


def test_random_features_are_the_same_every_time_and_labelled() -> None:
    sr, hr = images()
    torch.manual_seed(1)
    first = VGGLoss(weights="random")
    torch.manual_seed(2)
    assert first(sr, hr).item() == VGGLoss(weights="random")(sr, hr).item()
    assert "random" in first.label


def test_resize_sets_the_side_of_the_images() -> None:
    loss = VGGLoss(weights="random", resize=32)
    assert [feature.shape[-1] for feature in loss.features(images()[0])] == [32, 16, 8, 4]


def test_resize_is_bilinear_and_antialiased() -> None:
    sr, hr = images()

    def shrink(channel: Tensor) -> Tensor:
        return torch.from_numpy(np.array(Image.fromarray(channel.numpy()).resize((9, 9), Image.Resampling.BILINEAR)))

    small = [
        torch.stack([shrink(channel) for channel in batch.flatten(0, 1)]).unflatten(0, (2, 3)) for batch in (sr, hr)
    ]
    expected = VGGLoss(weights="random")(*small).item()
    assert VGGLoss(weights="random", resize=9)(sr, hr).item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("height", "width", "side"), [(24, 20, 9), (24, 20, 32), (33, 17, 20)])
def test_the_resizing_that_is_exact_on_a_gpu_equals_torchs_and_so_does_its_gradient(
    height: int, width: int, side: int
) -> None:
    image = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0), requires_grad=True)
    expected = F.interpolate(image, (side, side), mode="bilinear", antialias=True)
    resized = _resized_by_matrices(image, side)
    assert torch.allclose(resized, expected, atol=1e-6)
    weights = torch.rand(expected.shape, generator=torch.Generator().manual_seed(1))
    gradients = [torch.autograd.grad((out * weights).sum(), image)[0] for out in (resized, expected)]
    assert torch.allclose(gradients[0], gradients[1], atol=1e-6)


class Casts(TorchDispatchMode):
    """Counts the values that are cast or laid out anew."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.values = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.ops.aten._to_copy.default, torch.ops.aten.clone.default):
            self.values += args[0].numel()
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("bfloat16", [False, True])
def test_features_are_neither_cast_nor_laid_out_anew_after_the_first_call(bfloat16: bool) -> None:
    loss = VGGLoss(weights="random")
    assert all(
        loss.get_buffer(f"weight{number}").is_contiguous(memory_format=torch.channels_last) for number in range(10)
    )
    small = torch.rand(2, 1, 3, 8, 8)
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        with torch.inference_mode():  # a validation may come first
            loss(*small)
        sr = small[0].clone().requires_grad_()
        with Casts() as casts:
            value = loss(sr, small[1])
    assert casts.values < 100_000  # of images; VGG's weights have 7.6 million values
    value.backward()
    assert sr.grad is not None


def test_images_of_8_pixels_are_large_enough() -> None:
    assert VGGLoss(weights="random")(torch.zeros(1, 3, 8, 8), torch.ones(1, 3, 8, 8)).item() > 0


def test_random_features_are_he_initialised_from_seed_0() -> None:
    loss = VGGLoss(weights="random")
    first = torch.randn(64, 3, 3, 3, generator=torch.Generator().manual_seed(0)) * (2 / 27) ** 0.5
    assert torch.equal(loss.get_buffer("weight0"), first)
    assert loss.get_buffer("weight9").std().item() == pytest.approx((2 / (9 * 512)) ** 0.5, rel=0.01)
    assert not any(loss.get_buffer(f"bias{number}").any() for number in range(10))


def test_features_are_not_computed_in_float16() -> None:
    loss = VGGLoss(weights="random")
    sr, hr = images()
    expected = loss(sr, hr)
    with torch.autocast("cpu", dtype=torch.float16):
        assert torch.equal(loss(sr, hr), expected)


def test_a_half_precision_file_in_the_home_folder_is_read_and_labelled(
    vgg_file: tuple[Path, nn.Sequential], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    state = {name: value.half() for name, value in torch.load(vgg_file[0]).items()}
    torch.save(state, tmp_path / "half.pth")
    loss = VGGLoss(weights="~/half.pth")
    assert loss.label == "vgg (half.pth features)"
    assert {buffer.dtype for buffer in loss.buffers()} == {torch.float32}
    assert torch.equal(loss.get_buffer("weight3"), state["features.7.weight"].float())


def test_images_too_small_for_three_poolings_are_refused() -> None:
    with pytest.raises(UserError, match="8 pixels a side"):
        VGGLoss(weights="random")(torch.rand(1, 3, 7, 30), torch.rand(1, 3, 7, 30))


def test_imagenet_weights_come_from_the_hub_cache_and_are_checked(
    vgg_file: tuple[Path, nn.Sequential], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = vgg_file[0].read_bytes()
    name = f"vgg16-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(vgg, "VGG16_URL", f"https://download.pytorch.org/models/{name}")
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / name).write_bytes(content)
    sr, hr = images()
    assert VGGLoss()(sr, hr).item() == VGGLoss(weights=str(vgg_file[0]))(sr, hr).item()
    (tmp_path / "checkpoints" / name).write_bytes(content + b"x")
    with pytest.raises(UserError, match="hash differs"):
        VGGLoss()


def test_without_network_the_error_names_url_cache_and_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise URLError("no network")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(vgg, "urlopen", refuse)
    with pytest.raises(UserError) as caught:
        VGGLoss()
    message = str(caught.value)
    assert "\n" not in message
    for part in (vgg.VGG16_URL, str(tmp_path / "checkpoints"), "vgg_weights=PATH", "vgg_weights=random"):
        assert part in message


def test_a_download_is_kept_only_with_the_published_hash(
    vgg_file: tuple[Path, nn.Sequential], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = vgg_file[0].read_bytes()
    name = f"vgg16-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    responses = iter([content[:-1], content])
    timeouts: list[float | None] = []

    def respond(url: str, timeout: float | None = None) -> io.BytesIO:
        assert url.endswith(name)
        timeouts.append(timeout)
        return io.BytesIO(next(responses))

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(vgg, "VGG16_URL", f"https://download.pytorch.org/models/{name}")
    monkeypatch.setattr(vgg, "urlopen", respond)
    with pytest.raises(UserError, match="its hash differs: the download is damaged"):
        VGGLoss()
    assert list((tmp_path / "checkpoints").iterdir()) == []
    sr, hr = images()
    assert VGGLoss()(sr, hr).item() == VGGLoss(weights=str(vgg_file[0]))(sr, hr).item()
    assert (tmp_path / "checkpoints" / name).read_bytes() == content
    assert timeouts == [30.0, 30.0]
    assert socket.getdefaulttimeout() is None  # the default of the process is unchanged
    VGGLoss()  # from the cache: no responses are left


def test_files_that_are_not_vgg16_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        VGGLoss(weights=str(tmp_path / "none.pth"))
    (tmp_path / "text.pth").write_text("hello")
    with pytest.raises(UserError, match="not a file of weights"):
        VGGLoss(weights=str(tmp_path / "text.pth"))
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(UserError, match="not the weights of VGG16"):
        VGGLoss(weights=str(tmp_path / "other.pth"))


def test_vgg16_of_another_width_is_refused(vgg_file: tuple[Path, nn.Sequential], tmp_path: Path) -> None:
    state = torch.load(vgg_file[0])
    state["features.7.weight"] = state["features.7.weight"][:, :32]
    torch.save(state, tmp_path / "narrow.pth")
    with pytest.raises(UserError, match=r"narrow.pth: not the weights of VGG16 \(its layers have other shapes\)"):
        VGGLoss(weights=str(tmp_path / "narrow.pth"))


def test_weighted_sum_adds_its_terms_by_their_weights() -> None:
    sr, hr = images()
    loss = WeightedSum({"mse": nn.MSELoss(), "mae": nn.L1Loss()}, {"mse": 2.0, "mae": 0.5})
    assert loss(sr, hr).item() == pytest.approx(2 * F.mse_loss(sr, hr).item() + 0.5 * F.l1_loss(sr, hr).item())
    assert loss.label == "2 mse + 0.5 mae"
    with pytest.raises(UserError, match="every term needs a weight"):
        WeightedSum({"mse": nn.MSELoss()}, {"mae": 1.0})
    with pytest.raises(UserError, match="every term needs a weight"):
        WeightedSum({}, {})


def test_a_weighted_sum_is_labelled_with_the_features_of_its_terms() -> None:
    loss = WeightedSum({"mae": nn.L1Loss(), "vgg": VGGLoss(weights="random")}, {"mae": 1.0, "vgg": 0.01})
    assert loss.label == "1 mae + 0.01 vgg (random features)"


@pytest.mark.parametrize("name", config_names("loss"))
def test_every_loss_config_is_minimal_on_equal_images_and_has_a_gradient(compose_config: Compose, name: str) -> None:
    small = ["loss.resize=32"] if name == "vgg_origin" else []
    loss = instantiate(compose_config([f"loss={name}", "vgg_weights=random", *small]).loss)
    sr, hr = (image.repeat(1, 1, 2, 3) for image in images())  # 48x60 pixels
    assert loss(hr, hr).item() == pytest.approx(getattr(loss, "eps", 0.0), abs=1e-6)  # Charbonnier's floor
    sr = (sr + hr) / 2  # the contrast of MS-SSIM has no gradient where it is negative
    sr.requires_grad_()
    loss(sr, hr).backward()
    assert sr.grad is not None
    assert torch.isfinite(sr.grad).all()
    assert sr.grad.abs().sum() > 0


def test_any_losses_can_be_summed_from_the_command_line(compose_config: Compose) -> None:
    overrides = ["loss=weighted", "vgg_weights=random", "+loss@loss.terms.mse=mse", "+loss.weights.mse=3"]
    loss = instantiate(compose_config(overrides).loss)
    assert set(loss.terms) == {"mae", "vgg", "mse"}


def test_charbonnier_is_the_square_root_of_squared_error_plus_squared_eps() -> None:
    sr, hr = torch.zeros(1, 3, 2, 2), torch.full((1, 3, 2, 2), 0.3)
    assert CharbonnierLoss(eps=0.4)(sr, hr).item() == pytest.approx(0.5)
    assert CharbonnierLoss(eps=0.4)(hr, hr).item() == pytest.approx(0.4)
    for eps in (0, -1e-3, float("nan")):
        with pytest.raises(UserError, match="eps must be positive"):
            CharbonnierLoss(eps=eps)


def test_the_luma_of_an_output_in_bfloat16_is_computed_in_float32() -> None:
    sr, hr = (torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2))
    rounded = sr.bfloat16()
    assert LumaLoss(nn.L1Loss())(rounded, hr) == LumaLoss(nn.L1Loss())(rounded.float(), hr)


def test_the_luma_loss_sees_brightness_and_no_colours() -> None:
    hr = torch.full((1, 3, 2, 2), 0.5)
    colour = torch.tensor([128.553, -65.481, 0.0]).view(1, 3, 1, 1) / 1000  # red up and green down: the same luma
    loss = LumaLoss(nn.L1Loss())
    assert loss(hr + colour, hr).item() == pytest.approx(0, abs=1e-6)
    assert loss(hr + 0.1, hr).item() == pytest.approx(0.1 * 219 / 255)
    assert loss(hr[:, :1] + 0.1, hr[:, :1]).item() == pytest.approx(0.1 * 219 / 255)  # gray


def doubles(side: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    sr, hr = torch.rand(2, 1, 3, side, side, generator=generator, dtype=torch.float64)
    return sr.requires_grad_(), hr


@pytest.mark.parametrize(
    ("loss", "side"),
    [
        (SSIMLoss(), 12),
        (MSSSIMLoss(scales=1), 11),
        (MSSSIMLoss(scales=2), 22),
        (FocalFrequencyLoss(alpha=0), 6),
        (GradientLoss(), 5),
        (GradientLoss(pixels=0), 5),
    ],
)
def test_the_gradient_of_a_loss_is_that_of_finite_differences(loss: nn.Module, side: int) -> None:
    sr, hr = doubles(side)
    assert torch.autograd.gradcheck(lambda image: loss(image, hr), sr)


def test_the_gradient_of_the_focal_frequency_loss_is_that_with_its_weights_fixed() -> None:
    sr, hr = doubles(6)
    (gradient,) = torch.autograd.grad(FocalFrequencyLoss()(sr, hr), sr)
    squares = torch.fft.fft2(sr - hr, norm="ortho").abs() ** 2
    weights = squares.detach().sqrt()
    weights = weights / weights.amax(dim=(-2, -1), keepdim=True)
    (expected,) = torch.autograd.grad((weights * squares).mean(), sr)
    torch.testing.assert_close(gradient, expected)


def test_the_gradient_of_lpips_is_that_of_finite_differences() -> None:
    loss = LPIPSLoss("random").double()
    sr, hr = doubles(16)
    (gradient,) = torch.autograd.grad(loss(sr, hr), sr)
    direction = torch.randn(sr.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    step = 1e-6 * direction
    with torch.no_grad():
        slope = (loss(sr + step, hr) - loss(sr - step, hr)) / 2e-6
    assert (gradient * direction).sum().item() == pytest.approx(slope.item(), rel=1e-4)


def test_structural_losses_are_one_less_the_metric() -> None:
    sr, hr = (image.repeat(1, 1, 2, 3) for image in images())
    assert SSIMLoss()(sr, hr).item() == pytest.approx(1 - ssim(sr.double(), hr.double()).mean().item(), abs=1e-5)
    unlike = (1 - hr).requires_grad_()  # its contrast correlates negatively, which has no real power
    MSSSIMLoss(scales=3)(unlike, hr).backward()
    assert unlike.grad is not None
    assert unlike.grad.isfinite().all()
    assert unlike.grad.any()
    near = 0.8 * hr + 0.2 * sr
    assert MSSSIMLoss(scales=3)(near, hr).item() == pytest.approx(1 - ms_ssim(near, hr, 3).mean().item(), abs=1e-6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = SSIMLoss()(sr, hr).item()
    assert loss == pytest.approx(1 - ssim(sr, hr).mean().item(), abs=1e-6)


def test_without_weights_the_frequency_loss_is_the_mean_squared_error() -> None:
    sr, hr = images()
    assert FocalFrequencyLoss(alpha=0)(sr, hr).item() == pytest.approx(F.mse_loss(sr, hr).item(), rel=1e-5)


def test_the_frequencies_of_a_single_wave_weigh_one() -> None:
    wave = torch.cos(torch.arange(8) * torch.pi / 2).expand(1, 1, 8, 8)  # two frequencies of equal size
    loss = FocalFrequencyLoss()(wave, torch.zeros_like(wave))
    assert loss.item() == pytest.approx(wave.square().mean().item(), rel=1e-5)


def test_the_gradient_loss_counts_edges_and_pixels() -> None:
    hr, sr = torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)
    sr[..., 2:] = 1.0
    # A third of the differences between columns, none between rows; half of the pixels.
    assert GradientLoss(pixels=0)(sr, hr).item() == pytest.approx(1 / 3)
    assert GradientLoss(pixels=0.5)(sr, hr).item() == pytest.approx(1 / 3 + 0.25)
    assert GradientLoss(pixels=0)(hr + 0.5, hr).item() == 0


def test_lpips_on_random_features_is_labelled() -> None:
    assert LPIPSLoss("random").label == "lpips (random features)"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SSIMLoss()(torch.zeros(1, 3, 10, 20), torch.zeros(1, 3, 10, 20)), "loss=ssim needs images of 11"),
        (lambda: MSSSIMLoss()(torch.zeros(1, 3, 43, 99), torch.zeros(1, 3, 43, 99)), "needs images of 44x44 pixels"),
        (lambda: MSSSIMLoss(6), "loss.scales must be one of 1, 2, 3, 4, 5, got 6"),
        (lambda: FocalFrequencyLoss(-1), "loss.alpha must be 0 or more, got -1"),
        (lambda: GradientLoss(-1), "loss.pixels must be 0 or more, got -1"),
    ],
)
def test_losses_refuse_what_they_cannot_use(make: Callable[[], object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        make()


def test_the_luma_loss_refuses_images_that_have_none() -> None:
    with pytest.raises(UserError, match="loss=luma compares RGB or gray images, not 4 channels: choose another loss"):
        LumaLoss(nn.L1Loss())(*torch.rand(2, 1, 4, 8, 8))
