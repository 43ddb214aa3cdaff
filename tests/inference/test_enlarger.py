from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from sr import load
from sr.errors import UserError
from sr.image import gray, resize
from sr.inference.enlarger import Enlarger
from sr.nets.autoencoder import Autoencoder
from sr.nets.espcn import ESPCN
from sr.weights.checkpoint import network_config, save_network
from sr.weights.model import Model
from tests.support.images import photograph

PIXELS = np.asarray(photograph(40, 57, seed=3))


def network(kind: type[nn.Module] = ESPCN, scale: int = 2) -> nn.Module:
    torch.manual_seed(0)
    net = kind(scale=scale).eval()
    nn.init.normal_(net.tail.weight, std=0.05)  # type: ignore[union-attr, arg-type]
    return net


@pytest.fixture
def enlarger() -> Enlarger:
    return Enlarger(Model("small", 2, [network()]), device="cpu", precision="float32")


def test_it_says_which_model_enlarges_by_how_much_and_where(enlarger: Enlarger) -> None:
    assert repr(enlarger) == "Enlarger('small', scale=2, device='cpu', precision='float32')"


def test_a_texture_is_enlarged_without_a_seam_in_strips_and_in_memory() -> None:
    enlarger = Enlarger(Model("small", 2, [network()]), device="cpu", precision="float32", wrap=True, tile=16)
    mosaic = np.tile(enlarger(PIXELS), (2, 2, 1)).astype(int)
    copies = Enlarger(enlarger.model, device="cpu", precision="float32")(np.tile(PIXELS, (2, 2, 1))).astype(int)
    margin = 2 * int(network().halo)  # type: ignore[arg-type]
    inside = slice(margin, -margin)
    assert np.abs(mosaic - copies)[inside, inside].max() <= 1  # rounding
    as_tensor = enlarger(torch.from_numpy(PIXELS.copy()).permute(2, 0, 1))
    assert torch.equal(as_tensor.permute(1, 2, 0), torch.from_numpy(mosaic[: 2 * 40, : 2 * 57].astype(np.uint8)))


class Recording(nn.Module):
    """Records whether its convolutions would be in TF32 on a GPU, and whether in bfloat16."""

    scale, halo = 1, 0

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.seen: list[tuple[bool, bool]] = []

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        self.seen.append((torch.backends.cudnn.allow_tf32, torch.is_autocast_enabled("cpu")))
        return lr + self.weight


@pytest.mark.parametrize(("precision", "expected"), [("float32", (False, False)), ("bfloat16", (False, True))])
def test_float32_is_without_tf32(precision: str, expected: tuple[bool, bool]) -> None:
    net = Recording()
    Enlarger(Model("recording", 1, [net]), device="cpu", precision=precision)(torch.zeros(3, 8, 8, dtype=torch.uint8))
    assert net.seen[-1] == expected


def test_deep_images_that_auto_computes_in_float32_are_without_tf32() -> None:
    net = Recording()
    Enlarger(Model("recording", 1, [net]), device="cpu")(torch.zeros(3, 8, 8))
    assert net.seen[-1] == (False, False)


def enlarge_pixels(enlarger: Enlarger, pixels: np.ndarray) -> np.ndarray:
    return np.concatenate(list(enlarger.strips(pixels)))


@pytest.mark.slow
@pytest.mark.parametrize("kind", [ESPCN, Autoencoder])
def test_strips_of_tiles_make_up_the_untiled_output(kind: type[nn.Module]) -> None:
    model = Model("small", 2, [network(kind)])
    untiled = enlarge_pixels(Enlarger(model, tile=0, device="cpu"), PIXELS)
    assert untiled.shape == (80, 114, 3)
    strips = list(Enlarger(model, tile=12, device="cpu").strips(PIXELS))
    assert [len(strip) for strip in strips] == [24, 24, 24, 8]
    assert np.abs(np.concatenate(strips).astype(int) - untiled).max() <= 1  # rounding of differences of 1e-6
    assert (np.concatenate(strips) != untiled).mean() < 1e-3


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("scale", [2, 3])
def test_bicubic_has_no_seams_between_tiles(scale: int, channels: int) -> None:
    pixels = np.concatenate([PIXELS, PIXELS[..., :1]], axis=2)[..., :channels]
    model = Model("bicubic", scale)
    untiled = enlarge_pixels(Enlarger(model, tile=0, device="cpu"), pixels)
    tiled = enlarge_pixels(Enlarger(model, tile=16, device="cpu"), pixels)
    assert tiled.shape == untiled.shape == (40 * scale, 57 * scale, channels)
    assert np.abs(tiled.astype(int) - untiled).max() <= 1  # rounding
    assert (tiled != untiled).mean() < 1e-3


