import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from sr.cli import main
from sr.data.check import check
from sr.data.findings import ERROR, NOTE, WARNING, Report, render
from sr.data.folders.named import FolderOptions
from sr.data.pairs import derive_lr
from sr.data.sources import demo_photographs
from sr.errors import UserError
from sr.io.images import read_image, to_pil

FILES = sorted({source.hr for source in demo_photographs()})


def picture(number: int) -> Image.Image:
    """The central 192x192 pixels of a photograph; the last one is mostly sky."""
    image = Image.open(FILES[number]).convert("RGB")
    left, top = (image.width - 192) // 2, (image.height - 192) // 2
    return image.crop((left, top, left + 192, top + 192))


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    """Photographs and their low resolution at scale 2, by MATLAB's bicubic."""
    root = tmp_path / "clean"
    for name in ("high_res", "low_res"):
        (root / name).mkdir(parents=True)
    for number in range(len(FILES)):
        picture(number).save(root / "high_res" / f"{number}.png")
        hr = read_image(root / "high_res" / f"{number}.png")
        to_pil(derive_lr(hr, 2, 2)).save(root / "low_res" / f"{number}.png")
    return root


def kinds(report: Report) -> list[tuple[str, str, str]]:
    return [(finding.severity, finding.kind, Path(finding.file).name) for finding in report.findings]


def test_a_clean_folder_has_no_findings(clean: Path) -> None:
    report = check([clean])
    assert (report.findings, report.images, report.scales, report.exit_code) == ([], 9, {str(clean): 2}, 0)
    assert render(report) == "9 images at scale 2: 0 errors, 0 warnings, 0 notes\n"
    assert check([clean / "high_res"]).findings == []


def test_real_folders_have_only_their_known_findings(shared: Path) -> None:
    report = check([shared / "Set5", shared / "train291"])
    assert kinds(report) == [
        (ERROR, "copy across folders", "bsd200_302003.png"),  # Set5's woman, in BSD300's training set
        (WARNING, "copy", "t91_t65.png"),
    ]


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2000])


def with_alpha(path: Path) -> None:
    image = Image.open(path).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    image.save(path)


def with_opaque_alpha(path: Path) -> None:
    Image.open(path).convert("RGBA").save(path)


