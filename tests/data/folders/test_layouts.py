"""Data sets as people have them: what is paired with what, and what is said and refused."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from sr.benchmark.evaluate import evaluate
from sr.cli import main
from sr.data.check import check
from sr.data.folders.layouts import locate
from sr.data.folders.named import FolderOptions
from sr.data.pairs import derive_lr, load_pair
from sr.data.sources import Source, image_folder, isr_folders, one_set
from sr.errors import UserError
from sr.image import crop_to_multiple
from sr.io.images import read_image, to_pil
from sr.terms import Part
from tests.support.images import photograph


def write(root: Path, *names: str, size: tuple[int, int] = (48, 64)) -> None:
    """Write an image for each name; those of low resolution need not fit, since they are not read."""
    for seed, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        photograph(*size, seed=seed).save(root / name)


def relative(sources: list[Source], root: Path) -> list[tuple[str, str, str | None]]:
    return [
        (
            source.name,
            source.hr.relative_to(root).as_posix(),
            source.lr.relative_to(root).as_posix() if source.lr else None,
        )
        for source in sources
    ]


# By layout: the files, and by scale the name, high and low resolution of the first image.
LAYOUTS: dict[str, tuple[list[str], dict[int, tuple[str, str, str]]]] = {
    "ISR archive": (
        ["dataset/Raw Data/high_res/1.png", "dataset/Raw Data/low_res/1.png"],
        {1: ("1", "dataset/Raw Data/high_res/1.png", "dataset/Raw Data/low_res/1.png")},
    ),
    "EDSR's benchmarks": (
        ["HR/baby.png", "LR_bicubic/X2/babyx2.png", "LR_bicubic/X3/babyx3.png"],
        {
            2: ("baby", "HR/baby.png", "LR_bicubic/X2/babyx2.png"),
            3: ("baby", "HR/baby.png", "LR_bicubic/X3/babyx3.png"),
        },
    ),
    "HR and LR": (["HR/a.png", "LR/a.png"], {4: ("a", "HR/a.png", "LR/a.png")}),
    "hr and lr": (["hr/a.png", "lr/a.png"], {4: ("a", "hr/a.png", "lr/a.png")}),
    "BasicSR's benchmarks": (
        ["GTmod12/baby.png", "LRbicx2/baby.png", "LRbicx4/baby.png", "original/baby.png"],
        {4: ("baby", "GTmod12/baby.png", "LRbicx4/baby.png")},
    ),
    "ground truth cropped for each scale": (
        ["GTmod2/a.png", "GTmod3/a.png", "LRbicx2/a.png", "LRbicx3/a.png"],
        {2: ("a", "GTmod2/a.png", "LRbicx2/a.png"), 3: ("a", "GTmod3/a.png", "LRbicx3/a.png")},
    ),
    "SelfExSR's benchmarks": (
        [
            *(f"image_SRF_{scale}/img_001_SRF_{scale}_{what}.png" for scale in (2, 3) for what in ("HR", "LR")),
            "image_SRF_2/img_001_SRF_2_bicubic.png",
            "image_SRF_2/img_001_SRF_2_SRCNN.png",
        ],
        {
            2: ("img_001_SRF_2", "image_SRF_2/img_001_SRF_2_HR.png", "image_SRF_2/img_001_SRF_2_LR.png"),
            3: ("img_001_SRF_3", "image_SRF_3/img_001_SRF_3_HR.png", "image_SRF_3/img_001_SRF_3_LR.png"),
        },
    ),
    "DIV2K": (
        ["DIV2K_train_HR/0001.png", "DIV2K_train_LR_bicubic/X4/0001x4.png", "DIV2K_train_LR_x8/0001x8.png"],
        {
            4: ("0001", "DIV2K_train_HR/0001.png", "DIV2K_train_LR_bicubic/X4/0001x4.png"),
            8: ("0001", "DIV2K_train_HR/0001.png", "DIV2K_train_LR_x8/0001x8.png"),
        },
    ),
    "DIV2K of Kaggle": (
        [
            "DIV2K_train_HR/DIV2K_train_HR/0001.png",
            "DIV2K_train_LR_bicubic_X4/DIV2K_train_LR_bicubic/X4/0001x4.png",
        ],
        {
            4: (
                "0001",
                "DIV2K_train_HR/DIV2K_train_HR/0001.png",
                "DIV2K_train_LR_bicubic_X4/DIV2K_train_LR_bicubic/X4/0001x4.png",
            )
        },
    ),
    "Flickr2K": (
        ["Flickr2K_HR/000001.png", "Flickr2K_LR_bicubic/X2/000001x2.png"],
        {2: ("000001", "Flickr2K_HR/000001.png", "Flickr2K_LR_bicubic/X2/000001x2.png")},
    ),
    "BasicSR's sub-images": (
        ["DIV2K_train_HR_sub/0001_s001.png", "DIV2K_train_LR_bicubic/X4_sub/0001_s001.png"],
        {4: ("0001_s001", "DIV2K_train_HR_sub/0001_s001.png", "DIV2K_train_LR_bicubic/X4_sub/0001_s001.png")},
    ),
}


@pytest.mark.parametrize("find", [image_folder, isr_folders])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_is_found_by_itself(tmp_path: Path, layout: str, find: Callable[..., list[Source]]) -> None:
    files, expected = LAYOUTS[layout]
    write(tmp_path, *files)
    for scale, pair in expected.items():
        assert relative(find(tmp_path, scale=scale), tmp_path) == [pair]


@pytest.mark.parametrize("layout", sorted(set(LAYOUTS) - {"ISR archive", "DIV2K of Kaggle"}))
def test_the_low_resolution_is_found_beside_a_folder_of_high_resolution(tmp_path: Path, layout: str) -> None:
    files, expected = LAYOUTS[layout]
    write(tmp_path, *files)
    for scale, pair in expected.items():
        assert relative(image_folder(tmp_path / Path(pair[1]).parent, scale=scale), tmp_path) == [pair]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_low_resolution_that_is_named_alone_is_never_taken_for_high(tmp_path: Path, layout: str) -> None:
    files, expected = LAYOUTS[layout]
    write(tmp_path, *files)
    for scale, (_, high, low) in expected.items():
        if Path(low).parent != Path(high).parent and layout != "DIV2K of Kaggle":
            with pytest.raises(
                UserError, match=f"holds the low resolution of .*{Path(high).parts[0][:5]}.*: name that folder"
            ):
                image_folder(tmp_path / Path(low).parent, scale=scale)


@pytest.mark.parametrize("layout", ["EDSR's benchmarks", "BasicSR's benchmarks", "SelfExSR's benchmarks", "DIV2K"])
def test_without_low_resolution_of_the_scale_it_is_derived_and_said(
    tmp_path: Path, layout: str, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, *LAYOUTS[layout][0])
    (source,) = image_folder(tmp_path, scale=6)
    assert source.lr is None
    said = [line for line in caplog.messages if "low resolution is derived: there is no" in line]
    assert len(said) == 1
    assert "only scale 2" in said[0] or "only scale 4, 8" in said[0]


def test_a_folder_of_folders_of_other_scales_has_no_partners(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, "HR/a.png", "LR/X2/a.png")
    (source,) = image_folder(tmp_path, scale=3)
    assert source.lr is None
    assert "low resolution is derived: there is no" in caplog.text
    assert "only scale 2" in caplog.text


def test_photographs_of_the_scale_are_degraded(tmp_path: Path) -> None:
    names = [f"Set/image_SRF_{scale}/img_001_SRF_{scale}_HR.png" for scale in (2, 3)]
    write(tmp_path, *names)
    for scale, name in zip((2, 3), names, strict=True):
        (source,) = one_set(tmp_path / "Set", FolderOptions(scale, high_only=True))
        assert (source.hr, source.lr) == (tmp_path / name, None)


def test_what_is_used_and_what_is_left_out_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, *LAYOUTS["SelfExSR's benchmarks"][0], "extra.png")
    image_folder(tmp_path, scale=2)
    assert caplog.messages == [
        f"{tmp_path}/image_SRF_2: 2 images left out that are neither _HR nor _LR, such as img_001_SRF_2_SRCNN",
        f"{tmp_path}: 1 image beside image_SRF_2/ left out",
    ]
    caplog.clear()
    write(tmp_path / "b", *LAYOUTS["EDSR's benchmarks"][0])
    image_folder(tmp_path / "b", scale=3)
    assert caplog.messages == [f"{tmp_path}/b/HR: low resolution from LR_bicubic/X3"]


def test_the_usual_layout_is_read_without_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, "high_res/1.png", "low_res/1.png")
    image_folder(tmp_path, scale=2)
    image_folder(tmp_path / "high_res", scale=2)
    assert caplog.messages == [
        f"{tmp_path}/high_res: low resolution is derived: name its parent folder to use low_res/"
    ]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["HR/a.png", "GTmod12/a.png"], "has GTmod12/ and HR/: name one of them, such as {root}/GTmod12"),
        (
            ["X_train_HR/1.png", "X_train_HR_sub/1_s001.png", "X_valid_HR/2.png"],
            "has X_train_HR/ and X_train_HR_sub/ and",
        ),
        (["DIV2K_train_HR/1.png", "Flickr2K_HR/1.png"], "has DIV2K_train_HR/ and Flickr2K_HR/: name one of them"),
        (["0001.png", "0001x4.png"], "0001 and 0001x4 look like high and low resolution in one folder: pair them with"),
        (["a.png", "b.png", "a_LR.png"], "low_res_name or --low-res-name '{stem}_LR'"),
        (["a_LR.png", "b_LR.png"], "all its files are named as low resolution (a_LR)"),
        (
            ["Set5/a.png", "Set14/b.png"],
            "only in subfolders (Set14, Set5): name one of them, or read all with data.recur",
        ),
    ],
)
def test_what_is_ambiguous_is_refused_in_one_line_with_the_way_out(
    tmp_path: Path, files: list[str], message: str
) -> None:
    write(tmp_path, *files)
    with pytest.raises(UserError, match=re.escape(message.replace("{root}", str(tmp_path)))) as caught:
        image_folder(tmp_path, scale=4)
    assert "\n" not in str(caught.value)


def test_several_scales_and_none_wanted_are_refused(tmp_path: Path) -> None:
    write(tmp_path, *LAYOUTS["EDSR's benchmarks"][0])
    with pytest.raises(UserError, match="has low resolution of scales 2, 3: choose one with --scale"):
        locate(tmp_path)
    (source,) = one_set(tmp_path, FolderOptions(high_only=True))
    assert source.lr is None


def test_sub_images_of_a_photograph_are_one_group(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, *(f"{number}_s00{part}.png" for number in ("0001", "0002") for part in (1, 2)))
    assert [source.group for source in image_folder(tmp_path)] == ["0001", "0001", "0002", "0002"]
    assert caplog.messages == [f"{tmp_path}: 4 sub-images of 2 photographs"]


def test_the_validation_images_of_div2k_are_its_validation_part(tmp_path: Path) -> None:
    write(tmp_path, "DIV2K_train_HR/0001.png", "DIV2K_valid_HR/0801.png", "DIV2K_valid_LR_bicubic/X2/0801x2.png")
    train, valid = image_folder(tmp_path, scale=2)
    assert (train.name, train.part, train.lr) == ("0001", None, None)
    assert (valid.name, valid.group, valid.part) == ("val/0801", "val/0801", Part.VAL)
    assert valid.lr
    with pytest.raises(
        UserError, match=r"has images for training and for validation: name one, such as .*DIV2K_valid_HR"
    ):
        one_set(tmp_path, FolderOptions(2))
    report = check([tmp_path], FolderOptions(2))
    assert (report.images, list(report.scales)) == (2, [f"{tmp_path}/DIV2K_{part}_HR" for part in ("train", "valid")])


def test_low_resolution_is_named_by_options(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, "sharp/a.png", "sharp/b.png", "small/a_small.png", "small/b_small.png", "small/X2/ax2.png")
    sharp, small = str(tmp_path / "sharp"), str(tmp_path / "small")
    for settings in (
        {"root": sharp, "low_res": small, "low_res_name": "{stem}_small"},
        {"root": None, "high_res": sharp, "low_res": small, "low_res_name": "{stem}_small.png"},
    ):
        sources = image_folder(**settings, scale=2)
        assert [source.lr and source.lr.name for source in sources] == ["a_small.png", "b_small.png"]
    with pytest.raises(UserError, match=r"sharp/a\.png: has no partner of that name in small/ \(and 3 more\)"):
        image_folder(sharp, low_res=small, scale=2)
    with pytest.raises(UserError, match=r"small/none: no such folder \(data\.low_res\)"):
        image_folder(sharp, low_res=f"{small}/none")
    with pytest.raises(UserError, match=r"low_res_name='x\{scale\}': has to be made of \{stem\}"):
        image_folder(sharp, low_res=small, low_res_name="x{scale}")
    with pytest.raises(UserError, match=r"data\.high_res=.* stands in place of data\.root"):
        image_folder(sharp, high_res=sharp)
    with pytest.raises(UserError, match=r"data\.low_res=.* belongs to one folder"):
        image_folder([sharp, small], low_res=small)
    assert not caplog.messages


def test_high_and_low_resolution_in_one_folder_are_told_apart_by_the_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, "0001.png", "0001x4.png", "0002.png", "0002x4.png")
    sources = image_folder(tmp_path, low_res_name="{stem}x{scale}", scale=4)
    assert relative(sources, tmp_path) == [("0001", "0001.png", "0001x4.png"), ("0002", "0002.png", "0002x4.png")]
    for name in ("0001x4.png", "0002x4.png"):
        (tmp_path / name).unlink()
    assert [source.lr for source in image_folder(tmp_path, low_res_name="{stem}_s", scale=4)] == [None, None]
    assert caplog.messages == [f"{tmp_path}: low resolution is derived: there is none named {{stem}}_s"]


def test_a_folder_that_is_named_as_high_resolution_is_taken_as_it_is(tmp_path: Path) -> None:
    write(tmp_path, *LAYOUTS["EDSR's benchmarks"][0])
    (source,) = image_folder(None, high_res=str(tmp_path / "LR_bicubic" / "X2"), scale=2)
    assert (source.name, source.lr) == ("babyx2", None)


def test_subfolders_are_read_on_request_and_hidden_files_never(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, "a.png", "b/a.png", "b/c/d.png", ".hidden/e.png", "b/.f.png")
    (tmp_path / "b" / "loop").symlink_to(tmp_path)
    assert [source.name for source in image_folder(tmp_path)] == ["a"]
    assert caplog.messages == [
        f"{tmp_path}: images in subfolders left out (b): data.recursive=true or --recursive reads them"
    ]
    assert [source.name for source in image_folder(tmp_path, recursive=True)] == ["a", "b/a", "b/c/d"]


def test_pairs_in_subfolders_are_in_the_same_one(tmp_path: Path) -> None:
    write(tmp_path, "HR/x/1.png", "HR/y/1.png", "LR/x/1.png", "LR/y/1.png")
    sources = image_folder(tmp_path, recursive=True)
    assert relative(sources, tmp_path) == [("x/1", "HR/x/1.png", "LR/x/1.png"), ("y/1", "HR/y/1.png", "LR/y/1.png")]


def test_low_resolution_in_subfolders_is_never_taken_for_high(tmp_path: Path) -> None:
    write(tmp_path, "Set5/HR/a.png", "Set5/LR_bicubic/X2/ax2.png")
    with pytest.raises(UserError, match=r"X2/ax2\.png: is in a folder of low resolution: name the data sets"):
        image_folder(tmp_path, recursive=True)


@pytest.mark.parametrize("find", [image_folder, lambda root: one_set(root, FolderOptions(2))])
def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path, find: Callable[[Path], list[Source]]) -> None:
    (tmp_path / "notes").mkdir()
    with pytest.raises(UserError, match=r"notes: no images in it"):
        find(tmp_path / "notes")


def test_high_resolution_is_cropped_to_its_low_resolution(tmp_path: Path) -> None:
    write(tmp_path, "HR/a.png", size=(50, 67))
    (tmp_path / "LR").mkdir()
    hr = read_image(tmp_path / "HR" / "a.png")
    to_pil(derive_lr(crop_to_multiple(hr, 4), 4, 2)).save(tmp_path / "LR" / "a.png")
    (source,) = image_folder(tmp_path, scale=4)
    assert load_pair(source, 4, 2)[1].shape == (3, 48, 64)


def set5_as(layout: str, images: Path, root: Path) -> None:
    """Arrange benchmark images with their low resolution of scale 2."""
    for path in sorted(images.iterdir()):
        hr = crop_to_multiple(read_image(path), 12 if layout == "GTmod12" else 2)
        names = {
            "HR": (f"HR/{path.stem}.png", f"LR_bicubic/X2/{path.stem}x2.png"),
            "GTmod12": (f"GTmod12/{path.stem}.png", f"LRbicx2/{path.stem}.png"),
            "SRF": tuple(f"image_SRF_2/{path.stem}_SRF_2_{what}.png" for what in ("HR", "LR", "bicubic")),
        }[layout]
        for name, image in zip(names, (hr, derive_lr(hr, 2, 2), hr), strict=False):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            to_pil(image).save(root / name)


@pytest.mark.parametrize("layout", ["HR", "SRF"])
def test_set5_in_any_layout_has_the_score_of_the_plain_folder(tmp_path: Path, shared: Path, layout: str) -> None:
    images = shared / "Set5" / "high_res"
    set5_as(layout, images, tmp_path / "Set5")
    (plain,) = evaluate([], [images], scale=2)
    for folder in (tmp_path / "Set5", *(tmp_path / "Set5").glob("image_SRF_2")):
        (row,) = evaluate([], [folder], scale=2)
        assert (row.psnr, row.ssim, len(row.images)) == (plain.psnr, plain.ssim, 5)


def test_set5_cropped_to_multiples_of_12_is_scored_and_checked(tmp_path: Path, shared: Path) -> None:
    set5_as("GTmod12", shared / "Set5" / "high_res", tmp_path / "Set5")
    (row,) = evaluate([], [tmp_path / "Set5"], scale=2)
    assert row.psnr == pytest.approx(33.66, abs=0.15)  # a few rows and columns less than the published set
    report = check([tmp_path / "Set5"])
    assert (report.images, list(report.scales.values()), report.exit_code) == (5, [2], 0)


def test_a_wrong_scale_of_a_layout_is_found(tmp_path: Path) -> None:
    write(tmp_path, "HR/a.png", size=(96, 96))
    write(tmp_path, "LR_bicubic/X2/ax2.png", size=(32, 32))
    (finding,) = [item for item in check([tmp_path]).findings if item.severity == "error"]
    assert (finding.kind, finding.message) == ("sizes", "32x32 pixels do not fit a.png of 96x96 at scale=2")


def test_the_commands_take_the_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, "sharp/a/1.png", size=(96, 96))
    hr = read_image(tmp_path / "sharp" / "a" / "1.png")
    (tmp_path / "small" / "a").mkdir(parents=True)
    to_pil(derive_lr(hr, 2, 2)).save(tmp_path / "small" / "a" / "1_s.png")
    options = ["--low-res", str(tmp_path / "small"), "--low-res-name", "{stem}_s", "--recursive", "--scale", "2"]
    main(["check-data", str(tmp_path / "sharp"), *options])
    assert capsys.readouterr().out == "1 image at scale 2: 0 errors, 0 warnings, 0 notes\n"
    main(["evaluate", "--baselines", "--data", str(tmp_path / "sharp"), *options])
    assert "bicubic" in capsys.readouterr().out
    data = ["--data", str(tmp_path / "sharp"), *options]
    made = ["--outputs", str(tmp_path / "made"), "--name", "copy", "--command", "sr predict {input} -o {output}"]
    (tmp_path / "made" / "a").mkdir(parents=True)
    main(["evaluate", "--baselines", "--save", str(tmp_path / "saved"), *data])
    (tmp_path / "saved" / "lanczos" / "sharp" / "a" / "1.png").rename(tmp_path / "made" / "a" / "1.png")
    capsys.readouterr()
    main(["evaluate", *made, *data])
    assert "copy" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["check-data", str(tmp_path / "sharp"), str(tmp_path / "small"), *options])
    assert "belongs to one folder, and 2 are named" in capsys.readouterr().err