def test_alpha_has_no_seams_even_if_the_network_has_no_halo() -> None:
    class Nearest(nn.Module):
        halo = 0

        def forward(self, lr: torch.Tensor) -> torch.Tensor:
            return nn.functional.interpolate(lr, scale_factor=2, mode="nearest")

    pixels = np.concatenate([PIXELS, PIXELS[..., :1].clip(1)], axis=2)  # nothing is hidden
    untiled, tiled = (enlarge_pixels(Enlarger(Model("nearest", 2, [Nearest()]), tile=tile), pixels) for tile in (0, 16))
    assert np.array_equal(tiled[..., :3], PIXELS.repeat(2, 0).repeat(2, 1))
    assert np.abs(tiled[..., 3].astype(int) - untiled[..., 3]).max() <= 1


def test_tiles_are_aligned_for_all_networks() -> None:
    class Grid(nn.Module):
        halo = 0

        def __init__(self, align: int) -> None:
            super().__init__()
            self.align = align

        def forward(self, lr: torch.Tensor) -> torch.Tensor:
            return nn.functional.interpolate(lr, scale_factor=2, mode="nearest")

    enlarger = Enlarger(Model("folds", 2, [Grid(4), Grid(6)]), tile=10)
    assert [len(strip) for strip in enlarger.strips(PIXELS)] == [24, 24, 24, 8]  # 12: least common multiple of 4 and 6
    assert np.array_equal(enlarge_pixels(enlarger, PIXELS), PIXELS.repeat(2, 0).repeat(2, 1))


def test_values_outside_the_range_are_clamped() -> None:
    class OutOfRange(nn.Module):
        halo = 0

        def forward(self, lr: torch.Tensor) -> torch.Tensor:
            return nn.functional.interpolate(3 * lr - 1, scale_factor=2, mode="nearest")

    enlarger = Enlarger(Model("out of range", 2, [OutOfRange()]))
    ramp = np.arange(0, 256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, 2)
    expected = (3 * ramp.astype(int) - 255).clip(0, 255).repeat(2, 0).repeat(2, 1)
    assert np.abs(enlarger(ramp) - expected).max() == 0
    assert np.abs(255 * enlarger(ramp / np.float32(255)) - expected).max() < 1e-3


def test_the_tile_fits_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model("small", 2, [network()])
    for free, tile in ((1 << 40, 1024), (1, 32)):
        monkeypatch.setattr("sr.inference.enlarger.free_memory", lambda device, free=free: free)
        assert Enlarger(model, device="cpu").tile == tile
        assert Enlarger(Model("bicubic", 2), device="cpu").tile == 256  # there is no network to estimate from
    assert Enlarger(model, tile=0, device="cpu").tile == 0


def test_gray_stays_gray_and_alpha_is_enlarged_bicubically(enlarger: Enlarger) -> None:
    net = enlarger.model.nets[0]
    pixels = PIXELS.clip(1)  # nothing is hidden
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255
    gray_pixels = pixels[..., :1]
    with torch.inference_mode():
        gray_output = gray(net(tensor[:, :1].expand(-1, 3, -1, -1)))
        alpha = resize(tensor[:, 2:], 2)
    expected = [gray_output.clamp(0, 1).mul(255).round(), alpha.clamp(0, 1).mul(255).round()]
    gray_alpha_output = enlarge_pixels(enlarger, np.concatenate([gray_pixels, pixels[..., 2:]], axis=2))
    assert np.array_equal(gray_alpha_output[..., 0], expected[0][0, 0].numpy())
    assert np.array_equal(gray_alpha_output[..., 1], expected[1][0, 0].numpy())
    assert np.array_equal(enlarge_pixels(enlarger, gray_pixels)[..., 0], gray_alpha_output[..., 0])
    rgba_output = enlarge_pixels(enlarger, np.concatenate([pixels, pixels[..., 2:]], axis=2))
    assert np.array_equal(rgba_output[..., :3], enlarge_pixels(enlarger, pixels))
    assert np.array_equal(rgba_output[..., 3], gray_alpha_output[..., 1])


