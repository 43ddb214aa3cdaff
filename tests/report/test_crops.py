import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sr.io.run_folder import RunFolder
from sr.io.samples import Crops, Square, write_samples
from sr.report.analysis import analyse
from sr.report.board import leaderboard
from sr.report.comparison import find_comparisons
from sr.report.crops import Strip, strips
from tests.support.run_folders import INPUT_GRAY, TARGET_GRAY, TILE_SIDES, RunFolders


def strips_of(root: Path, problems: list[str] | None = None) -> list[Strip]:
    (comparison,) = find_comparisons([root]).comparisons
    return strips(leaderboard(analyse(comparison)), [] if problems is None else problems)


def pixels_of(uri: str) -> np.ndarray:
    head, _, content = uri.partition(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))


def gray_and_side(uri: str | None) -> tuple[int, int]:
    """The gray value and side of a single-colour square image in a data URI."""
    assert uri is not None
    pixels = pixels_of(uri)
    assert pixels.shape[0] == pixels.shape[1]
    assert pixels.shape[2] == 3
    (gray,) = np.unique(pixels)
    return int(gray), len(pixels)


def test_tiles_show_input_outputs_target_and_errors_of_their_image(run_folders: RunFolders) -> None:
    run_folders("vdsr_mse_adam", [1.0, 1.2, 1.4, 1.6], output_gray=115)
    run_folders("espcn_mse_adam", [0.9, 1.0, 1.1, 1.2], output_gray=126)
    shown_strips = strips_of(run_folders.root)
    assert [strip.name for strip in shown_strips] == ["d", "c", "b", "a"]
    assert [strip.spread for strip in shown_strips] == pytest.approx([0.4, 0.3, 0.2, 0.1])
    psnr = {"a": (26.0, 27.0, 26.9), "b": (28.0, 29.2, 29.0), "c": (30.0, 31.4, 31.1), "d": (27.0, 28.6, 28.2)}
    for strip in shown_strips:
        number = "abcd".index(strip.name)
        side = TILE_SIDES[number % 2]
        assert [tile.label for tile in strip.tiles] == ["input", "vdsr", "espcn", "target"]
        grays = [INPUT_GRAY, 115, 126, TARGET_GRAY]
        assert [gray_and_side(tile.picture) for tile in strip.tiles] == [(gray + number, side) for gray in grays]
        errors = [4 * 20, 4 * 5, 4 * 6]  # absolute differences from the target, amplified 4x
        assert [gray_and_side(tile.error) for tile in strip.tiles[:-1]] == [(error, side) for error in errors]
        assert [tile.psnr for tile in strip.tiles[:-1]] == pytest.approx(psnr[strip.name])
        assert (strip.tiles[-1].psnr, strip.tiles[-1].error) == (None, None)


def test_errors_too_large_to_amplify_are_white(run_folders: RunFolders) -> None:
    run_folders("vdsr_mse_adam", [1.0], output_gray=TARGET_GRAY - 100)
    (strip,) = strips_of(run_folders.root)
    assert gray_and_side(strip.tiles[1].error) == (255, TILE_SIDES[0])


def test_the_four_images_on_which_runs_differ_most_are_shown(run_folders: RunFolders) -> None:
    # Only the best and the worst of the three runs are shown, but the spread is over all of them.
    run_folders("vdsr_mse_adam", [2.0, 2.0, 2.0, 2.0, 2.0, 2.0], folds=(0, 0, 0, 1, 1, 1), output_gray=110)
    run_folders("vdsr_mae_adam", [1.9, 1.0, 2.0, 1.3, 1.6, 1.6], folds=(0, 0, 0, 1, 1, 1), output_gray=111)
    run_folders("vdsr_vgg_adam", [1.0, 1.5, 1.5, 1.5, 1.5, 1.5], folds=(0, 0, 0, 1, 1, 1), output_gray=112)
    shown_strips = strips_of(run_folders.root)
    # b and a differ by 1.0, d by 0.7, and c, e and f by 0.5, of which c is the first by name.
    assert [(strip.name, round(strip.spread, 6)) for strip in shown_strips] == [
        ("a", 1.0),
        ("b", 1.0),
        ("d", 0.7),
        ("c", 0.5),
    ]
    assert [tile.label for tile in shown_strips[0].tiles] == ["input", "mse", "vgg", "target"]


def test_the_best_of_each_of_four_models_and_the_worst_run_are_shown(run_folders: RunFolders) -> None:
    for number, cell in enumerate(("a_mse", "a_mae", "b_mse", "c_mse", "d_mse", "e_mse", "b_mae")):
        run_folders(f"{cell}_adam", [1.0 - 0.1 * number] * 4, output_gray=100 + number)
    labels = [tile.label for tile in strips_of(run_folders.root)[0].tiles]
    assert labels == ["input", "a, mse", "b, mse", "c, mse", "d, mse", "b, mae", "target"]


