from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from sr.data.pairs import derive_lr, load_pair, rotate45
from sr.data.sources import Source, demo_photographs, image_folder, isr_folders
from sr.errors import UserError
from sr.image import resize, to_float, to_uint8
from sr.io.images import from_pil, read_image, to_pil
from tests.support.images import photograph
from tests.support.runs import MakeFolder


def test_a_folder_without_low_res_lists_its_images_sorted_by_name(make_folder: MakeFolder) -> None:
    sources = isr_folders(make_folder(count=3))
    assert [source.name for source in sources] == ["0", "1", "2"]
    assert all(source.lr is None for source in sources)


def test_low_res_is_paired_by_name_whatever_the_suffix(make_folder: MakeFolder) -> None:
    root = make_folder(count=2, low_scale=2)
    (root / "low_res" / "1.png").rename(root / "low_res" / "1.bmp")
    assert [source.lr and source.lr.name for source in isr_folders(root)] == ["0.png", "1.bmp"]


def test_the_unpacked_archive_is_accepted_at_any_level(make_folder: MakeFolder, tmp_path: Path) -> None:
    inner = make_folder(count=2, low_scale=1, name="dataset/Raw Data")
    assert len(isr_folders(tmp_path)) == 2
    assert len(isr_folders(inner.parent)) == 2
    assert len(isr_folders(inner)) == 2


def test_equal_names_in_several_roots_are_kept_apart(make_folder: MakeFolder) -> None:
    roots = [str(make_folder(count=2, name=name)) for name in ("a", "b", "deep/b")]
    names = [source.name for source in isr_folders(roots)]
    assert len(set(names)) == 6
    assert {name.rpartition("/")[0] for name in names} == {"0_a", "1_b", "2_b"}


def test_system_files_are_ignored(make_folder: MakeFolder) -> None:
    root = make_folder(count=2)
    for name in (".DS_Store", "Thumbs.db", "desktop.ini"):
        (root / "high_res" / name).touch()
    assert len(isr_folders(root)) == 2