def with_orientation(path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(path).rotate(90, expand=True).save(path, exif=exif)


def to_sixteen_bits(path: Path) -> None:
    Image.fromarray(np.asarray(Image.open(path).convert("L")).astype(np.uint16) * 257).save(path)


def to_cmyk(path: Path) -> None:
    Image.open(path).convert("CMYK").save(path.with_suffix(".jpg"), quality=95)
    path.unlink()


def to_animation(path: Path) -> None:
    image = Image.open(path)
    image.save(path, save_all=True, append_images=[ImageOps.mirror(image)])


DAMAGES: dict[str, tuple[Callable[[Path], object], list[tuple[str, str]]]] = {
    "cut off": (truncate, [(ERROR, "unreadable")]),
    "no image": (lambda path: path.write_text("no"), [(ERROR, "unreadable")]),
    "other file": (lambda path: path.rename(path.with_suffix(".txt")), [(ERROR, "unreadable")]),
    "tiny": (lambda path: Image.open(path).crop((0, 0, 9, 9)).save(path), [(ERROR, "too small")]),
    "constant": (lambda path: Image.new("RGB", (192, 192), (9, 8, 7)).save(path), [(WARNING, "constant")]),
    "transparent": (with_alpha, [(WARNING, "transparent")]),
    "opaque": (with_opaque_alpha, []),
    "palette": (lambda path: Image.open(path).quantize(256).save(path), [(NOTE, "palette")]),
    "cmyk": (to_cmyk, [(WARNING, "colour space")]),
    "16 bits": (to_sixteen_bits, [(NOTE, "16 bits")]),
    "orientation": (with_orientation, [(NOTE, "EXIF orientation")]),
    "animation": (to_animation, [(NOTE, "several frames")]),
    "gray": (lambda path: Image.open(path).convert("L").save(path), []),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_each_kind_of_damage_to_a_file_is_found(clean: Path, kind: str) -> None:
    damage, expected = DAMAGES[kind]
    damage(clean / "high_res" / "3.png")
    report = check([clean / "high_res"])
    assert [(finding.severity, finding.kind) for finding in report.findings] == expected
    assert all(Path(finding.file).stem == "3" and finding.message and finding.fix for finding in report.findings)
    assert report.exit_code == {ERROR: 2, WARNING: 1}.get(expected[0][0] if expected else NOTE, 0)


def test_copies_are_found_within_and_across_folders(clean: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    picture(1).save(other / "b.png")
    picture(2).resize((128, 128)).save(other / "c.jpg")
    high = clean / "high_res"
    Image.open(high / "0.png").save(high / "x.bmp")
    ImageOps.mirror(Image.open(high / "4.png")).save(high / "y.jpg", quality=80)
    report = check([high, other])
    assert kinds(report) == [
        (ERROR, "copy across folders", "b.png"),
        (ERROR, "copy across folders", "c.jpg"),
        (WARNING, "copy", "x.bmp"),
        (NOTE, "near copy", "y.jpg"),
    ]
    assert report.findings[0].message == f"has the pixels of {high / '1.png'}"
    assert report.exit_code == 2


def test_names_without_a_partner_and_names_used_twice_are_found(clean: Path) -> None:
    (clean / "low_res" / "0.png").unlink()
    (clean / "high_res" / "1.png").unlink()
    picture(2).save(clean / "high_res" / "2.bmp")
    assert kinds(check([clean])) == [
        (ERROR, "same name", "2.png"),
        (ERROR, "unpaired", "0.png"),
        (ERROR, "unpaired", "1.png"),
    ]


def test_pairs_that_do_not_belong_together_are_found(clean: Path) -> None:
    low = clean / "low_res"
    images = [Image.open(low / f"{number}.png").copy() for number in range(9)]
    images[1].save(low / "0.png")
    ImageOps.mirror(images[2]).save(low / "2.png")
    images[3].transform(images[3].size, Image.Transform.AFFINE, (1, 0, 2, 0, 1, 0)).save(low / "3.png")
    picture(4).resize((96, 96), Image.Resampling.NEAREST).save(low / "4.png")
    images[5].crop((0, 0, 90, 96)).save(low / "5.png")
    report = check([clean])
    assert kinds(report) == [
        (ERROR, "another picture", "0.png"),
        (ERROR, "mirrored or turned", "2.png"),
        (ERROR, "moved", "3.png"),
        (ERROR, "sizes", "5.png"),
        (WARNING, "aliased", "4.png"),
    ]
    assert report.findings[2].message == "is misaligned with 3.png: 2.00 pixels too far left"
    assert report.findings[3].message == "90x96 pixels do not fit 5.png of 192x192 at scale=2"


def test_a_given_scale_is_checked_against_all_pairs(clean: Path) -> None:
    assert kinds(check([clean], FolderOptions(3))) == [(ERROR, "sizes", f"{number}.png") for number in range(9)]


def test_a_small_pair_may_fit_several_scales(tmp_path: Path) -> None:
    for name, side in (("high_res", 63), ("low_res", 7)):
        (tmp_path / name).mkdir()
        picture(0).resize((side, side)).save(tmp_path / name / "a.png")
    assert "sizes" not in {finding.kind for finding in check([tmp_path], FolderOptions(8)).findings}


def test_the_command_prints_a_table_and_writes_json(clean: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truncate(clean / "high_res" / "3.png")
    path = clean / "findings.json"
    with pytest.raises(SystemExit) as end:
        main(["check-data", str(clean), "--json", str(path)])
    assert end.value.code == 2
    first, summary, written = capsys.readouterr().out.splitlines()
    assert first.startswith(f"error  unreadable  {clean / 'high_res' / '3.png'}: cannot be read as an image (")
    assert first.endswith("): replace the file")
    assert summary == "9 images at scale 2: 1 error, 0 warnings, 0 notes"
    assert written == str(path)
    content = json.loads(path.read_text())
    assert content["counts"] == {"error": 1, "warning": 0, "note": 0}
    assert [set(finding) for finding in content["findings"]] == [{"severity", "kind", "file", "message", "fix"}]


def test_a_long_list_of_findings_is_truncated(tmp_path: Path) -> None:
    for number in range(14):
        (tmp_path / f"{number}.png").write_text("no image")
    lines = render(check([tmp_path])).splitlines()
    assert len(lines) == 12
    assert lines[-2:] == [
        "error  unreadable  and 4 more",
        "14 images: 14 errors, 0 warnings, 0 notes; --json FILE lists all",
    ]


def test_bad_input_is_refused(clean: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folders, scale, message in (
        ([tmp_path / "none"], None, "no such folder"),
        ([tmp_path / "empty"], None, "no images in it"),
        ([clean, clean / "../clean"], None, "a folder is named twice"),
        ([clean], 0, "--scale must be an integer of 1 or more"),
    ):
        with pytest.raises(UserError, match=message):
            check(folders, FolderOptions(scale))
