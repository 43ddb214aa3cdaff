import os
from pathlib import Path

import pytest

from sr.launch.refusals import hydras_tracebacks
from tests.support.runs import Command


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("modle=espcn", "modle: no such option; did you mean mode or model?"),
        ("lr=1", "lr: no such option; did you mean optimizer.lr?"),
        ("optimizer.lrr=1", "optimizer.lrr: no such option; did you mean optimizer.lr?"),
        ("data.augment.flp=true", "data.augment.flp: no such option; did you mean data.augment.flip?"),
        (
            "trainer.min_time=1",
            "trainer.min_time: no such option; +trainer.min_time= adds it, if lightning.Trainer takes it",
        ),
        ("colour=red", "colour: no such option"),
        (
            "loss=charbonier",
            "loss=charbonier: no such choice: charbonnier, fft, gradient, lpips, luma, mae, ms_ssim, mse, ssim, vgg, "
            "vgg_origin, weighted; did you mean charbonnier?",
        ),
        ("+scale=3", "Could not append to config. An item is already at 'scale'."),
        ("a=[", "no viable alternative at input '['"),
    ],
)
def test_what_hydra_refuses_is_one_line_with_names_that_differ_from_the_wrong_one(
    command: Command, tmp_path: Path, override: str, message: str
) -> None:
    code, text = command(override)
    assert code == 2
    assert text.startswith(f"error: {message}")
    assert text.count("\n") == 1
    assert not (tmp_path / "run").exists()
    assert "HYDRA_FULL_ERROR" not in os.environ


def test_hydras_full_error_is_kept(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(Exception, match="Could not override 'modle'"):
        command("modle=espcn")


def test_a_fault_inside_a_run_is_printed_by_hydra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with hydras_tracebacks():
        assert "HYDRA_FULL_ERROR" not in os.environ
    assert os.environ["HYDRA_FULL_ERROR"] == "1"
    with pytest.raises(ZeroDivisionError), hydras_tracebacks():
        raise ZeroDivisionError
    assert "HYDRA_FULL_ERROR" not in os.environ


def test_a_glob_that_picks_a_network_without_its_architecture_says_how_to_leave_it_out(
    command: Command, tmp_path: Path
) -> None:
    code, text = command("model=glob(*)", f"hydra.sweep.dir={tmp_path / 'sweep'}", flags=["-m"])
    assert (code, text) == (
        2,
        "error: model: the glob includes community, which needs model.arch: leave it out, with "
        "'model=glob([*],exclude=[community])'\n",
    )
    assert not (tmp_path / "sweep").exists()
