"""The self-test on made-up sets; the real ones are tested where the data lie beside the project."""

from pathlib import Path

import pytest
import torch

from sr.benchmark import selftest
from sr.benchmark.selftest import PUBLISHED, Check, check, fingerprint, render
from sr.errors import UserError
from sr.image import crop_to_multiple, luma, quantise, resize, shave, to_float
from sr.io.images import read_image
from sr.metrics import psnr, ssim
from tests.support.images import photograph


def make_set(folder: Path, count: int, suffix: str = ".png") -> Path:
    folder.mkdir(parents=True)
    for number in range(count):
        photograph(40, 50, seed=number).save(folder / f"{number}{suffix}")
    return folder


@pytest.mark.parametrize("name", ["Set5", "set_5", "SET-5", "set5/image", "Set5/HR"])
def test_a_set_is_recognised_by_its_folder_or_the_one_above(tmp_path: Path, name: str) -> None:
    checks = check(make_set(tmp_path / name, 5))
    assert [(row.data, row.scale, row.published) for row in checks] == [
        ("Set5", scale, PUBLISHED["Set5"][scale]) for scale in (2, 3, 4)
    ]


def test_a_set_is_recognised_by_its_content_whatever_its_folder_and_files_are_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_set(tmp_path / "anything", 3, ".bmp")
    images = [read_image(path) for path in folder.iterdir()]
    monkeypatch.setattr(selftest, "_FINGERPRINTS", {fingerprint(images[::-1]): "Set14"})
    assert check(folder)[0].data == "Set14"
    assert fingerprint(images[:2]) != fingerprint(images)


def test_a_folder_that_is_no_known_set_or_not_all_of_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not one of Set5, Set14, BSD100, Urban100 by content or name"):
        check(make_set(tmp_path / "mine", 1))
    with pytest.raises(UserError, match="Set14 has 14 images, this folder has 3"):
        check(make_set(tmp_path / "Set14", 3))


def test_scores_follow_the_protocol_of_the_literature(tmp_path: Path) -> None:
    folder = make_set(tmp_path / "Set5", 5)
    (folder / "4.png").unlink()
    photograph(41, 50, seed=4).convert("L").save(folder / "4.png")
    for row in check(folder):
        scores = []
        for number in range(5):
            image = crop_to_multiple(to_float(read_image(folder / f"{number}.png")).double()[None], row.scale)
            hr = image[:, :1] if number == 4 else quantise(luma(image))  # a gray file is its own luma
            sr = quantise(resize(resize(hr, 1 / row.scale), row.scale))
            sr, hr = shave(sr, row.scale), shave(hr, row.scale)
            scores.append((float(psnr(sr, hr)), float(ssim(sr, hr))))
        expected = torch.tensor(scores, dtype=torch.float64).mean(0)
        assert (row.psnr, row.ssim) == pytest.approx(tuple(expected.tolist()))


@pytest.mark.parametrize(
    ("psnr_error", "ssim_error", "agrees"),
    [(0.0, 0.0, True), (0.01, 0.001, True), (-0.01, -0.001, True), (0.02, 0.0, False), (0.0, 0.0012, False)],
)
def test_a_score_agrees_within_a_digit(psnr_error: float, ssim_error: float, agrees: bool) -> None:
    assert Check("Set5", 2, 33.66 + psnr_error, 0.9299 + ssim_error, (33.66, 0.9299)).agrees is agrees


def test_the_table_shows_each_score_before_the_published_one() -> None:
    rows = [Check("Set5", 2, 33.661, 0.92991, (33.66, 0.9299)), Check("Set14", 3, 27.0, 0.7, (27.55, 0.7742))]
    head, first, second = (line.split() for line in render(rows).splitlines())
    assert head == ["data", "scale", "PSNR", "dB", "published", "SSIM", "published"]
    assert first == ["Set5", "x2", "33.66", "33.66", "0.9299", "0.9299", "agrees"]
    assert second == ["Set14", "x3", "27.00", "27.55", "0.7000", "0.7742", "OFF"]


def test_published_scores_are_those_of_the_papers() -> None:
    """Kim et al. 2016, table 2; SSIM as PSNR falls with the scale, and no set has the scores of another."""
    assert sum(psnr for scores in PUBLISHED.values() for psnr, _ in scores.values()) == pytest.approx(333.47)
    assert sum(ssim for scores in PUBLISHED.values() for _, ssim in scores.values()) == pytest.approx(9.4362)
    for scores in PUBLISHED.values():
        assert list(scores) == [2, 3, 4]
        assert sorted(scores.values(), reverse=True) == list(scores.values())
