"""Runs on images that are not RGB of 8 bits, from training to the report."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from sr.cli import main
from tests.support.images import photograph
from tests.support.run_differences import differences
from tests.support.runs import Command, StopAt, result_of

SHORT = ["scale=2", "model.channels=8", "data=folder", "trainer.max_epochs=2", "logger=csv"]


@pytest.fixture
def infrared(tmp_path: Path) -> Path:
    """TIFF files of four bands with 16 bits."""
    (tmp_path / "infrared").mkdir()
    for number in range(8):
        rgb = np.asarray(photograph(40, 48, seed=number)).astype(np.uint16) * 257
        bands = np.dstack([rgb, rgb[..., :1] // 2 + rgb[..., 1:2] // 3])
        tifffile.imwrite(
            tmp_path / "infrared" / f"{number}.tif", bands, photometric="minisblack", planarconfig="contig"
        )
    return tmp_path / "infrared"


def test_four_channels_of_sixteen_bits_are_trained_scored_and_enlarged(
    command: Command, infrared: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code, text = command(*SHORT, f"data.root={infrared}", "data.channels=4", "data.bits=16")
    assert (code, "4 channels, 16 bits" in text) == (0, True), text
    run, out = tmp_path / "run", tmp_path / "out"
    assert result_of(run)["config"]["model"]["image_channels"] == 4
    main(["evaluate", str(run), "--data", str(infrared), "--protocol", "rgb", "--bits", "16", "--save", str(out)])
    main(["predict", str(infrared / "0.tif"), "-m", str(run), "-o", str(tmp_path / "big.tif")])
    main(["report", str(run)])
    printed = capfd.readouterr().out
    assert "8 images, scale 2" in printed
    assert "4 channels, 16 bits, scale 2" in printed
    with tifffile.TiffFile(tmp_path / "big.tif") as big:
        assert (big.pages.first.shape, big.pages.first.dtype) == ((80, 96, 4), np.dtype(np.uint16))


def test_saved_outputs_of_sixteen_bits_score_as_the_network_that_made_them(
    command: Command, infrared: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command(*SHORT, f"data.root={infrared}", "data.channels=4", "data.bits=16")
    scoring = ["--data", str(infrared), "--scale", "2", "--protocol", "rgb", "--bits", "16"]
    main(
        ["evaluate", str(tmp_path / "run"), *scoring, "--save", str(tmp_path / "out"), "--csv", str(tmp_path / "a.csv")]
    )
    outputs = next(path for path in (tmp_path / "out").glob("*/infrared") if "bicubic" not in str(path))
    main(["evaluate", str(tmp_path / "run"), *scoring, "--outputs", str(outputs), "--csv", str(tmp_path / "b.csv")])
    rows = (tmp_path / "b.csv").read_text().splitlines()
    psnr = rows[0].split(",").index("psnr")
    network, finished = (float(row.split(",")[psnr]) for row in rows[2:4])
    assert finished == pytest.approx(network, abs=1e-6)
    assert "WARNING" not in capfd.readouterr().err


def test_a_run_on_sixteen_bits_resumes_exactly(
    command: Command, infrared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = [*SHORT, f"data.root={infrared}", "data.channels=4", "data.bits=16", "data.repeat=4"]
    never = "+callbacks.stop={_target_: tests.support.runs.StopAt, step: -1}"
    assert command(*options, never, folder="whole")[0] == 0
    stop = "+callbacks.stop={_target_: tests.support.runs.StopAt, step: 3}"
    assert command(*options, stop, interrupted=True, folder="cut")[0] == 130
    monkeypatch.setattr(StopAt, "on_train_batch_end", lambda *args: None)
    assert command(*options, stop, folder="cut")[0] == 0
    assert differences(tmp_path / "whole", tmp_path / "cut") == []


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["data.channels=3"], "holds 4 bands, not 3: data.channels=4 trains on them"),
        (
            ["data.channels=4", "model.image_channels=3"],
            "takes images of another number of channels (3) than data.channels=4",
        ),
        (["data.channels=4", "scorer.protocol=y"], "scorer.protocol=y scores the luma of RGB, or gray"),
        (["data.channels=4", "loss=vgg", "vgg_weights=random"], "loss=vgg compares RGB or gray images, not 4 channels"),
        (["data.bits=12"], "data.bits must be one of 8, 16"),
    ],
)
def test_what_does_not_fit_the_channels_is_refused_in_one_line(
    command: Command, infrared: Path, options: list[str], line: str
) -> None:
    code, text = command(*SHORT, f"data.root={infrared}", *options)
    assert code == 2
    assert line in text
    assert "Traceback" not in text
    assert not any((infrared.parent / "run").glob("result.json"))


def test_a_model_of_four_channels_is_not_evaluated_beside_one_of_three_nor_under_y(
    command: Command, infrared: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command(*SHORT, f"data.root={infrared}", "data.channels=4")
    for more, line in ((["espcn_x2"], "images of 3 and 4 channels"), ([], "use --protocol rgb")):
        protocol = ["--protocol", "rgb"] if more else []
        with pytest.raises(SystemExit):
            main(["evaluate", str(tmp_path / "run"), *more, "--data", str(infrared), *protocol])
        assert line in capfd.readouterr().err


def test_check_data_says_that_bands_are_not_checked(infrared: Path, capfd: pytest.CaptureFixture[str]) -> None:
    main(["check-data", str(infrared)])  # exit code 0
    assert "holds 4 bands, not 3, and is not checked: data.channels=4 trains on them" in capfd.readouterr().out
