"""``sr degrade``: copies to look at."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sr.cli import main
from sr.data.degrade.base import generator
from sr.data.degrade.jpeg import Jpeg
from sr.data.degrade.photo import Photo
from sr.data.degraded_copies import DegradedCopies
from sr.data.pairs import load_pair
from sr.data.sources import Source
from sr.image import to_uint8
from sr.io.images import read_image
from tests.support.images import photograph


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "photos"
    path.mkdir()
    for number in range(3):
        photograph(33, 40, seed=number).save(path / f"{number}.png")
    return path


def test_copies_are_the_inputs_that_models_are_scored_on(folder: Path, tmp_path: Path) -> None:
    main(["degrade", str(folder), "--degrade", "photo", "-o", str(tmp_path / "out")])
    for number in range(3):
        source = Source(str(number), str(number), folder / f"{number}.png")
        expected = load_pair(source, 2, 2, degradation=Photo())[0]
        assert torch.equal(read_image(tmp_path / "out" / f"{number}.png"), expected)
    settings = json.loads((tmp_path / "out" / "degraded.json").read_text())
    hashes = settings.pop("images")
    assert settings == {"degradation": Photo().key(), "scale": 2, "seed": 23}
    assert (list(hashes), len(set(hashes.values()))) == (["0", "1", "2"], 3)


def test_copies_are_files_of_low_resolution_for_every_command(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file that says how they were made is no image."""
    out = tmp_path / "out"
    main(["degrade", str(folder), "--degrade", "jpeg", "-o", str(out)])
    main(["evaluate", "--baselines", "--scale", "2", "--data", str(folder), "--low-res", str(out)])
    assert re.search(r"bicubic +photos +x2 +y +\d+\.\d\d", capsys.readouterr().out)
    main(["check-data", str(folder), "--low-res", str(out)])
    assert "0 errors" in capsys.readouterr().out


def test_at_scale_1_the_size_stays(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--degrade", "jpeg:quality=[20,60]", "--scale", "1", "--seed", "5"]
    main(["degrade", str(folder), *options, "-o", str(tmp_path / "out")])
    image = torch.from_numpy(np.asarray(photograph(33, 40, seed=1))).permute(2, 0, 1)
    expected = to_uint8(Jpeg((20, 60))(image.double() / 255, 1, generator(5, "1")))
    assert torch.equal(read_image(tmp_path / "out" / "1.png"), expected)
    assert "size kept, by jpeg(quality=[20, 60])" in capsys.readouterr().err


def test_an_interrupted_command_goes_on_and_overwrites_nothing(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ["degrade", str(folder), "--degrade", "photo", "-o", str(out)]
    main(command)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    (out / "1.png").unlink()
    times = {path.name: path.stat().st_mtime_ns for path in out.glob("*.png")}
    main(command)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert {name: (out / name).stat().st_mtime_ns for name in times} == times
    assert "2 of 3 images exist" in capsys.readouterr().err
    for other in (["--seed", "1"], ["--scale", "3"], ["--degrade", "jpeg"]):
        with pytest.raises(SystemExit, match="2"):
            main([*command, *other])
        assert "degraded.json: does not say that the copies were made by" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_copies_of_other_images_with_the_same_names_are_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, others = tmp_path / "out", tmp_path / "others"
    others.mkdir()
    for number in range(3):
        photograph(33, 40, seed=50 + number).save(others / f"{number}.png")
    command = ["--degrade", "bicubic", "-o", str(out)]
    main(["degrade", str(folder), *command])
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(SystemExit, match="2"):
        main(["degrade", str(others), *command])
    assert f"0.png: was made of another image than {others / '0.png'} is now" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    recorded = json.loads((out / "degraded.json").read_text())
    del recorded["images"]  # as written before they were recorded
    (out / "degraded.json").write_text(json.dumps(recorded))
    main(["degrade", str(folder), *command])
    assert "images" in json.loads((out / "degraded.json").read_text())


@pytest.mark.parametrize(("place", "options"), [("photos", []), ("photos/small", ["--recursive"])])
def test_copies_are_not_written_among_the_images(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str, options: list[str]
) -> None:
    for path in folder.iterdir():
        path.rename(path.with_suffix(".jpg"))
    with pytest.raises(SystemExit, match="2"):
        main(["degrade", str(folder), "--degrade", "bicubic", "-o", str(tmp_path / place), *options])
    assert re.search("holds the images themselves|is read by --recursive", capsys.readouterr().err)
    assert not list(folder.rglob("*.png"))


def test_copies_may_lie_beside_the_images(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "set"
    place.mkdir()
    folder.rename(place / "high_res")
    main(["degrade", str(place), "--degrade", "bicubic", "--recursive", "-o", str(place / "low_res")])
    main(["degrade", str(place / "high_res"), "--degrade", "bicubic", "-o", str(place)])
    assert len(list(place.glob("*.png"))) == len(list((place / "low_res").glob("*.png"))) == 3


def test_a_folder_of_other_copies_is_refused_even_if_no_name_occurs_twice(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more, out = tmp_path / "more", tmp_path / "out"
    more.mkdir()
    photograph(33, 40, seed=9).save(more / "9.png")
    main(["degrade", str(folder), "--degrade", "blur", "-o", str(out)])
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(SystemExit, match="2"):
        main(["degrade", str(more), "--degrade", "jpeg", "-o", str(out)])
    assert "degraded.json: does not say that the copies were made by jpeg" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    main(["degrade", str(more), "--degrade", "blur", "-o", str(out)])
    assert sorted(path.name for path in out.glob("*.png")) == ["0.png", "1.png", "2.png", "9.png"]


def test_a_file_of_unknown_origin_is_refused(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "1.png").write_bytes(b"mine")
    with pytest.raises(SystemExit, match="2"):
        main(["degrade", str(folder), "--degrade", "jpeg", "-o", str(tmp_path / "out")])
    assert "1.png: exists, and no degraded.json says" in capsys.readouterr().err
    assert (tmp_path / "out" / "1.png").read_bytes() == b"mine"


def test_ctrl_c_ends_in_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*unused: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(DegradedCopies, "write", interrupted)
    with pytest.raises(SystemExit, match="130"):
        main(["degrade", str(folder), "--degrade", "photo", "-o", str(tmp_path / "out")])
    assert capsys.readouterr().err.splitlines()[-1] == "interrupted"


def test_a_damaged_image_is_named_and_the_others_are_written(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "0.png").write_bytes((folder / "0.png").read_bytes()[:200])
    Image.fromarray(np.zeros((40, 40), np.uint16)).save(folder / "deep.png")
    with pytest.raises(SystemExit, match="1"):
        main(["degrade", str(folder), "--degrade", "jpeg", "-o", str(tmp_path / "out")])
    error = capsys.readouterr().err
    assert "0.png" in error
    assert "1 of 4 files have 16 bits, of which 8 are kept: deep.png" in error
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == ["1.png", "2.png", "deep.png"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--degrade", "photoo"], "no such degradation; did you mean photo?"),
        (["--degrade", "jpeg,blur"], "name one degradation"),
        (["--degrade", "jpeg", "--scale", "0"], "--scale must be an integer of 1 or more"),
        (["--degrade", "jpeg", "--seed", "-1"], "--seed must be an integer of 0 or more"),
    ],
)
def test_bad_options_are_one_line_and_write_nothing(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["degrade", str(folder), *options, "-o", str(tmp_path / "out")])
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (tmp_path / "out").exists()
