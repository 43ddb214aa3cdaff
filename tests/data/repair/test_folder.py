import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sr.cli import main
from sr.data.check import check
from sr.data.folders.named import FolderOptions
from sr.data.pairs import derive_lr
from sr.data.repair.folder import repair
from sr.data.repair.journal import FILE
from sr.data.repair.mend import mend
from sr.data.sources import demo_photographs
from sr.errors import UserError
from sr.io.images import read_image, to_pil

PHOTOGRAPHS = [read_image(file) for file in sorted({source.hr for source in demo_photographs()})]


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """Pairs at scale 2: sound, moved by two pixels, of an odd size, mirrored, unreadable, without partner."""
    root = tmp_path / "pairs"
    for name in ("high_res", "low_res"):
        (root / name).mkdir(parents=True)
    for number, name in enumerate(("sound", "moved", "odd", "mirrored", "broken", "single")):
        image = PHOTOGRAPHS[number][:, :200, :200].contiguous()
        lr = derive_lr(image, 2, 2)
        if name == "moved":
            lr = lr.roll(2, 1)
        if name == "mirrored":
            lr = lr.flip(2)
        hr = PHOTOGRAPHS[number][:, :201, :200] if name == "odd" else image
        to_pil(hr).save(root / "high_res" / f"{name}.png")
        to_pil(lr).save(root / "low_res" / f"{name}.png")
    (root / "low_res" / "broken.png").write_bytes(b"no image")
    (root / "low_res" / "single.png").unlink()
    return root


def repaired(source: Path, out: Path) -> tuple[bool, list[str]]:
    lines: list[str] = []
    return repair(source, out, FolderOptions(), lines.append), lines


def names(out: Path) -> list[str]:
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*.*") if path.name != FILE)


def test_every_pair_is_mended_or_copied_or_left_out_in_one_line(damaged: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in damaged.rglob("*.png")}
    complete, lines = repaired(damaged, tmp_path / "out")
    assert not complete
    assert lines == [
        f"{damaged}/high_res/single.png: left out: has no partner of that name in low_res/",
        f"broken: left out: {damaged}/low_res/broken.png: cannot be read as an image (not an image): replace the file",
        "mirrored: left out: shows its high resolution mirrored left to right",
        lines[3],
        "odd: high resolution cropped from 200x201 to 200x200",
        "sound: copied",
        f"{tmp_path}/out: 2 pairs mended, 1 copied, 3 files or pairs left out, at scale 2",
    ]
    assert lines[3].startswith("moved: shifted by -2.0")
    assert lines[3].endswith("high resolution cropped from 200x200 to 200x196, low resolution cropped from 100x100 to "
                             "100x98")  # fmt: skip
    assert names(tmp_path / "out") == [f"{part}/{name}.png" for part in ("high_res", "low_res")
                                       for name in ("moved", "odd", "sound")]  # fmt: skip
    assert {path: path.read_bytes() for path in before} == before
    for part in ("high_res", "low_res"):
        assert (tmp_path / "out" / part / "sound.png").read_bytes() == before[damaged / part / "sound.png"]
    assert check([tmp_path / "out"]).exit_code == 0


def test_a_folder_that_holds_anything_else_is_refused(damaged: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="is not empty, and nothing is overwritten"):
        repaired(damaged, out)
    assert [path.name for path in out.iterdir()] == ["mine.txt"]
    for inside in (damaged / "new", damaged, tmp_path):
        with pytest.raises(UserError, match="overlaps"):
            repaired(damaged, inside)