def test_images_without_a_crop_of_every_shown_run_are_left_out(run_folders: RunFolders) -> None:
    run_folders("vdsr_mse_adam", [1.0, 1.2, 1.4, 1.6], output_gray=110)
    other_folder = RunFolder(run_folders("espcn_mse_adam", [0.9, 1.0, 1.1, 1.2]))
    assert strips_of(run_folders.root) == []
    text = PngInfo()
    text.add_text("sr", json.dumps({"side": 8, "rows": [{"name": "b", "top": 0, "left": 0, "side": 8}]}))
    Image.fromarray(np.full((8, 24, 3), 50, np.uint8)).save(other_folder.samples, pnginfo=text)
    (strip,) = strips_of(run_folders.root)
    assert strip.name == "b"
    # Input and target come from the best run, which is first; errors are against the target of the same run.
    assert [gray_and_side(tile.picture) for tile in strip.tiles] == [(101, 6), (111, 6), (50, 6), (121, 6)]
    assert [gray_and_side(tile.error) for tile in strip.tiles[:-1]] == [(80, 6), (40, 6), (0, 6)]


def write_square(path: Path, top: int, left: int, side: int) -> None:
    """The sample of image b alone: crops whose pixels say their place in the image."""
    places = np.add.outer(10 * np.arange(top, top + side), np.arange(left, left + side)).astype(np.uint8)
    crop = np.repeat(places[..., None], 3, axis=2)
    write_samples(path, [(Square("b", top, left, side), Crops(crop, crop, crop))])


def test_all_contestants_show_the_same_place(run_folders: RunFolders) -> None:
    squares = {"vdsr_mse_adam": (2, 3, 8), "espcn_mse_adam": (4, 1, 9)}
    for number, (name, square) in enumerate(squares.items()):
        write_square(RunFolder(run_folders(name, [1.0 - number] * 4)).samples, *square)
    (strip,) = strips_of(run_folders.root)
    # Rows 4 to 10 and columns 3 to 10 are in both.
    expected = np.add.outer(10 * np.arange(4, 10), np.arange(3, 10))
    for tile in strip.tiles:
        assert pixels_of(tile.picture)[..., 0].tolist() == expected.tolist()
    assert "The crop of 7x6 pixels at x 3, y 4" in strip.reason


def test_crops_of_different_places_are_named_and_left_out(
    run_folders: RunFolders, caplog: pytest.LogCaptureFixture
) -> None:
    for number, name in enumerate(("vdsr_mse_adam", "espcn_mse_adam")):
        write_square(RunFolder(run_folders(name, [1.0 - number] * 4)).samples, 10 * number, 0, 4)
    assert strips_of(run_folders.root) == []
    assert "no crops of b: those of the runs show different places of it" in caplog.text


def test_each_image_says_why_it_is_shown(run_folders: RunFolders) -> None:
    run_folders("vdsr_mse_adam", [1.0, 1.2, 1.4, 1.6], output_gray=115)
    run_folders("espcn_mse_adam", [0.9, 1.0, 1.1, 1.2], output_gray=126)
    first, second, *_ = [strip.reason for strip in strips_of(run_folders.root)]
    assert first == (
        "Chosen for the largest difference among 4 images: 0.40 dB between the best and the worst configuration. "
        "The crop of 6x6 pixels at x 0, y 0 is where the input differs most from the target."
    )
    assert second.startswith("Chosen for the second largest difference among 4 images: 0.30 dB")


def test_crops_of_folds_belong_to_their_run(run_folders: RunFolders) -> None:
    folder = RunFolder(run_folders("vdsr_mse_adam", [1.0, 1.2, 1.4, 1.6], output_gray=110))
    for number in range(2):
        folder.fold(number).path.mkdir()
    folder.samples.rename(folder.fold(1).samples)
    assert [strip.name for strip in strips_of(run_folders.root)] == ["a", "b", "c", "d"]


@pytest.mark.parametrize("damage", ["truncated", "no layout", "not a PNG", "layout without names"])
def test_damaged_samples_are_reported_and_left_out(run_folders: RunFolders, damage: str) -> None:
    run_folders("vdsr_mse_adam", [1.0, 1.2, 1.4, 1.6], output_gray=110)
    path = RunFolder(run_folders("espcn_mse_adam", [0.9, 1.0, 1.1, 1.2], output_gray=110)).samples
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:60])
    elif damage == "no layout":
        Image.new("RGB", (24, 8)).save(path)
    elif damage == "not a PNG":
        Image.new("RGB", (24, 8)).save(path, "JPEG")
    else:
        text = PngInfo()
        text.add_text("sr", json.dumps({"side": 8, "rows": [{"side": 8}]}))
        Image.new("RGB", (24, 8)).save(path, pnginfo=text)
    problems: list[str] = []
    assert strips_of(run_folders.root, problems) == []
    (problem,) = problems
    assert problem.startswith(f"{path}: left out, it is damaged (")
