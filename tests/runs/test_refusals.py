"""Input that is refused before training."""

from pathlib import Path

import pytest

from tests.support.runs import Command, MakeFolder


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["scale=0"], "scale"),
        (["scale=1.5"], "scale"),
        (["data=isr"], "data.root=FOLDER"),
        (["data=isr", "data.root=/nowhere"], "/nowhere: no such folder"),
        (["data.patch=300"], "data.patch=300 is larger than"),
        (["data.folds=40"], "needs 40 source images"),
        (["loss=vgg", "loss.weights=/nowhere.pth"], "no such file"),
        (["optimizer.lr=-1"], "Invalid learning rate"),
        (["monitor=val/pnsr"], "monitor must be one of val/psnr"),
        (["monitor=val/loss", "mode=max"], "monitor=val/loss is best at its minimum: mode=min"),
        (["objectives=[val/psnr,ms_per_img]"], "objectives: no 'ms_per_img' in a result: use val/psnr, val/ssim"),
        (["objectives=[test/psnr,parameters]"], "objectives: no 'test/psnr' in a result"),
        (["callbacks=ema", "callbacks.ema.decay=2"], "callbacks.ema.decay must be at least 0 and less than 1, got 2"),
        (["data.num_workers=-1"], "num_workers"),
        (["trainer.max_epochs=-1", "scheduler=cosine"], "trainer.max_epochs=-1"),
        (["data.fold=3"], "needs the number of folds"),
        (["model.activation=gelu"], "one of relu, tanh"),
        (["init_strict=true"], "init_strict=true: there are no weights to start from: set init"),
        (["init_freeze=body.0.*,tail.*"], "init_freeze=['body.0.*', 'tail.*']: there are no weights to start from"),
        (["init=espcn_x5"], "init=espcn_x5: no such checkpoint, run folder, model of others"),
        (["init=2"], "init=2"),
        (
            ["init=espcn_x2", "model.channels=16"],
            "none of its weights fits this network, such as body.0.weight",
        ),
        (["+model.depth=3"], "model.depth: ESPCN has no such option"),
        (["data.augment.flip=true", "+data.augment.shear=true"], "data.augment.shear: Augment has no such option"),
    ],
)
def test_bad_input_ends_before_training_with_one_line(
    command: Command, tmp_path: Path, overrides: list[str], message: str
) -> None:
    code, text = command(*overrides)
    assert code == 2, text
    lines = text.strip().splitlines()
    assert len(lines) == 1, text
    assert lines[0].startswith("error: ")
    assert message in lines[0]
    assert not (tmp_path / "run").exists()


def test_several_scales_are_refused_for_a_network_that_upscales_its_input(
    command: Command, make_folder: MakeFolder
) -> None:
    code, text = command(
        "model=espcn", "data=folder", f"data.root={make_folder()}", "data.scales=[2,3]", "data.patch=24"
    )
    assert code == 2
    assert "data.scales needs a network that takes the enlarged image" in text
