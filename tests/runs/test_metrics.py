"""Runs that are scored with more metrics than PSNR and SSIM."""

import csv
import math
import re
from pathlib import Path

import pytest

from sr.runs.identity import differences
from sr.runs.schema import read_result
from sr.terms import Part
from tests.support.runs import Command, MakeFolder

SIZE = (64, 64)


def test_a_run_is_scored_with_the_metrics_of_its_config(
    command: Command, make_folder: MakeFolder, tmp_path: Path
) -> None:
    root = make_folder(count=5, size=SIZE)
    options = ("data=folder", f"data.root={root / 'high_res'}", "scale=2", "trainer.max_epochs=2", "logger=none")
    chosen = "metrics=[default,vif,worst1,lr_psnr]"
    code, text = command(*options, chosen, "monitor=val/vif")
    assert code == 0, text
    with (tmp_path / "run" / "metrics.csv").open() as file:
        (*_, last) = csv.DictReader(file)
    assert {"train/vif", "val/vif", "val/worst1", "val/lr_psnr", "val/input_vif"} <= set(last)
    assert "train/input_vif" not in last
    with (tmp_path / "run" / "images.csv").open() as file:
        row = next(csv.DictReader(file))
    assert {"vif", "input_vif", "nearest_worst1", "lanczos_lr_psnr"} <= set(row)
    result = read_result(tmp_path / "run")
    assert result is not None
    assert result.monitor is not None
    assert result.monitor.name == "val/vif"
    assert result.monitor.value == pytest.approx(result.scores[Part.VAL]["vif"].mean, rel=1e-5)
    code, text = command(*options, "monitor=val/vif", "metrics=[default,vif,worst1,lr_psnr,edge_psnr]")
    assert code == 0
    assert "done before, nothing to train" in text
    assert "not scored with edge_psnr: retrain=true trains again, sr evaluate --metrics edge_psnr" in text


def test_the_metrics_do_not_change_what_a_run_is_but_the_monitored_one_does() -> None:
    vif = {"label": "VIF", "function": {"_target_": "a"}}
    default = {"monitor": "val/psnr", "metrics": {"psnr": {"function": {"_target_": "p"}}}}
    assert differences({"monitor": "val/psnr"}, default) == []
    assert differences(default, {**default, "metrics": {"vif": vif}}) == []
    by_vif = {"monitor": "val/vif", "metrics": {"vif": vif}}
    other = {"monitor": "val/vif", "metrics": {"vif": {**vif, "label": "V", "function": {"_target_": "b"}}}}
    assert differences(by_vif, other) == ["metrics.vif.function._target_: a there, b here"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["metrics=vif"], "metrics: psnr and ssim cannot be left out: metrics=[default,vif]"),
        (["metrics=[default,vif]", "monitor=val/ms_ssim"], "monitor must be one of val/psnr, val/ssim, val/vif"),
        (["metrics=[default,vif]", "metrics.vif.digit=3"], "digit"),
        (["metrics=[default,worst1]", "metrics.worst1.function.shar=3"], "shar"),
        (["+scorer.metrics=1"], "scorer.metrics: is set by sr itself"),
    ],
)
def test_metrics_that_cannot_be_used_are_refused_in_one_line(
    command: Command, overrides: list[str], message: str
) -> None:
    code, text = command("debug=tiny", *overrides)
    assert code == 2 or "Key 'digit'" in text or "Could not override" in text
    assert message in text


OWN = ["+metrics.own={_target_: sr.metrics.Metric, label: Own}"]


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (["metrics=[default,ms_ssim]"], "4.png: ms_ssim of 5 scales needs images of 176x176 pixels or more, got 64x64"),
        (
            [*OWN, "+metrics.own.function={_target_: tests.support.metrics.of_channels, _partial_: true}"],
            "4.png: metrics: own returned a tensor (1, 3) for 1 images",
        ),
        (["metrics=[default,lr_psnr]", "monitor=val/lr_psnr"], "monitor must be one of val/psnr, val/ssim, val/gain"),
    ],
    ids=["too small", "shape", "left out at scale 1"],
)
def test_a_metric_that_cannot_be_computed_is_refused_before_training(
    command: Command, make_folder: MakeFolder, tmp_path: Path, chosen: list[str], message: str
) -> None:
    root = make_folder(count=5, size=SIZE)
    code, text = command("data=folder", f"data.root={root / 'high_res'}", "logger=none", *chosen)
    assert code == 2, text
    assert re.sub(r"/\S*/(?=\d\.png)", "", text).count(message.partition("4.png: ")[2] or message) == 1
    assert not (tmp_path / "run" / "result.json").exists()


def test_a_metric_that_is_not_a_number_for_an_image_does_not_lose_the_run(
    command: Command, make_folder: MakeFolder, tmp_path: Path
) -> None:
    root = make_folder(count=5, size=SIZE)
    chosen = [*OWN, "+metrics.own.function={_target_: tests.support.metrics.undefined_at_times, _partial_: true}"]
    options = ("data=folder", f"data.root={root / 'high_res'}", "data.val_share=0.4", "logger=none")
    code, text = command(*options, *chosen, "trainer.max_epochs=1")
    assert code == 0, text
    result = read_result(tmp_path / "run")
    assert result is not None
    assert result.is_done
    assert math.isnan(result.scores[Part.VAL]["own"].mean)
    assert math.isfinite(result.scores[Part.VAL]["psnr"].mean)
