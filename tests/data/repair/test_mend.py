"""Shifts are planted by moving the high resolution by whole pixels before downscaling, and are known exactly."""

import re
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from sr.data.alignment import displacement, fault
from sr.data.pairs import derive_lr
from sr.data.repair.mend import Mended, UnmendableError, mend
from sr.data.sources import demo_photographs
from sr.image import dihedral
from sr.io.bounded import Pixels
from sr.io.images import read_image
from sr.machine.pools import one_thread

ACCURACY = 0.05  # low-resolution pixels
SIDE = 240


@pytest.fixture(autouse=True)
def single_threaded() -> Iterator[None]:
    with one_thread():
        yield


PHOTOGRAPHS = [read_image(file) for file in sorted({source.hr for source in demo_photographs()})][:8]
VIVID = [image[:, :SIDE, :SIDE].contiguous() for image in PHOTOGRAPHS]


def pixels(image: Tensor) -> Pixels:
    return np.ascontiguousarray(image.permute(1, 2, 0).numpy())


def tensor(image: Pixels) -> Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)


def planted(image: Tensor, scale: int, down: int, right: int) -> tuple[Pixels, Pixels]:
    """A pair whose low resolution shows what lies so many high-resolution pixels further up and left."""
    top, left = max(0, down), max(0, right)
    height, width = (SIDE - abs(length) - 12 for length in (down, right))
    height, width = height // scale * scale, width // scale * scale
    hr = image[:, top : top + height, left : left + width]
    moved = image[:, top - down : top - down + height, left - right : left - right + width]
    return pixels(hr), pixels(derive_lr(moved.contiguous(), scale, 2))


def rest(pair: Mended) -> float:
    """What is still measured of a shift, in low-resolution pixels."""
    lengths = displacement(tensor(pair.lr), tensor(pair.hr))
    assert lengths is not None
    return max(map(abs, lengths))


