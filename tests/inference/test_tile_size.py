import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sr.inference import enlarger
from sr.inference.enlarger import Enlarger
from sr.inference.tile_size import bytes_of_layers, countable_side, fastest_tile, largest_tile
from sr.machine import hardware
from sr.machine.hardware import cache_bytes
from sr.nets.espcn import ESPCN
from sr.nets.vdsr import VDSR
from sr.weights.model import Model
from tests.support.networks import randomise_output

MIB = 2**20
WIDE = [512.0] * 10  # 64 channels in float32, read and written


def test_a_tile_may_use_a_quarter_of_the_memory() -> None:
    class Multiply(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, lr: Tensor) -> Tensor:
            return self.weight * lr

    # Each pixel has 12 bytes of input and 12 of output, and twice that is held: 48 bytes.
    assert largest_tile(bytes_of_layers(Multiply()), 4 * 48 * 96**2) == 96
    assert largest_tile(bytes_of_layers(Multiply()), 4 * 48 * 96**2 - 1000) == 64
    assert largest_tile(bytes_of_layers(Multiply()), 1 << 50) == 1024


def test_no_feature_map_of_a_countable_tile_has_two_to_the_31_values() -> None:
    side = countable_side([4 * 512.0], margin=16)  # 512 values a pixel: 2048 x 2048 pixels are one too many
    assert side == 2016 - 32
    assert 512 * (side + 32) ** 2 < 2**31 <= 512 * (side + 64) ** 2
    assert countable_side([1e9], margin=16) == 32


@pytest.mark.parametrize(("tile", "expected"), [(0, 64), (128, 64), (64, 64), (32, 32)])
def test_on_a_gpu_a_tile_with_too_many_values_is_reduced_and_the_user_is_told(
    tile: int, expected: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Enlarger, "_countable_tile", lambda self: 64)
    model = Enlarger(Model("small", 2, [ESPCN(scale=2).eval()]), device="cpu", tile=tile)
    assert model.tile_of(torch.zeros(1, 3, 100, 80)) == expected
    model(torch.zeros(3, 100, 80))
    assert ("larger ones have more values" in caplog.text) == (tile != expected)
    assert model.tile_of(torch.zeros(1, 3, 60, 50)) == (tile if tile in (0, 32, 64) else 64)  # all of it


def test_tiles_grow_with_the_memory_and_shrink_with_the_network() -> None:
    small, large = (bytes_of_layers(net) for net in (ESPCN(scale=2).eval(), VDSR(scale=2).eval()))
    assert largest_tile(large, 1 << 30) < largest_tile(small, 1 << 30) <= largest_tile(small, 1 << 34)
    assert largest_tile(large, 1) == 32


def test_the_largest_tile_that_stays_in_the_cache_is_fastest_where_margins_are_thin() -> None:
    # Half of the cache: (160 + 2)^2 pixels of 512 bytes are 13 MiB, (192 + 2)^2 are 18 MiB; half the bytes allow 226^2.
    assert fastest_tile(WIDE, 2000, 2000, margin=1, align=1, most=1024, cache_bytes=32 * MIB) == 160
    assert fastest_tile([256.0] * 10, 2000, 2000, margin=1, align=1, most=1024, cache_bytes=32 * MIB) == 224


def test_larger_tiles_than_256_have_to_gain_a_tenth() -> None:
    # All sides leave the cache. Margins of 8 pixels make the whole image 1.00, four tiles of 256 a side
    # (1024 + 48)^2 / 1024^2 = 1.10 and three of 352 1.06; margins of 9 make them 1.11 and 1.07.
    assert fastest_tile(WIDE, 1024, 1024, margin=8, align=1, most=1024, cache_bytes=MIB) == 256
    assert fastest_tile(WIDE, 1024, 1024, margin=9, align=1, most=1024, cache_bytes=MIB) == 352
    assert fastest_tile(WIDE, 1024, 1024, margin=60, align=1, most=1024, cache_bytes=MIB) == 1024


def test_a_whole_image_is_fastest_where_margins_cost_more_than_the_cache_gains() -> None:
    assert fastest_tile(WIDE, 1000, 900, margin=40, align=1, most=1024, cache_bytes=32 * MIB) == 1000
    assert fastest_tile(WIDE, 100, 90, margin=0, align=1, most=1024, cache_bytes=1) == 100


def test_no_tile_is_larger_than_the_memory_allows_and_all_are_on_the_grid() -> None:
    for most in (32, 64, 200, 1024):
        side = fastest_tile(WIDE, 3000, 2000, margin=24, align=12, most=most, cache_bytes=32 * MIB)
        assert side % 12 == 0
        assert side < most + 12
    assert fastest_tile(WIDE, 512, 2048, margin=120, align=1, most=1024, cache_bytes=MIB) == 2048  # 1024^2 pixels


def test_an_image_is_enlarged_in_the_chosen_tiles_and_the_same_as_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    net = ESPCN(scale=2).eval()
    randomise_output(net, std=0.3)
    sizes: list[tuple[int, ...]] = []
    handle = net.register_forward_pre_hook(lambda module, inputs: sizes.append(tuple(inputs[0].shape[-2:])))
    pixels = np.random.default_rng(0).integers(0, 256, (150, 230, 3), np.uint8)
    whole = Enlarger(Model("small", 2, [net]), tile=0, device="cpu", precision="float32")(pixels)
    monkeypatch.setattr(enlarger, "cache_bytes", lambda: 2 * 512 * 120 * 120)
    chosen = Enlarger(Model("small", 2, [net]), device="cpu", precision="float32")
    sizes.clear()
    tiled = chosen(pixels)
    handle.remove()
    # Halo 4: 96 + 4 or + 8 pixels fit into that cache, 128 + 4 do not.
    assert sizes == [(100, 100), (100, 104), (100, 42), (58, 100), (58, 104), (58, 42)]
    assert np.abs(tiled.astype(int) - whole).max() <= 1


def test_the_cache_is_what_the_system_reports_as_the_largest(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("cache")
    for number, size in enumerate(("32K", "1024K", "16384K")):
        (folder / f"index{number}").mkdir()
        (folder / f"index{number}" / "size").write_text(f"{size}\n")
    for path, expected in ((folder, 16 * MIB), (folder / "nothing", 32 * MIB)):
        monkeypatch.setattr(hardware, "_CACHES", path)
        cache_bytes.cache_clear()
        assert cache_bytes() == expected
    cache_bytes.cache_clear()


def test_tiles_on_a_cpu_grow_with_the_margins_and_are_smaller_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enlarger, "cache_bytes", lambda: 32 * MIB)
    image = torch.zeros(1, 3, 2000, 3000, dtype=torch.uint8)
    sides: dict[tuple[int, str], int] = {}
    for halo in (4, 37, 115):
        net = ESPCN(scale=2).eval()
        net.halo = halo
        for precision in ("float32", "bfloat16"):
            sides[halo, precision] = Enlarger(Model("far", 2, [net]), device="cpu", precision=precision).tile_of(image)
    assert sides[4, "float32"] < sides[4, "bfloat16"] < sides[37, "float32"] <= sides[115, "float32"]
