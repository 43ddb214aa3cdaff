import io
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageFilter
from torch import Tensor
from torch.nn.functional import interpolate

from sr.data.alignment import ALIASED, COLOURS, MOVED, OTHER, SHIFTED, TURNED, fault
from sr.data.pairs import derive_lr
from sr.data.sources import demo_photographs
from sr.image import crop_to_multiple, dihedral, to_float, to_uint8
from sr.io.images import from_pil, read_image, to_pil
from sr.machine.pools import one_thread

SHRINK = 2


@pytest.fixture(autouse=True)
def single_threaded() -> Iterator[None]:
    with one_thread():
        yield


def photographs() -> list[Tensor]:
    files = sorted({source.hr for source in demo_photographs()})
    return [read_image(file)[:, :288, :288].contiguous() for file in files]


PHOTOGRAPHS = photographs()
VIVID = PHOTOGRAPHS[:8]  # the ninth is sky


def pillow(image: Tensor, scale: int, filter_: Image.Resampling) -> Tensor:
    picture = to_pil(image)
    return from_pil(picture.resize((picture.width // scale, picture.height // scale), filter_))


def interpolated(image: Tensor, scale: int, mode: str, align_corners: bool | None = None) -> Tensor:
    size = (image.shape[1] // scale, image.shape[2] // scale)
    return to_uint8(interpolate(to_float(image)[None], size, mode=mode, align_corners=align_corners)[0])


def jpeg(image: Tensor, quality: int) -> Tensor:
    data = io.BytesIO()
    to_pil(image).save(data, "JPEG", quality=quality)
    return from_pil(Image.open(data).convert("RGB"))


def noisy(image: Tensor, levels: float) -> Tensor:
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    return (image + levels * noise).clamp(0, 255).to(torch.uint8)


def blurred(image: Tensor, radius: float) -> Tensor:
    return from_pil(to_pil(image).filter(ImageFilter.GaussianBlur(radius)))


DEGRADATIONS: dict[str, Callable[[Tensor, int], Tensor]] = {
    "matlab": lambda hr, scale: derive_lr(hr, scale, SHRINK),
    "box": lambda hr, scale: pillow(hr, scale, Image.Resampling.BOX),
    "bilinear": lambda hr, scale: pillow(hr, scale, Image.Resampling.BILINEAR),
    "bicubic": lambda hr, scale: pillow(hr, scale, Image.Resampling.BICUBIC),
    "lanczos": lambda hr, scale: pillow(hr, scale, Image.Resampling.LANCZOS),
    "blurred before": lambda hr, scale: derive_lr(blurred(hr, 1.6), scale, SHRINK),
    "blurred after": lambda hr, scale: blurred(derive_lr(hr, scale, SHRINK), 2),
    "noise": lambda hr, scale: noisy(derive_lr(hr, scale, SHRINK), 15),
    "jpeg 50": lambda hr, scale: jpeg(derive_lr(hr, scale, SHRINK), 50),
    "jpeg 20": lambda hr, scale: jpeg(derive_lr(hr, scale, SHRINK), 20),
}


@pytest.mark.parametrize("kind", DEGRADATIONS)
@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_usual_degradations_are_not_faults(kind: str, scale: int) -> None:
    assert [fault(DEGRADATIONS[kind](hr, scale), hr) for hr in PHOTOGRAPHS] == [None] * 9


@pytest.mark.parametrize("scale", [1, 2, 4])
@pytest.mark.parametrize(("down", "right"), [(1, 0), (0, -1), (2, -3), (-4, 4)])
def test_shifts_by_whole_pixels_are_measured(scale: int, down: int, right: int) -> None:
    for hr in VIVID:
        finding = fault(derive_lr(hr, scale, SHRINK).roll((down, right), (1, 2)), hr)
        assert finding is not None
        assert finding.kind == MOVED
        measured = {
            word: float(number) for number, word in re.findall(r"(\d\.\d\d) pixels (?:too far )?(\w+)", finding.text)
        }
        expected = {"down": down, "up": -down, "right": right, "left": -right}
        assert measured == pytest.approx({word: length for word, length in expected.items() if length > 0}, abs=0.03)


@pytest.mark.parametrize("scale", [2, 3])
def test_shifts_by_parts_of_a_pixel_are_found(scale: int) -> None:
    for hr in VIVID:
        finding = fault(derive_lr(hr.roll((1, -1), (1, 2)), scale, SHRINK), hr)
        assert finding is not None
        assert finding.kind == SHIFTED


def test_half_a_pixel_at_scale_one_is_a_shift() -> None:
    for hr in VIVID:
        half = to_uint8((to_float(hr) + to_float(hr.roll(1, 2))) / 2)
        finding = fault(half, hr)
        assert finding is not None
        assert finding.kind == SHIFTED
        assert "0.5" in finding.text


def test_aligned_corners_make_an_image_too_narrow() -> None:
    for hr in VIVID:
        finding = fault(interpolated(hr, 2, "bicubic", True), hr)
        assert finding is not None
        assert finding.kind == SHIFTED
        assert "too narrow" in finding.text


@pytest.mark.parametrize(
    ("mode", "scale"), [("nearest", 2), ("nearest", 3), ("nearest", 4), ("bicubic", 2), ("bicubic", 4), ("bilinear", 4)]
)
def test_downscaling_without_antialiasing_is_found(mode: str, scale: int) -> None:
    kinds = [finding and finding.kind for finding in (fault(interpolated(hr, scale, mode), hr) for hr in VIVID)]
    assert kinds == [ALIASED] * 8


def test_missing_antialiasing_is_found_behind_light_compression() -> None:
    compressed = [jpeg(interpolated(hr, 4, "bicubic"), 90) for hr in VIVID]
    assert [finding and finding.kind for finding in map(fault, compressed, VIVID)] == [ALIASED] * 8


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_another_photograph_is_found(scale: int) -> None:
    other_images = [*VIVID[1:], VIVID[0]]
    findings = [fault(derive_lr(other, scale, SHRINK), hr) for hr, other in zip(VIVID, other_images, strict=True)]
    assert [finding and finding.kind for finding in findings] == [OTHER] * 8


@pytest.mark.parametrize(
    ("code", "phrase"), [(1, "mirrored left to right"), (2, "mirrored top to bottom"), (3, "turned by 180 degrees"),
                        (5, "turned by 90 degrees to the left"), (6, "turned by 90 degrees to the right")]
)  # fmt: skip
def test_flips_and_rotations_are_named(code: int, phrase: str) -> None:
    for hr in VIVID:
        finding = fault(dihedral(derive_lr(hr, 2, SHRINK), code), hr)
        assert finding is not None
        assert (finding.kind, phrase in finding.text) == (TURNED, True)


def test_swapped_channels_are_found() -> None:
    hr = PHOTOGRAPHS[4]  # coffee
    finding = fault(derive_lr(hr, 2, SHRINK).flip(0), hr)
    assert finding is not None
    assert finding.kind == COLOURS


def test_images_without_detail_are_not_judged() -> None:
    assert fault(torch.full((3, 32, 32), 90, dtype=torch.uint8), PHOTOGRAPHS[0][:, :64, :64]) is None
    assert fault(noisy(derive_lr(PHOTOGRAPHS[8], 2, SHRINK), 25), PHOTOGRAPHS[8]) is None  # mostly sky
    assert fault(torch.zeros(3, 8, 8, dtype=torch.uint8), PHOTOGRAPHS[0][:, :16, :16]) is None


@pytest.mark.slow
def test_real_photographs_raise_no_false_alarm(shared: Path) -> None:
    paths = sorted((shared / "train291" / "high_res").iterdir())[::12] + sorted(
        (shared / "Set5" / "high_res").iterdir()
    )
    counts: Counter[str] = Counter()
    for scale in (1, 3):
        for path in paths:
            hr = crop_to_multiple(read_image(path), scale).contiguous()
            lr = derive_lr(hr, scale, SHRINK)
            for degraded in (lr, jpeg(lr, 40), noisy(lr, 10), blurred(lr, 2)):
                finding = fault(degraded, hr)
                counts[finding.kind if finding else "sound"] += 1
    assert counts == {"sound": len(paths) * 8}