def test_sixteen_bits_agree_with_eight_bits_and_keep_intermediate_levels(enlarger: Enlarger) -> None:
    output_16_bit = enlarge_pixels(enlarger, PIXELS.astype(np.uint16) * 257)
    assert output_16_bit.dtype == np.uint16
    assert np.abs(output_16_bit / 257 - enlarge_pixels(enlarger, PIXELS)).max() <= 0.51
    assert len(np.unique(output_16_bit)) > 300


def test_networks_of_folds_are_averaged_and_a_model_without_any_is_bicubic(enlarger: Enlarger) -> None:
    torch.manual_seed(1)
    other_net = network()
    nn.init.normal_(other_net.tail.weight, std=0.05)  # type: ignore[union-attr, arg-type]
    lr = torch.rand(1, 3, 9, 8)
    with torch.inference_mode():
        mean = (enlarger.model.nets[0](lr) + other_net(lr)) / 2
    average = Enlarger(Model("folds", 2, [*enlarger.model.nets, other_net]), device="cpu")
    torch.testing.assert_close(average(lr), mean.clamp(0, 1))
    bicubic = Enlarger(Model("bicubic", 3), device="cpu")
    torch.testing.assert_close(bicubic(lr), resize(lr, 3).clamp(0, 1))


def test_the_output_has_the_type_of_the_input(enlarger: Enlarger, tmp_path: Path) -> None:
    expected = enlarge_pixels(enlarger, PIXELS)
    assert np.array_equal(enlarger(PIXELS), expected)
    assert np.array_equal(np.asarray(enlarger(Image.fromarray(PIXELS))), expected)
    tensor = torch.from_numpy(PIXELS.copy()).permute(2, 0, 1)
    assert np.array_equal(enlarger(tensor).permute(1, 2, 0).numpy(), expected)
    batch = enlarger(torch.stack([tensor, tensor.flip(-1)]))
    assert batch.shape == (2, 3, 80, 114)
    assert (batch[0].int() - enlarger(tensor).int()).abs().max() <= 1  # the last bit of a sum depends on alignment
    float16_output = enlarger((tensor / 255).half())
    assert float16_output.dtype == torch.float16
    float64_output = enlarger(PIXELS / 255)
    assert float64_output.dtype == np.float64
    assert np.abs(float64_output * 255 - expected).max() <= 0.51
    for mode in ("L", "LA", "RGB", "RGBA"):
        output = enlarger(Image.fromarray(PIXELS).convert(mode))
        assert (output.mode, output.size) == (mode, (114, 80))
    assert enlarger(Image.fromarray(PIXELS).convert("P")).mode == "RGB"
    gray_output = enlarger(PIXELS[..., 0])
    assert np.array_equal(gray_output, np.asarray(enlarger(Image.fromarray(PIXELS[..., 0]))))
    for invalid_image in (
        "photo.png",
        PIXELS[None],
        np.zeros((4, 4, 5), np.uint8),
        torch.zeros(2, 2),
        torch.zeros(3, 4, 4).int(),
    ):
        with pytest.raises(UserError):
            enlarger(invalid_image)  # type: ignore[type-var]


