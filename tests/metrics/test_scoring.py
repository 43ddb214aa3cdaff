import math
import re
from typing import Any

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from sr.errors import UserError
from sr.image import luma, quantise, resize
from sr.metrics import PSNR_CAP, Metric, Scorer, psnr, score, ssim
from sr.metrics.scoring import DEFAULT
from sr.terms import DEFAULT_METRICS, Protocol, metrics_of
from tests.support.runs import Compose, config_names


def pair(height: int = 40, width: int = 33, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Two slightly different images, already quantised to 8 bits."""
    generator = torch.Generator().manual_seed(seed)
    hr = resize(torch.rand(2, 3, height // 4 + 1, width // 4 + 1, generator=generator, dtype=torch.float64), 4)
    hr = quantise(hr[..., :height, :width])
    noise = torch.randn(hr.shape, generator=generator, dtype=torch.float64)
    return quantise(hr + 0.05 * noise), hr


def skimage_ssim(sr: Tensor, hr: Tensor) -> float:
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
    return float(structural_similarity(sr.numpy(), hr.numpy(), channel_axis=0, **settings))


# 42 rows are scored in one part, 43 in two.
@pytest.mark.parametrize("size", [(40, 33), (11, 11), (12, 12), (11, 64), (42, 15), (43, 15), (64, 30), (300, 20)])
def test_psnr_and_ssim_agree_with_scikit_image(size: tuple[int, int]) -> None:
    sr, hr = pair(*size)
    scores = score(sr, hr)
    for number in range(2):
        assert scores["psnr"][number].item() == pytest.approx(
            peak_signal_noise_ratio(hr[number].numpy(), sr[number].numpy(), data_range=1.0), abs=5e-6
        )  # torchmetrics takes its logarithms in float32
        assert scores["ssim"][number].item() == pytest.approx(skimage_ssim(sr[number], hr[number]), abs=1e-9)


@pytest.mark.parametrize("height", [40, 300])  # 300 rows are scored in two parts
def test_protocol_y_scores_8_bit_luma_without_the_border(height: int) -> None:
    sr, hr = pair(height)
    scores = score(sr, hr, "y", border=3)
    sr_values, hr_values = (quantise(luma(image))[..., 3:-3, 3:-3] for image in (sr, hr))
    error = ((sr_values - hr_values) ** 2).mean(dim=(1, 2, 3))
    assert scores["psnr"].tolist() == pytest.approx((-10 * torch.log10(error)).tolist())
    assert scores["ssim"][0].item() == pytest.approx(skimage_ssim(sr_values[0], hr_values[0]), abs=1e-9)


@pytest.mark.parametrize("rows", [1, 7, 256])
def test_scores_do_not_depend_on_how_many_rows_are_scored_at_a_time(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    sr, hr = pair(70, 25)
    expected = score(sr, hr, "y", 2)
    monkeypatch.setattr("sr.metrics.structure._STRIP_ON_CPU", rows)
    actual = score(sr, hr, "y", 2)
    assert torch.equal(actual["psnr"], expected["psnr"])
    torch.testing.assert_close(actual["ssim"], expected["ssim"], rtol=0, atol=1e-14)


def test_ssim_is_differentiable() -> None:
    sr, hr = (image[:1, :1, :13, :12] for image in pair())
    assert torch.autograd.gradcheck(lambda image: ssim(image, hr), sr.clone().requires_grad_())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_cuda_device_gives_the_same_scores() -> None:
    sr, hr = pair(300, 40)
    expected = score(sr, hr, "y", 2)
    for name, values in score(sr.cuda(), hr.cuda(), "y", 2).items():
        torch.testing.assert_close(values.cpu(), expected[name], rtol=0, atol=1e-9)


def test_psnr_of_a_uniform_error_equals_the_formula() -> None:
    hr = torch.zeros(1, 3, 16, 16)
    sr = torch.full_like(hr, 51 / 255)
    assert score(sr, hr)["psnr"].item() == pytest.approx(-20 * math.log10(0.2))


def test_scores_clamp_and_round_the_output_first() -> None:
    _, hr = pair()
    slightly_off = hr + 0.4 / 255
    assert torch.equal(score(slightly_off, hr)["psnr"], torch.full((2,), PSNR_CAP, dtype=torch.float64))
    assert score(torch.full_like(hr, 7.0), torch.ones_like(hr))["ssim"].tolist() == pytest.approx([1, 1])


def test_an_image_equal_to_its_target_scores_the_cap_and_one() -> None:
    _, hr = pair()
    assert psnr(hr, hr).tolist() == [PSNR_CAP, PSNR_CAP]
    assert ssim(hr, hr).tolist() == pytest.approx([1, 1])


def test_one_wrong_value_in_a_large_image_stays_below_the_cap() -> None:
    assert -10 * math.log10((1 / 255) ** 2 / (3 * 4000 * 3000)) < PSNR_CAP


def test_scores_are_per_image_not_pooled() -> None:
    hr = torch.zeros(2, 3, 16, 16)
    sr = torch.stack([torch.full((3, 16, 16), 0.2), torch.full((3, 16, 16), 0.6)])
    assert score(sr, hr)["psnr"].tolist() == pytest.approx([-20 * math.log10(0.2), -20 * math.log10(0.6)])


def test_scorer_adds_the_scores_of_the_bicubic_input() -> None:
    sr, hr = pair(40, 32)
    lr = quantise(resize(hr, 0.5))
    scorer = Scorer(scale=2)
    scores = scorer(sr, lr, hr, ["a", "b"])
    expected = score(resize(lr, 2), hr)
    assert torch.equal(scores["input_psnr"], expected["psnr"])
    assert torch.equal(scores["input_ssim"], expected["ssim"])
    assert torch.equal(scores["gain"], scores["psnr"] - expected["psnr"])
    second = scorer(sr.flip(0), lr.flip(0), hr.flip(0), ["b", "a"])
    assert torch.equal(second["input_psnr"], expected["psnr"].flip(0))


def test_nearest_and_lanczos_are_scored_when_the_input_is_upscaled() -> None:
    sr, hr = pair(40, 32)
    lr = quantise(resize(hr, 0.5))
    scores = Scorer(scale=2)(sr, lr, hr, ["a", "b"])
    repeated = lr.repeat_interleave(2, -1).repeat_interleave(2, -2)
    assert torch.equal(scores["nearest_psnr"], score(repeated, hr)["psnr"])
    assert torch.equal(scores["lanczos_ssim"], score(resize(lr, 2, "lanczos"), hr)["ssim"])


def test_at_scale_1_the_unprocessed_input_has_no_gain_and_is_the_only_baseline() -> None:
    sr, hr = pair()
    scores = Scorer(scale=1)(sr, sr, hr, ["a", "b"])
    assert scores["gain"].tolist() == [0, 0]
    assert set(scores) == {"psnr", "ssim", "input_psnr", "input_ssim", "gain"}


def test_unknown_protocols_and_too_small_images_are_refused() -> None:
    sr, hr = pair()
    with pytest.raises(UserError, match="one of rgb, y"):
        score(sr, hr, "luma")
    with pytest.raises(UserError, match="one of rgb, y"):
        Scorer(2, "rbg")
    with pytest.raises(ValueError, match="11x11"):
        ssim(sr[..., :10], hr[..., :10])


def test_bicubic_on_set5_is_the_published_value(shared: object) -> None:
    from sr.data.pairs import load_pair
    from sr.data.sources import isr_folders

    sources = isr_folders(str(shared / "Set5"))  # type: ignore[operator]
    values = []
    for source in sources:
        lr, hr = load_pair(source, 2, 2)
        values.append(score(resize(lr[None].double() / 255, 2), hr[None] / 255, "y", 2)["psnr"].item())
    assert np.mean(values) == pytest.approx(33.66, abs=0.03)  # from 8-bit RGB files, see the protocol


def test_protocol_y_applies_to_outputs_and_baselines_with_a_border_of_the_scale() -> None:
    generator = torch.Generator().manual_seed(1)
    hr = torch.rand(2, 3, 40, 48, generator=generator)
    lr = resize(hr, 0.5)
    sr = resize(lr, 2) + 0.01
    scores = Scorer(2, "y")(sr, lr, hr, ["a", "b"])
    expected = score(sr, hr, "y", 2)
    assert torch.equal(scores["psnr"], expected["psnr"])
    assert torch.equal(scores["ssim"], expected["ssim"])
    for prefix, kernel in (("input", "bicubic"), ("nearest", "nearest"), ("lanczos", "lanczos")):
        baseline = score(resize(lr, 2, kernel), hr, "y", 2)
        assert torch.equal(scores[f"{prefix}_psnr"], baseline["psnr"])
        assert torch.equal(scores[f"{prefix}_ssim"], baseline["ssim"])
    assert torch.equal(scores["gain"], scores["psnr"] - scores["input_psnr"])
    without_border = score(sr, hr, "y", 0)
    assert not torch.equal(without_border["psnr"], expected["psnr"])


def test_baselines_are_scored_once_per_image_and_cached_by_name() -> None:
    hr = torch.rand(1, 3, 24, 24)
    lr = resize(hr, 0.5)
    scorer = Scorer(2)
    first = scorer(resize(lr, 2), lr, hr, ["a"])["input_psnr"]
    second = scorer(resize(lr, 2), torch.zeros_like(lr), hr, ["a"])["input_psnr"]
    other = scorer(resize(lr, 2), torch.zeros_like(lr), hr, ["b"])["input_psnr"]
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_only_protocol_y_scores_gray_files_by_their_stored_values() -> None:
    sr, hr = (image[:, :1].expand(-1, 3, -1, -1) for image in pair())
    scores = score(sr, hr, "y", 2, stored_gray=True)
    sr_values, hr_values = (image[:, :1, 2:-2, 2:-2] for image in (sr, hr))
    error = ((sr_values - hr_values) ** 2).mean(dim=(1, 2, 3))
    assert scores["psnr"].tolist() == pytest.approx((-10 * torch.log10(error)).tolist(), abs=5e-6)
    as_luma = score(sr, hr, "y", 2)["psnr"]
    assert (as_luma - scores["psnr"]).tolist() == pytest.approx([20 * math.log10(255 / 219)] * 2, abs=0.05)
    assert torch.equal(score(sr, hr, "rgb", stored_gray=True)["psnr"], score(sr, hr)["psnr"])


@pytest.mark.parametrize("protocol", ["rgb", "y"])
def test_scores_are_in_float64_whatever_the_precision_of_the_run(protocol: str) -> None:
    sr, hr = pair()
    expected = score(sr, hr, protocol, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        scores = score(sr.float(), hr.float(), protocol, 2)
    for name, values in scores.items():
        assert values.dtype == torch.float64
        assert torch.equal(values, expected[name])


def test_protocol_rgb_cuts_no_border() -> None:
    sr, hr = pair()
    assert torch.equal(score(sr, hr, "rgb", 5)["psnr"], score(sr, hr)["psnr"])
    scores = Scorer(2)(sr[..., :32], resize(hr[..., :32], 0.5), hr[..., :32], ["a", "b"])
    assert torch.equal(scores["psnr"], score(sr[..., :32], hr[..., :32])["psnr"])


def test_protocols_may_be_enums_or_names() -> None:
    sr, hr = pair()
    assert torch.equal(score(sr, hr, Protocol.Y, 2)["psnr"], score(sr, hr, "y", 2)["psnr"])
    assert torch.equal(score(sr, hr)["psnr"], score(sr, hr, Protocol.RGB)["psnr"])


@pytest.mark.parametrize("border", [0, 1, 4])
def test_the_border_that_a_batch_names_is_cut_from_output_and_baselines(border: int) -> None:
    hr = torch.rand(1, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    lr, sr = (hr + 0.1 * torch.rand(hr.shape, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2))
    scores = Scorer(1, "y")(sr, lr, hr, ["a"], border)
    assert scores["psnr"] == score(sr, hr, "y", border)["psnr"]
    assert scores["input_psnr"] == score(lr, hr, "y", border)["psnr"]
    assert Scorer(1, "y")(sr, lr, hr, ["a"])["psnr"] == score(sr, hr, "y", 1)["psnr"]


def test_sixteen_bits_are_scored_without_rounding_to_eight() -> None:
    hr = torch.full((1, 1, 12, 12), 32768 / 65535, dtype=torch.float64)
    sr = hr + 10 / 65535  # rounds to the same value of 8 bits
    assert score(sr, hr)["psnr"].item() == PSNR_CAP
    assert score(sr, hr, bits=16)["psnr"].item() == pytest.approx(20 * math.log10(65535 / 10), abs=1e-5)


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_any_number_of_channels_is_scored_as_their_mean_error(channels: int) -> None:
    hr = torch.zeros(1, channels, 12, 12)
    sr = hr.clone()
    sr[:, 0] = 51 / 255
    assert score(sr, hr)["psnr"].item() == pytest.approx(10 * math.log10(25 * channels), abs=1e-6)


def test_y_scores_gray_images_as_they_are() -> None:
    hr, sr = torch.rand(2, 1, 1, 20, 20)
    as_rgb = score(sr.expand(-1, 3, -1, -1), hr.expand(-1, 3, -1, -1), Protocol.Y, 2, stored_gray=True)
    assert score(sr, hr, Protocol.Y, 2)["psnr"].item() == pytest.approx(as_rgb["psnr"].item(), abs=1e-9)


def test_the_config_group_describes_psnr_and_ssim_as_records_without_it_are_read(compose_config: Compose) -> None:
    config: Any = OmegaConf.to_container(compose_config().metrics)
    assert metrics_of({"metrics": config}) == DEFAULT_METRICS == metrics_of({})
    assert {name: instantiate(node).info for name, node in config.items()} == DEFAULT_METRICS


@pytest.mark.parametrize("name", config_names("metrics"))
def test_every_metric_of_the_group_states_unit_digits_range_and_direction(compose_config: Compose, name: str) -> None:
    others = "" if name in ("default", "all", "psnr", "ssim") else "default,"
    metrics: Any = OmegaConf.to_container(compose_config([f"metrics=[{others}{name}]"]).metrics)
    for node in metrics.values():
        assert {"label", "digits", "range", "higher_is_better", "rope"} <= set(node)
        low, high = node["range"]
        assert low is None or high is None or low < high


def test_a_scorer_computes_whatever_metrics_it_is_given() -> None:
    sr, hr = pair(40, 32)
    lr = quantise(resize(hr, 0.5))
    error = Metric(lambda x, y: (x - y).abs().mean(dim=(1, 2, 3)), "error", higher_is_better=False)
    scores = Scorer(2, metrics={**DEFAULT, "error": error})(sr, lr, hr, ["a", "b"])
    assert scores["error"].tolist() == (sr - hr).abs().mean(dim=(1, 2, 3)).tolist()
    assert scores["nearest_error"].tolist() == pytest.approx(
        (lr.repeat_interleave(2, -1).repeat_interleave(2, -2) - hr).abs().mean(dim=(1, 2, 3)).tolist()
    )
    plain = Scorer(2)(sr, lr, hr, ["a", "b"])
    assert all(torch.equal(scores[name], values) for name, values in plain.items())


def test_psnr_and_ssim_cannot_be_left_out() -> None:
    with pytest.raises(UserError, match=r"metrics: psnr and ssim cannot be left out: metrics=\[default,vif\]"):
        Scorer(2, metrics={"vif": DEFAULT["psnr"]})


def test_a_metric_may_compare_all_channels_under_protocol_y() -> None:
    sr, hr = pair()
    rgb = Metric(psnr, "PSNR of RGB", compares="rgb")
    scores = score(sr, hr, "y", 3, metrics={"rgb": rgb})
    expected = psnr(sr[..., 3:-3, 3:-3].float(), hr[..., 3:-3, 3:-3].float())
    assert torch.equal(scores["rgb"], expected)
    with pytest.raises(UserError, match="metrics: compares must be one of protocol, rgb, input"):
        Metric(psnr, "PSNR", compares="target")


def test_an_output_that_shrinks_to_its_input_has_the_capped_lr_psnr() -> None:
    hr = torch.rand(1, 3, 48, 40, generator=torch.Generator().manual_seed(0))
    lr = quantise(resize(quantise(hr), 0.5))
    metrics = {"lr_psnr": Metric(psnr, "LR-PSNR", compares="input")}
    for protocol in ("rgb", "y"):
        assert score(hr, hr, protocol, 2, metrics=metrics, lr=lr)["lr_psnr"].item() == PSNR_CAP
    off = score(hr, hr, metrics=metrics, lr=(lr * 255 + 1).clamp(0, 254) / 255)["lr_psnr"].item()
    assert off == pytest.approx(20 * math.log10(255), abs=0.1)


def test_lr_psnr_is_left_out_where_nothing_is_shrunk(caplog: pytest.LogCaptureFixture) -> None:
    sr, hr = pair()
    scorer = Scorer(1, metrics={**DEFAULT, "lr_psnr": Metric(psnr, "LR-PSNR", compares="input")})
    assert "lr_psnr: left out at scale 1, where nothing is shrunk" in caplog.text
    assert not [name for name in scorer(sr, sr, hr, ["a", "b"]) if "lr_psnr" in name]


@pytest.mark.parametrize("name", ["gain", "loss", "group", "ms_per_image", "input_psnr", "nearest_mine", "ssim_sd"])
def test_a_metric_cannot_have_the_name_of_another_column(name: str) -> None:
    metrics = {**DEFAULT, name: Metric(psnr, "mine")}
    with pytest.raises(UserError, match=f"^metrics: '{name}' is a column of the tables already"):
        Scorer(scale=2, metrics=metrics)


@pytest.mark.parametrize("ends", [(1, 0), (0,), (0, 1, 2), (1, 1)])
def test_a_range_is_two_numbers_the_lower_first(ends: tuple[float, ...]) -> None:
    with pytest.raises(UserError, match=r"^metrics: mine: range must be \[least, greatest\]"):
        Metric(psnr, "mine", range=ends)


def test_the_range_is_recorded_with_the_scores() -> None:
    assert Metric(psnr, "mine", range=[0, None]).info.range == (0, None)
    assert metrics_of({"metrics": {"mine": {"label": "mine", "range": [0, 1]}}})["mine"].outside(1.1)
    assert not metrics_of({"metrics": {"mine": {"label": "mine", "range": [0, 1]}}})["mine"].outside(1.0)
    assert metrics_of({"metrics": {"mine": {"label": "mine"}}})["mine"].range == (None, None)


@pytest.mark.parametrize(
    ("function", "returned"),
    [
        (lambda sr, hr: (sr - hr).abs().mean((2, 3)), "a tensor (2, 3)"),
        (lambda sr, hr: (sr - hr).abs().mean(), "a tensor ()"),
        (lambda sr, hr: 0.5, "a float"),
    ],
    ids=["of channels", "of all images", "no tensor"],
)
def test_a_metric_without_a_value_for_each_image_is_refused(function: Any, returned: str) -> None:
    images = torch.rand(2, 3, 20, 20)
    with pytest.raises(UserError, match=re.escape(f"metrics: own returned {returned} for 2 images: a tensor (2,)")):
        score(images, images, metrics={**DEFAULT, "own": Metric(function, "Own")})