def test_bad_folders_are_named_with_how_to_fix_them(make_folder: MakeFolder, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data\.root=FOLDER.*adityachandrasekhar/image-super-resolution"):
        isr_folders(None)
    with pytest.raises(UserError, match="no such folder"):
        isr_folders(tmp_path / "none")
    (tmp_path / "bare").mkdir()
    with pytest.raises(UserError, match="no folder high_res/"):
        isr_folders(tmp_path / "bare")
    (tmp_path / "bare" / "high_res").mkdir()
    with pytest.raises(UserError, match=r"choose its parent folder: data\.root=.*bare$"):
        isr_folders(tmp_path / "bare" / "high_res")
    with pytest.raises(UserError, match="no images in it"):
        isr_folders(tmp_path / "bare")
    root = make_folder(count=3, low_scale=2)
    with pytest.raises(UserError, match="twice"):
        isr_folders([str(root), str(root)])
    (root / "low_res" / "1.png").unlink()
    with pytest.raises(UserError, match=r"high_res/1\.png: has no partner .* in low_res/"):
        isr_folders(root)
    photograph(9, 9).save(root / "low_res" / "1.png")
    photograph(9, 9).save(root / "low_res" / "extra.png")
    with pytest.raises(UserError, match=r"low_res/extra\.png: has no partner .* in high_res/"):
        isr_folders(root)
    photograph(9, 9).save(root / "high_res" / "2.bmp")
    with pytest.raises(UserError, match="has the same name"):
        isr_folders(root)


def test_demo_photographs_are_256_tiles_grouped_by_photograph() -> None:
    sources = demo_photographs()
    assert len({source.group for source in sources}) == 9
    assert len({source.name for source in sources}) == len(sources) > 20
    lr, hr = load_pair(sources[0], 1, 2)
    assert lr.shape == hr.shape == (3, 256, 256)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_low_resolution_is_derived_by_matlabs_bicubic_and_rounded(tmp_path: Path, scale: int) -> None:
    photograph(50, 61).save(tmp_path / "a.png")
    lr, hr = load_pair(Source("a", "a", tmp_path / "a.png"), scale, 2)
    image = read_image(tmp_path / "a.png")
    assert torch.equal(hr, image[:, : 50 // scale * scale, : 61 // scale * scale])
    assert torch.equal(lr, to_uint8(resize(to_float(hr).double(), 1 / scale)))


def test_at_scale_1_the_input_is_downscaled_and_upscaled_by_pillow(tmp_path: Path) -> None:
    image = photograph(48, 64)
    image.save(tmp_path / "a.png")
    lr, hr = load_pair(Source("a", "a", tmp_path / "a.png"), 1, 4)
    expected = image.resize((16, 12), Image.Resampling.BICUBIC).resize((64, 48), Image.Resampling.BICUBIC)
    assert torch.equal(lr, from_pil(expected))
    assert torch.equal(hr, from_pil(image))


def test_given_pairs_must_fit_the_scale(make_folder: MakeFolder) -> None:
    source = isr_folders(make_folder(count=1, size=(48, 64), low_scale=2))[0]
    lr, hr = load_pair(source, 2, 2)
    assert (lr.shape, hr.shape) == ((3, 24, 32), (3, 48, 64))
    with pytest.raises(UserError, match=r"32x24 pixels do not fit 0\.png of 64x48 at scale=3"):
        load_pair(source, 3, 2)


def test_an_image_smaller_than_ssims_window_is_refused(tmp_path: Path) -> None:
    photograph(10, 40).save(tmp_path / "a.png")
    with pytest.raises(UserError, match="at least 11"):
        load_pair(Source("a", "a", tmp_path / "a.png"), 1, 2)


@pytest.mark.parametrize("size", [(64, 64), (48, 80), (81, 47), (256, 256)])
@pytest.mark.parametrize("scale", [1, 2, 3])
def test_rotation_by_45_degrees_leaves_no_empty_corner(size: tuple[int, int], scale: int) -> None:
    white = torch.full((3, size[0] // scale * scale, size[1] // scale * scale), 255, dtype=torch.uint8)
    rotated = rotate45(white, scale)
    assert rotated.min() == 255
    side = min(size) // scale
    assert rotated.shape[1] == rotated.shape[2] == (int(side / 2**0.5) - 2) * scale


def test_an_image_too_small_to_rotate_is_named(tmp_path: Path) -> None:
    photograph(15, 40).save(tmp_path / "small.png")
    with pytest.raises(UserError, match=r"small\.png: 40x15 pixels are too few to rotate"):
        load_pair(Source("a", "a", tmp_path / "small.png", rotated=True), 1, 2)


@pytest.mark.parametrize("find", [isr_folders, image_folder])
def test_stray_and_unpaired_files_are_skipped_on_request(
    find: Callable[..., list[Source]], make_folder: MakeFolder, caplog: pytest.LogCaptureFixture
) -> None:
    root = make_folder(count=4, low_scale=2)
    (root / "high_res" / "README.txt").touch()
    (root / "low_res" / "notes.md").touch()
    (root / "high_res" / "1.png").unlink()
    (root / "low_res" / "2.png").unlink()
    with pytest.raises(UserError):
        find(root)
    assert [source.name for source in find(root, "skip")] == ["0", "3"]
    assert sorted(caplog.messages) == [
        f"skipped {root}/high_res/2.png: has no partner of that name in low_res/",
        f"skipped {root}/high_res/README.txt: not an image file",
        f"skipped {root}/low_res/1.png: has no partner of that name in high_res/",
        f"skipped {root}/low_res/notes.md: not an image file",
    ]


def test_stray_files_in_a_folder_of_images_are_skipped_on_request(
    make_folder: MakeFolder, caplog: pytest.LogCaptureFixture
) -> None:
    folder = make_folder(count=2) / "high_res"
    (folder / "README.txt").touch()
    assert [source.name for source in image_folder(folder, "skip")] == ["0", "1"]
    assert caplog.messages == [f"skipped {folder}/README.txt: not an image file"]


def test_a_folder_name_may_be_a_number(make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(make_folder(count=2, name="2024").parent)
    assert len(isr_folders(2024)) == 2  # type: ignore[arg-type]


def test_rotated_pairs_show_the_same_region_of_the_image(make_folder: MakeFolder) -> None:
    source = isr_folders(make_folder(count=1, size=(96, 128), low_scale=2))[0]
    lr, hr = load_pair(Source("t", "t", source.hr, source.lr, rotated=True), 2, 2)
    assert hr.shape[1:] == (2 * lr.shape[1], 2 * lr.shape[2])
    aligned = (to_float(derive_lr(hr, 2, 2)) - to_float(lr)).abs().mean()
    shifted = (to_float(derive_lr(hr, 2, 2))[:, 1:] - to_float(lr)[:, :-1]).abs().mean()
    assert aligned < 0.5 * shifted


def test_the_input_of_a_rotated_copy_is_derived_from_it(make_folder: MakeFolder) -> None:
    source = isr_folders(make_folder(count=1, size=(96, 128)))[0]
    lr, hr = load_pair(Source("t", "t", source.hr, rotated=True), 1, 2)
    assert torch.equal(lr, derive_lr(hr, 1, 2))
    middle = to_pil(read_image(source.hr)).rotate(45, Image.Resampling.BICUBIC)
    assert torch.equal(hr[:, 32, 32], from_pil(middle)[:, (96 - 65) // 2 + 32, (128 - 65) // 2 + 32])


def test_any_folder_of_images_is_accepted_and_high_res_inside_it_is_recognised(
    make_folder: MakeFolder, tmp_path: Path
) -> None:
    root = make_folder(count=3, low_scale=2)
    sources = image_folder(root / "high_res")
    assert [(source.name, source.lr) for source in sources] == [("0", None), ("1", None), ("2", None)]
    assert all(source.lr for source in image_folder(root))
    assert {source.group for source in image_folder([root, root / "high_res"])} == {
        *(f"data/{number}" for number in range(3)),
        *(f"high_res/{number}" for number in range(3)),
    }
    (tmp_path / "empty").mkdir()
    for folder, message in ((tmp_path / "empty", "no images in it"), (tmp_path / "no", "no such folder")):
        with pytest.raises(UserError, match=message):
            image_folder(folder)
    with pytest.raises(UserError, match=r"data=folder needs data\.root"):
        image_folder(None)