@pytest.mark.parametrize(
    ("scale", "down", "right"), [(2, 2, 0), (2, -4, 6), (3, 3, -9), (4, 8, 4), (1, 3, -2), (2, 1, -3), (4, -1, 2)]
)
def test_shifts_by_whole_pixels_of_the_high_resolution_are_undone_by_cropping_alone(
    scale: int, down: int, right: int
) -> None:
    for image in VIVID[:4]:
        hr, lr = planted(image, scale, down, right)
        mended = mend(hr, lr, scale)
        assert not any("resampled" in action for action in mended.actions), mended.actions
        # Content lies `down` pixels too far down: aligned rows begin so many pixels apart in the two images.
        lost = [side // scale - other for side, other in zip(hr.shape[:2], mended.lr.shape[:2], strict=True)]
        assert lost == [-(-abs(down) // scale), -(-abs(right) // scale)]
        for source, part in ((hr, mended.hr), (lr, mended.lr)):
            views = np.lib.stride_tricks.sliding_window_view(source, part.shape)
            assert any((view == part).all() for view in views.reshape(-1, *part.shape)[:400_000])
        assert rest(mended) < ACCURACY
        assert fault(tensor(mended.lr), tensor(mended.hr)) is None


@pytest.mark.parametrize(("part", "whole"), [(0.25, 0), (-0.5, 0), (0.4, 2), (-0.3, -1)])
def test_shifts_by_parts_of_a_pixel_are_undone(part: float, whole: int) -> None:
    """Half a pixel is the mean of two, a quarter a weighted mean: at scale 1, so that the shift is no whole pixel."""
    for image in VIVID:
        moved = image.roll(whole, 2).double()
        first, second = (moved, moved.roll(1 if part > 0 else -1, 2))
        lr = ((1 - abs(part)) * first + abs(part) * second).round().to(torch.uint8)[:, 8:-8, 8:-8]
        mended = mend(pixels(image[:, 8:-8, 8:-8]), pixels(lr), 1)
        assert "low resolution resampled" in mended.actions
        stated = re.fullmatch(r"shifted by ([+-][\d.]+) pixels down and ([+-][\d.]+) right", mended.actions[0])
        assert stated
        assert [float(number) for number in stated.groups()] == pytest.approx([0, -part - whole], abs=ACCURACY)
        assert rest(mended) < ACCURACY


@pytest.mark.parametrize(("scale", "phase"), [(2, 1), (3, 1), (4, 2)])
def test_a_mended_pair_is_as_close_to_the_derived_one_as_resampling_allows(scale: int, phase: int) -> None:
    """The low resolution of an image moved by half a high-resolution pixel, from one of twice the resolution."""
    for image in PHOTOGRAPHS[:4]:
        large = image[:, :SIDE, :SIDE].contiguous()
        hr = derive_lr(large, 2, 2)
        side = hr.shape[1] // scale * scale
        lr = derive_lr(large.roll(phase, 1)[:, : 2 * side, : 2 * side].contiguous(), 2 * scale, 2)
        mended = mend(pixels(hr[:, :side, :side]), pixels(lr), scale)
        expected = derive_lr(tensor(mended.hr).contiguous(), scale, 2)
        inner = (slice(None), slice(6, -6), slice(6, -6))
        error = (expected[inner].double() - tensor(mended.lr)[inner].double()).square().mean()
        assert rest(mended) < (ACCURACY if mended.actions else 0.2)  # as `fault` allows
        assert 10 * np.log10(255**2 / float(error)) > 30


def test_an_aligned_pair_is_returned_as_it_is() -> None:
    for image in VIVID:
        hr, lr = planted(image, 2, 0, 0)
        mended = mend(hr, lr, 2)
        assert mended.actions == ()
        assert (mended.hr == hr).all() and (mended.lr == lr).all()  # noqa: PT018 - one claim


def test_high_resolution_is_cropped_to_a_multiple_of_the_scale() -> None:
    hr, lr = planted(VIVID[0], 3, 0, 0)
    larger = pixels(VIVID[0])[: hr.shape[0] + 2, : hr.shape[1] + 1]
    mended = mend(larger, lr, 3)
    assert mended.actions == (f"high resolution cropped from {larger.shape[1]}x{larger.shape[0]} to 228x228",)
    assert (mended.hr == hr).all()


def test_images_of_other_sizes_are_cut_to_the_area_that_both_show() -> None:
    hr, lr = planted(VIVID[1], 2, 0, 0)
    for cut in (lr[:-20, :-6], lr[3:, 5:], lr[20:-20, 24:-24]):  # at a corner, near one, in the middle
        mended = mend(hr, np.ascontiguousarray(cut), 2)
        assert mended.lr.shape == cut.shape
        assert mended.hr.shape[:2] == (2 * cut.shape[0], 2 * cut.shape[1])
        assert rest(mended) < ACCURACY


def test_a_chance_resemblance_does_not_mend_what_does_not_fit() -> None:
    """Small crops of different photographs, many of them similar enough for a pair whose sizes fit."""
    similar = 0
    for number in range(60):
        first, second = PHOTOGRAPHS[number % 8], PHOTOGRAPHS[(3 * number + 1) % 8]
        top = 3 * number
        lr = derive_lr(first[:, top : top + 40, :40].contiguous(), 2, 2)
        hr = second[:, top : top + 40, 60:100].contiguous()
        if number % 8 == (3 * number + 1) % 8 or fault(lr, hr):
            continue
        similar += displacement(lr, hr) is not None
        larger = second[:, top : top + 46, 60:100]
        with pytest.raises(UnmendableError):
            mend(pixels(larger), pixels(lr), 2)
    assert similar > 0


def test_sixteen_bits_and_alpha_are_kept() -> None:
    hr, lr = planted(VIVID[0], 2, 2, 0)
    deep = [np.dstack([image, image[..., :1]]).astype(np.uint16) * 257 for image in (hr, lr)]
    mended = mend(deep[0], deep[1], 2)
    assert [str(part.dtype) for part in (mended.hr, mended.lr)] == ["uint16", "uint16"]
    assert mended.hr.shape[2] == 4
    assert (mended.hr == deep[0][:-2]).all() or (mended.hr == deep[0][2:]).all()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda lr: pixels(dihedral(tensor(lr), 1)), "mirrored"),
        (lambda lr: planted(VIVID[5], 2, 0, 0)[1], "does not show the picture"),
        (lambda lr: (lr // 2).astype(np.uint8), "mean colour"),
        (lambda lr: np.full_like(lr[:-9], 90), "too little detail"),
    ],
)
def test_what_no_shift_mends_is_refused_with_its_reason(change: object, reason: str) -> None:
    hr, lr = planted(VIVID[0], 2, 0, 0)
    assert callable(change)
    with pytest.raises(UnmendableError, match=reason):
        mend(hr, change(lr), 2)
