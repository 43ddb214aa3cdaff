from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sr.image import crop_to_multiple, dihedral, luma, quantise, resize, shave, to_float, to_uint8


@pytest.mark.parametrize("name", ["butterfly_x2", "butterfly_x4", "head_x3"])
def test_resize_and_luma_agree_with_matlab_to_1e_9(shared: Path, name: str) -> None:
    data = np.load(shared / "matlab" / f"{name}.npz")
    scale = int(data["scale"])
    hr = torch.from_numpy(data["hr_rgb_uint8"]).permute(2, 0, 1)[None].double() / 255
    lr = luma(resize(hr, 1 / scale)) * 255
    assert (lr[0, 0] - torch.from_numpy(data["lr_y_255"])).abs().max() < 1e-9
    enlarged = resize(torch.from_numpy(data["lr_y_255"])[None, None], scale)
    assert (enlarged[0, 0] - torch.from_numpy(data["bicubic_y_255"])).abs().max() < 1e-9


def test_upscaling_an_edge_by_two_gives_weights_computed_by_hand() -> None:
    # Keys' kernel (a = -0.5) at distances 1.75, 1.25, 0.75 and 0.25 from the output's centre.
    far, mid, near, close = -0.0234375, -0.0703125, 0.2265625, 0.8671875
    step = torch.tensor([0.0, 0.0, 0.0, 1.0, 1.0, 1.0]).double().view(1, 1, 1, 6)
    row = resize(step, 2)[0, 0, 0].tolist()
    assert row == pytest.approx([0, 0, 0, far, mid, near + far, close + mid, 1 - mid, 1 - far, 1, 1, 1])


def test_downscaling_is_close_to_pillows_antialiased_bicubic() -> None:
    hr = torch.rand(1, 3, 40, 56, generator=torch.Generator().manual_seed(0))
    resized = resize(hr, 0.5)
    channels = [Image.fromarray(channel.numpy()).resize((28, 20), Image.Resampling.BICUBIC) for channel in hr[0]]
    by_pillow = torch.stack([torch.from_numpy(np.array(channel)) for channel in channels])[None]
    inner = (..., slice(3, -3), slice(3, -3))  # borders are handled differently
    assert (resized[inner] - by_pillow[inner]).abs().max() < 1e-5


@pytest.mark.parametrize(("kernel", "pillow"), [("lanczos", "LANCZOS"), ("nearest", "NEAREST"), ("bicubic", "BICUBIC")])
def test_each_kernel_upscales_like_pillow_away_from_the_border(kernel: str, pillow: str) -> None:
    image = torch.rand(20, 28, generator=torch.Generator().manual_seed(0))
    for scale in (2, 3, 4):
        resized = resize(image, scale, kernel)
        by_pillow = Image.fromarray(image.numpy()).resize((28 * scale, 20 * scale), Image.Resampling[pillow])
        inner = (slice(3 * scale, -3 * scale),) * 2
        assert (resized[inner] - torch.from_numpy(np.array(by_pillow))[inner]).abs().max() < 1e-5


@pytest.mark.parametrize("scale", [0.25, 1 / 3, 0.5, 1, 2, 3, 4])
def test_resize_keeps_constants_dtype_and_rounds_sizes_up(scale: float) -> None:
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        resized = resize(torch.full((2, 3, 13, 7), 0.5, dtype=dtype), scale)
        assert resized.dtype == dtype
        assert resized.shape == (2, 3, int(np.ceil(13 * scale)), int(np.ceil(7 * scale)))
        assert (resized - 0.5).abs().max() < (1e-2 if dtype == torch.bfloat16 else 1e-6)


def test_resize_is_differentiable() -> None:
    image = torch.rand(1, 1, 5, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: resize(x, 2), (image,))
    assert torch.autograd.gradcheck(lambda x: resize(x, 0.5), (image,))


def test_resize_is_not_rounded_by_autocast() -> None:
    image = torch.rand(1, 3, 16, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = resize(image, 2)
    assert torch.equal(inside, resize(image, 2))


def test_resize_refuses_a_scale_of_zero_and_an_unknown_kernel() -> None:
    with pytest.raises(ValueError, match="positive scale"):
        resize(torch.zeros(1, 3, 4, 4), 0)
    with pytest.raises(ValueError, match="bicubic, lanczos, nearest"):
        resize(torch.zeros(1, 3, 4, 4), 1, "cubic")


def test_luma_of_black_white_and_red_equals_matlabs() -> None:
    colours = torch.tensor([[0.0, 0, 0], [1, 1, 1], [1, 0, 0]]).double().T.view(1, 3, 1, 3)
    assert luma(colours).mul(255).flatten().tolist() == pytest.approx([16, 235, 16 + 65.481])


@pytest.mark.parametrize("code", range(8))
def test_dihedral_codes_are_eight_different_transforms_that_agree_with_numpy(code: int) -> None:
    image = torch.arange(6).view(1, 2, 3)
    expected = image.numpy()
    expected = expected[..., ::-1] if code & 1 else expected
    expected = expected[:, ::-1] if code & 2 else expected
    expected = expected.swapaxes(1, 2) if code & 4 else expected
    assert np.array_equal(dihedral(image, code).numpy(), expected)
    square = torch.arange(4).view(2, 2)
    assert len({tuple(dihedral(square, other).flatten().tolist()) for other in range(8)}) == 8


def test_quantise_equals_a_round_trip_through_uint8() -> None:
    image = torch.rand(2, 3, 9, 9) * 1.4 - 0.2
    assert torch.equal(quantise(image), to_float(to_uint8(image)))
    assert torch.equal(to_uint8(to_float(torch.arange(256).byte())), torch.arange(256).byte())


def test_shave_and_crop_to_multiple_give_the_right_sizes() -> None:
    image = torch.zeros(1, 3, 11, 14)
    assert shave(image, 2).shape == (1, 3, 7, 10)
    assert shave(image, 0).shape == image.shape
    assert crop_to_multiple(image, 4).shape == (1, 3, 8, 12)


def test_resize_has_gradients_after_a_first_call_in_inference_mode() -> None:
    size = (1, 3, 13, 17)  # used by no other test: the weights for a size are cached
    with torch.inference_mode():
        resize(torch.rand(size), 3)
    image = torch.rand(size, requires_grad=True)
    resize(image, 3).sum().backward()
    assert image.grad is not None
    assert image.grad.sum().item() == pytest.approx(9 * image.numel(), rel=1e-4)
