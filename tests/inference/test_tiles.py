from collections.abc import Iterable

import pytest
import torch
from hydra.utils import instantiate
from torch import Tensor, nn

from sr.errors import UserError
from sr.image import resize
from sr.inference import tiles
from sr.inference.enlarger import Enlarger
from sr.inference.tiles import enlarge, enlarge_in_tiles
from sr.nets.autoencoder import Autoencoder
from sr.nets.espcn import ESPCN
from sr.terms import WHOLE_IMAGE
from sr.weights.model import Model
from tests.support.networks import randomise_output
from tests.support.runs import Compose, model_names


def test_the_ensemble_is_the_mean_over_eight_transforms() -> None:
    torch.manual_seed(0)
    net = ESPCN(scale=2).eval()
    net.tail.weight.data.normal_(std=0.1)
    lr = torch.rand(1, 3, 6, 9)
    outputs = []
    for turns in range(4):
        for mirrored in (False, True):
            transformed = torch.rot90(lr.flip(-1) if mirrored else lr, turns, (-2, -1))
            restored = torch.rot90(net(transformed.contiguous()), -turns, (-2, -1))
            outputs.append(restored.flip(-1) if mirrored else restored)
    expected = torch.stack(outputs).mean(0)
    assert torch.allclose(enlarge(net, lr, ensemble=True), expected, atol=1e-6)
    assert not torch.allclose(expected, net(lr), atol=1e-4)


def test_without_an_ensemble_the_output_is_the_networks_and_has_no_graph() -> None:
    lr = torch.rand(2, 3, 5, 4)
    out = enlarge(ESPCN(scale=3).eval(), lr)
    assert torch.equal(out, resize(lr, 3))
    assert not out.requires_grad


def assemble(parts: Iterable[tuple[int, int, Tensor]], size: torch.Size) -> Tensor:
    full_image = torch.full(size, float("nan"))
    for top, left, part in parts:
        target = full_image[..., top : top + part.shape[-2], left : left + part.shape[-1]]
        assert torch.isnan(target).all()
        target.copy_(part)
    assert not torch.isnan(full_image).any()
    return full_image


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("name", model_names())
def test_assembled_tiles_equal_the_untiled_output(compose_config: Compose, name: str, scale: int) -> None:
    torch.manual_seed(0)
    small_options = {
        "edsr": ["model.num_blocks=3", "model.channels=8"],
        "vdsr": ["model.num_blocks=6", "model.channels=8"],
        "rlfn": ["model.num_blocks=1", "model.channels=8"],
        "span": ["model.num_blocks=2", "model.channels=8"],
    }
    small_options["autoencoder"] = small_options["autoencoder_origin"] = ["model.channels=4"]
    net = instantiate(compose_config([f"model={name}", f"scale={scale}", *small_options.get(name, [])]).model).eval()
    randomise_output(net, std=0.3)
    lr = torch.rand(1, 3, 75, 58)
    full_image = enlarge(net, lr)
    tiled = assemble(enlarge_in_tiles(net, lr, scale, 20), full_image.shape)
    atol = 1e-5 * float(full_image.abs().max())
    assert torch.allclose(tiled, full_image, atol=atol)
    assert torch.allclose(assemble(enlarge_in_tiles(net, lr, scale, 0), full_image.shape), full_image, atol=atol)