def test_bfloat16_is_used_for_eight_bit_pictures_only_and_where_it_is_faster(
    enlarger: Enlarger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sr.inference.enlarger.best_precision", lambda device: "bf16-mixed")
    auto = Enlarger(enlarger.model, device="cpu")
    difference = np.abs(enlarge_pixels(auto, PIXELS).astype(int) - enlarge_pixels(enlarger, PIXELS))
    assert 0 < difference.max() <= 3
    assert np.array_equal(
        enlarge_pixels(auto, PIXELS), enlarge_pixels(Enlarger(enlarger.model, precision="bfloat16"), PIXELS)
    )
    pixels_16_bit, float_pixels = PIXELS.astype(np.uint16) * 257, PIXELS / np.float32(255)
    assert np.array_equal(auto(pixels_16_bit), enlarger(pixels_16_bit))
    assert np.array_equal(auto(float_pixels), enlarger(float_pixels))
    monkeypatch.setattr("sr.inference.enlarger.best_precision", lambda device: "32-true")
    assert np.array_equal(enlarge_pixels(auto, PIXELS), enlarge_pixels(enlarger, PIXELS))
    with pytest.raises(UserError, match="--precision must be one of auto, float32, bfloat16"):
        Enlarger(enlarger.model, precision="double")


def test_load_finds_a_model_by_its_path(tmp_path: Path) -> None:
    net = network()
    config = {"_target_": "sr.nets.espcn.ESPCN", "scale": 2}
    save_network(tmp_path / "net.safetensors", net, network_config(config, 2, "rgb"))
    enlarger = load(str(tmp_path / "net.safetensors"), tile=16, device="cpu")
    assert (enlarger.scale, enlarger.tile) == (2, 16)
    expected = Enlarger(Model("same", 2, [net]), tile=16, device="cpu")(PIXELS)
    assert np.abs(enlarger(PIXELS).astype(int) - expected).max() <= 1
    with pytest.raises(UserError, match="--tile must be an integer of 0 or more"):
        load(str(tmp_path / "net.safetensors"), tile=-1)
    with pytest.raises(UserError, match="--device nonsense"):
        load(str(tmp_path / "net.safetensors"), device="nonsense")


def test_a_network_for_several_scales_requires_a_choice(tmp_path: Path) -> None:
    config = {"_target_": "sr.nets.vdsr.VDSR", "scale": 1, "num_blocks": 1, "channels": 4}
    from sr.nets.vdsr import VDSR

    net = VDSR(num_blocks=1, channels=4)
    save_network(tmp_path / "net.safetensors", net, network_config(config, 1, "rgb", [2, 3, 4]))
    assert load(str(tmp_path / "net.safetensors"), 3)(PIXELS).shape == (120, 171, 3)
    with pytest.raises(UserError, match="enlarges by 2, 3, 4: choose with --scale"):
        load(str(tmp_path / "net.safetensors"))
    save_network(tmp_path / "three.safetensors", net, network_config(config, 1, "rgb", [3]))
    assert load(str(tmp_path / "three.safetensors"))(PIXELS).shape == (120, 171, 3)


def gray_network() -> nn.Module:
    torch.manual_seed(0)
    net = ESPCN(scale=2, image_channels=1).eval()
    nn.init.normal_(net.tail.weight, std=0.05)
    return net


def test_a_network_for_gray_enlarges_the_luma_of_colours_and_leaves_the_rest_to_bicubic() -> None:
    net = gray_network()
    lr = torch.from_numpy(PIXELS.copy()).permute(2, 0, 1)[None].float() / 255
    enlarged = Enlarger(Model("gray", 2, [net]), device="cpu", precision="float32").enlarge(lr, torch.device("cpu"))
    with torch.inference_mode():
        expected_luma = net(gray(lr))
    bicubic = resize(lr, 2)
    inside = ((enlarged > 0) & (enlarged < 1)).all(dim=1, keepdim=True)  # not clamped
    assert torch.allclose(gray(enlarged)[inside], expected_luma[inside], atol=1e-5)
    chroma = (enlarged - gray(enlarged)) - (bicubic - gray(bicubic))
    assert chroma.abs().amax(dim=1, keepdim=True)[inside].max() < 1e-5


def test_a_network_for_gray_gets_gray_pictures_as_they_are() -> None:
    net = gray_network()
    enlarger = Enlarger(Model("gray", 2, [net]), device="cpu", precision="float32")
    lr = torch.rand(1, 1, 20, 31)
    with torch.inference_mode():
        assert torch.allclose(enlarger.enlarge(lr, torch.device("cpu")), net(lr).clamp(0, 1), atol=1e-6)


@pytest.mark.parametrize("channels", [2, 4, 6])
def test_a_network_for_other_channels_takes_all_of_them_and_nothing_else(channels: int) -> None:
    net = ESPCN(scale=2, image_channels=channels).eval()
    nn.init.normal_(net.tail.weight, std=0.05)
    enlarger = Enlarger(Model("bands", 2, [net]), tile=16, device="cpu", precision="float32")
    pixels = np.random.default_rng(0).integers(0, 65536, (20, 31, channels), dtype=np.uint16)
    lr = torch.from_numpy(pixels.astype(np.float32) / 65535).permute(2, 0, 1)[None]
    with torch.inference_mode():
        expected = net(lr)[0].clamp(0, 1).mul(65535).permute(1, 2, 0).numpy()
    assert np.abs(enlarge_pixels(enlarger, pixels) - expected).max() < 2
    with pytest.raises(UserError, match=f"bands: enlarges images of {channels} channels, not of 3"):
        enlarger(PIXELS)


def test_networks_for_different_channels_are_no_model() -> None:
    with pytest.raises(UserError, match="images of 1 and 3 channels"):
        Enlarger(Model("mixed", 2, [gray_network(), network()]))