def test_derived_low_resolution_has_nothing_to_mend(damaged: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no low resolution to mend"):
        repaired(damaged / "high_res", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_interrupted_repair_is_continued(damaged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, lines = tmp_path / "out", list[str]()

    def stop(line: str) -> None:
        lines.append(line)
        if line.startswith("moved"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        repair(damaged, out, FolderOptions(), stop)
    with (out / FILE).open("a") as file:
        file.write('{"pair": "od')  # as a kill may leave it
    seen: list[str] = []

    def counted(hr: np.ndarray, lr: np.ndarray, scale: int) -> object:
        seen.append("")
        return mend(hr, lr, scale)

    monkeypatch.setattr("sr.data.repair.folder.mend", counted)
    complete, rest = repaired(damaged, out)
    assert (complete, len(seen)) == (False, 3)
    assert rest[1] == f"{out}: 1 pairs were done before; 2, left out before or without their new files, are tried again"
    assert [line.partition(":")[0] for line in rest[2:-1]] == ["broken", "mirrored", "odd", "sound"]
    assert rest[-1] == f"{out}: 2 pairs mended, 1 copied, 3 files or pairs left out, at scale 2"
    records = [json.loads(line) for line in (out / FILE).read_text().splitlines()]
    assert [record.get("pair") for record in records] == [None, "broken", "mirrored", "moved", "odd", "sound"]
    with pytest.raises(UserError, match="holds the repair of"):
        repair(damaged, out, FolderOptions(scale=4), lines.append)


def test_a_pair_whose_file_was_replaced_or_whose_new_file_is_gone_is_done_again(damaged: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    repaired(damaged, out)
    written = {path: path.read_bytes() for path in out.rglob("*.png")}
    (out / "low_res" / "moved.png").unlink()
    to_pil(derive_lr(PHOTOGRAPHS[4][:, :200, :200].contiguous(), 2, 2)).save(damaged / "low_res" / "broken.png")
    (damaged / "low_res" / "mirrored.png").unlink()
    complete, lines = repaired(damaged, out)
    assert not complete
    assert "broken: copied" in lines
    assert lines[-1] == f"{out}: 2 pairs mended, 2 copied, 2 files or pairs left out, at scale 2"
    assert {path: path.read_bytes() for path in written} == written
    assert check([out]).exit_code == 0
    assert repaired(damaged, out)[1][-1] == lines[-1]


def test_the_scale_is_that_of_upright_images(tmp_path: Path) -> None:
    root = tmp_path / "pairs"
    for name in ("high_res", "low_res"):
        (root / name).mkdir(parents=True)
    for number in range(2):
        image = PHOTOGRAPHS[number][:, :120, :180].contiguous()
        exif = Image.Exif()
        exif[274] = 6  # to be shown turned by 90 degrees clockwise
        to_pil(image).transpose(Image.Transpose.ROTATE_90).save(root / "high_res" / f"{number}.png", exif=exif)
        to_pil(derive_lr(image, 2, 2)).save(root / "low_res" / f"{number}.png")
    complete, lines = repaired(root, tmp_path / "out")
    assert complete
    assert lines[-1] == f"{tmp_path}/out: 0 pairs mended, 2 copied, 0 files or pairs left out, at scale 2"


def test_sides_that_disagree_on_a_scale_are_no_scale(tmp_path: Path) -> None:
    root = tmp_path / "pairs"
    for name, size in (("high_res", (120, 180)), ("low_res", (60, 60))):
        (root / name).mkdir(parents=True)
        to_pil(PHOTOGRAPHS[0][:, : size[0], : size[1]].contiguous()).save(root / name / "0.png")
    with pytest.raises(UserError, match="no pair has sides with a common factor: set it with --scale"):
        repaired(root, tmp_path / "out")


def test_the_command_exits_with_0_if_all_is_mended(
    damaged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("mirrored", "broken", "single"):
        for path in damaged.rglob(f"{name}.png"):
            path.unlink()
    main(["check-data", str(damaged), "--repair", str(tmp_path / "out")])
    assert capsys.readouterr().out.endswith("2 pairs mended, 1 copied, 0 files or pairs left out, at scale 2\n")


def test_low_resolution_of_another_layout_is_named_as_the_high_resolution(tmp_path: Path) -> None:
    images: Sequence[Image.Image] = [to_pil(image[:, :96, :96].contiguous()) for image in PHOTOGRAPHS[:2]]
    high, low = tmp_path / "set" / "DIV2K_train_HR", tmp_path / "set" / "DIV2K_train_LR_bicubic" / "X2"
    for path in (high, low):
        path.mkdir(parents=True)
    for number, image in enumerate(images):
        image.save(high / f"{number:04}.png")
        to_pil(derive_lr(read_image(high / f"{number:04}.png"), 2, 2)).save(low / f"{number:04}x2.png")
    assert repaired(tmp_path / "set", tmp_path / "out")[0]
    assert names(tmp_path / "out") == ["high_res/0000.png", "high_res/0001.png", "low_res/0000.png", "low_res/0001.png"]