@pytest.mark.parametrize("name", model_names())
def test_the_margin_is_not_much_wider_than_necessary(compose_config: Compose, name: str) -> None:
    torch.manual_seed(0)
    net = instantiate(compose_config([f"model={name}", "scale=2"]).model).eval()
    randomise_output(net, std=0.3)
    net.double()  # float32 may round a distant change away
    lr = torch.rand(1, 3, 2 * net.halo + 25, 8, dtype=torch.float64)
    changed = lr.clone()
    middle = net.halo + 12
    changed[..., middle, :] = 1 - changed[..., middle, :]
    rows = (net(changed) != net(lr)).any(dim=3).flatten(0, 1).any(dim=0).nonzero()
    reach = max(middle * 2 - int(rows.min()), int(rows.max()) - middle * 2 - 1) / 2
    # Of one changed row, the poolings of deep networks drop what is far away; tests/nets/test_halo.py changes many.
    assert net.halo - max(8, net.halo // 8) <= reach <= net.halo


def test_a_tile_too_large_for_the_memory_is_halved_and_all_tiles_are_yielded() -> None:
    net = ESPCN(scale=2).eval()
    net.tail.weight.data.normal_(std=0.1)
    lr = torch.rand(1, 3, 70, 90)
    full_image = enlarge(net, lr)
    sizes = []

    def refuse(module: nn.Module, inputs: tuple[Tensor]) -> None:
        sizes.append(max(inputs[0].shape[-2:]))
        if sizes[-1] > 60:
            raise RuntimeError(
                "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
            )

    handle = net.register_forward_pre_hook(refuse)
    tiled = assemble(enlarge_in_tiles(net, lr, 2, 64), full_image.shape)
    handle.remove()
    assert max(sizes) > 60
    assert sizes[-1] <= 60
    assert torch.allclose(tiled, full_image, atol=1e-5)


@pytest.mark.parametrize("wrap", [False, True])
def test_tiles_of_an_ensemble_equal_that_of_the_whole_image_whatever_its_sides(wrap: bool) -> None:
    """Flipped, a network with strides has its grid at the other end: of the image, or of each tile."""
    torch.manual_seed(0)
    net = Autoencoder(scale=1, channels=4).eval()
    randomise_output(net, std=0.3)
    assert net.align > 1
    lr = torch.rand(1, 3, 61, 42)
    whole, tiled = (
        assemble(enlarge_in_tiles(net, lr, 1, tile, ensemble=True, wrap=wrap), lr.shape) for tile in (0, 20)
    )
    assert torch.allclose(tiled, whole, atol=1e-5 * float(whole.abs().max()))


def test_the_margin_is_aligned_to_the_strides() -> None:
    class Blocks(nn.Module):
        """Replaces each pixel by the mean of its 4 x 4 block, counted from the top left corner."""

        halo, align = 3, 4

        def forward(self, lr: Tensor) -> Tensor:
            return nn.functional.avg_pool2d(lr, 4).repeat_interleave(4, -1).repeat_interleave(4, -2)

    lr = torch.rand(1, 3, 32, 24)
    assert torch.allclose(assemble(enlarge_in_tiles(Blocks(), lr, 1, 8), lr.shape), Blocks()(lr), atol=1e-6)


@pytest.mark.parametrize("tile", [0, 8, 20])
@pytest.mark.parametrize("size", [(24, 33), (5, 7)])  # the second is smaller than the margin
def test_copies_of_a_wrapped_texture_side_by_side_are_the_enlarged_copies(tile: int, size: tuple[int, int]) -> None:
    net = ESPCN(scale=3).eval()
    net.tail.weight.data.normal_(std=0.1)
    texture = torch.rand(1, 3, *size)
    enlarged_size = torch.Size((1, 3, 3 * size[0], 3 * size[1]))
    wrapped = assemble(enlarge_in_tiles(net, texture, 3, tile, wrap=True), enlarged_size)
    copies = enlarge(net, texture.repeat(1, 1, 5, 5))
    middle = copies[..., 2 * wrapped.shape[-2] : 3 * wrapped.shape[-2], 2 * wrapped.shape[-1] : 3 * wrapped.shape[-1]]
    assert torch.allclose(wrapped, middle, atol=1e-5)
    assert not torch.allclose(enlarge(net, texture), middle, atol=1e-2)


def test_a_network_that_sees_the_whole_image_is_shown_64_pixels_beyond_the_edges_of_a_texture() -> None:
    class Mean(nn.Module):
        """Takes the mean of all it sees from every pixel."""

        halo = WHOLE_IMAGE

        def forward(self, lr: Tensor) -> Tensor:
            assert lr.shape[-2:] == (10 + 2 * 64, 12 + 2 * 64)
            return lr - lr.mean()

    assert assemble(
        enlarge_in_tiles(Mean(), torch.rand(1, 3, 10, 12), 1, 0, wrap=True), torch.Size((1, 3, 10, 12))
    ).any()


def test_tiles_are_yielded_row_by_row_from_the_top_left() -> None:
    positions = [
        (top, left) for top, left, _ in enlarge_in_tiles(ESPCN(scale=2).eval(), torch.rand(1, 3, 20, 30), 2, 16)
    ]
    assert positions == [(0, 0), (0, 32), (32, 0), (32, 32)]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), "not enough memory"),
        (torch.OutOfMemoryError("anything"), "not enough memory"),
        (RuntimeError("CUDA error: out of memory"), "not enough memory"),
        (RuntimeError("Expected canUse32BitIndexMath(input) to be true, but got false."), "cannot count the values"),
        (RuntimeError("nonzero is not supported for tensors with more than INT_MAX elements"), "cannot count"),
    ],
)
def test_every_error_of_a_tile_that_is_too_large_halves_it_but_not_below_32(
    error: Exception, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    net, sides = ESPCN(scale=2).eval(), []

    def refuse(module: nn.Module, inputs: tuple[Tensor]) -> None:
        sides.append(inputs[0].shape[-1])
        raise error

    net.register_forward_pre_hook(refuse)
    with pytest.raises(type(error)):
        list(enlarge_in_tiles(net, torch.rand(1, 3, 128, 128), 2, 128))
    assert sides == [128, 64 + net.halo, 32 + net.halo]
    assert reason in caplog.text


def test_a_texture_is_refused_rather_than_seamed_if_it_does_not_fit_into_memory_as_a_whole() -> None:
    net = ESPCN(scale=2).eval()
    net.halo = WHOLE_IMAGE
    net.register_forward_pre_hook(lambda module, inputs: (_ for _ in ()).throw(MemoryError()))
    with pytest.raises(UserError, match=r"not enough memory for tiles of 128 pixels.*leave out --wrap"):
        list(enlarge_in_tiles(net, torch.rand(1, 3, 128, 128), 2, 0, wrap=True))


def test_a_network_without_parameters_computes_on_the_device_that_is_asked_for() -> None:
    lr = torch.rand(1, 3, 8, 8)
    for device in ("cpu", "meta"):
        parts = enlarge_in_tiles(nn.Upsample(scale_factor=2), lr, 2, 0, device=torch.device(device))
        assert [part.device.type for _, _, part in parts] == [device]


def test_bicubic_is_computed_on_the_device_of_the_enlarger(monkeypatch: pytest.MonkeyPatch) -> None:
    devices: list[str] = []

    def record(net: nn.Module, lr: Tensor, *, ensemble: bool = False) -> Tensor:
        devices.append(lr.device.type)
        return torch.zeros(1, 3, 16, 16)

    monkeypatch.setattr(tiles, "enlarge", record)
    model = Enlarger(Model("bicubic", 2), device="cpu")
    model.device = torch.device("meta")
    model(torch.zeros(3, 8, 8))
    assert devices == ["meta"]


def test_other_errors_of_a_network_are_not_mistaken_for_a_lack_of_memory() -> None:
    net = ESPCN(scale=2).eval()
    net.register_forward_pre_hook(lambda module, inputs: (_ for _ in ()).throw(RuntimeError("shapes")))
    with pytest.raises(RuntimeError, match="shapes"):
        list(enlarge_in_tiles(net, torch.rand(1, 3, 70, 90), 2, 64))
