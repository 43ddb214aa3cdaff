"""Options against the signatures that receive them."""

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from sr.errors import UserError
from sr.options.annotations import annotations_of
from sr.options.check import check_options
from sr.options.known import TopLevel
from sr.train import config_dir
from tests.support import targets
from tests.support.runs import NEEDED, Command, Compose, config_names

GROUPS = [
    "model",
    "loss",
    "optimizer",
    "scheduler",
    "data",
    "degrade",
    "trainer",
    "callbacks",
    "logger",
    "experiment",
    "debug",
]
ESPCN_OPTIONS = "scale, num_blocks, channels, activation, head, image_channels"

LINES = {
    "optimizer.lr=abc": "optimizer.lr='abc': a number is needed",
    "optimizer.lr=true": "optimizer.lr=true: a number is needed",
    "optimizer.betas=[0.9]": "optimizer.betas=[0.9]: a list of 2 numbers is needed",
    "trainer.max_epochs=abc": "trainer.max_epochs='abc': an integer of 1 or more is needed",
    "trainer.max_epochs=-1": "trainer.max_epochs=-1: an integer of 1 or more is needed",
    "trainer.max_epochs=0": "trainer.max_epochs=0: an integer of 1 or more is needed",
    "trainer.limit_train_batches=0": (
        "trainer.limit_train_batches=0: an integer of 1 or more, a number above 0 and at most 1, or null is needed"
    ),
    "trainer.limit_val_batches=1.5": (
        "trainer.limit_val_batches=1.5: an integer of 0 or more, a number from 0 to 1, or null is needed"
    ),
    "trainer.accelerator=fpga": "trainer.accelerator='fpga': auto, cpu, gpu, cuda, mps, or tpu is needed",
    "trainer.compile=maybe": "trainer.compile='maybe': auto, true, or false is needed",
    "+trainer.accumulate_grad_batches=0": "trainer.accumulate_grad_batches=0: an integer of 1 or more is needed",
    "data.test_share=abc": "data.test_share='abc': a number is needed",
    "data.batch_size=16.0": "data.batch_size=16.0: an integer is needed",
    "data.fold=any": "data.fold='any': all or an integer is needed",
    "data.augment.flip=3": "data.augment.flip=3: true or false is needed",
    "data.augment=5": "data.augment=5: a node with _target_ (Augment) or null is needed",
    "data.root=photos": "data.root='photos': demo_photographs reads no folder: choose data=folder or data=isr",
    "seed=x": "seed='x': an integer from 0 to 4294967295 is needed",
    "seed=-1": "seed=-1: an integer from 0 to 4294967295 is needed",
    "scale=0": "scale=0: an integer of 1 or more is needed",
    "test=maybe": "test='maybe': true or false is needed",
    "mode=up": "mode='up': max or min is needed",
    "objectives=val/psnr": "objectives='val/psnr': a list of strings or null is needed",
    "model.channels=[8,8]": "model.channels=[8, 8]: an integer is needed",
    "model.channels=null": "model.channels=null: an integer is needed",
    "model._target_=sr.nets.nowhere.Net": (
        "model._target_='sr.nets.nowhere.Net': cannot be imported: No module named 'sr.nets.nowhere'"
    ),
    "model._target_=sr.nets.espcn.Nothing": (
        "model._target_='sr.nets.espcn.Nothing': cannot be imported: module 'sr.nets.espcn' has no attribute 'Nothing'"
    ),
    "+ckpt_path=last.ckpt": "ckpt_path='last.ckpt': nothing reads this option",
    "+pretrained=true": "pretrained=true: nothing reads this option; did you mean retrain or trainer?",
    "+max_epochs=3": "max_epochs=3: nothing reads this option; did you mean trainer.max_epochs?",
    "+lr=1e-2": "lr=0.01: nothing reads this option; did you mean optimizer.lr?",
    "+model.foo=1": f"model.foo: ESPCN has no such option (it has {ESPCN_OPTIONS})",
    "+model.chanels=8": (
        f"model.chanels: ESPCN has no such option (it has {ESPCN_OPTIONS}); did you mean model.channels or "
        "model.image_channels?"
    ),
    "+optimizer.foo=1": "optimizer.foo: Adam has no such option",
    "+trainer.foo=1": "trainer.foo: Trainer has no such option",
    "+data.foo=1": "data.foo: ISRDataModule has no such option",
    "+scheduler.x=1": "scheduler.x: cosine has no such option (it has warmup, final)",
    "+scorer.x=1": "scorer.x: Scorer has no such option (it has scale, protocol, bits)",
    "+callbacks.checkpoints.foo=1": (
        "callbacks.checkpoints.foo: RunCheckpoints has no such option (it has dirpath, monitor, mode, minutes)"
    ),
    "+callbacks.foo=1": "callbacks.foo=1: a node with _target_ or null is needed",
    "+logger.tensorboard.foo=1": (
        "logger.tensorboard.foo: TensorBoardTracker has no such option (it has run_dir, resumed_at)"
    ),
    "+trainer.logger=false": "trainer.logger: is set by sr itself: remove this option",
    "+scheduler.total_steps=3": "scheduler.total_steps: is set by sr itself: remove this option",
    "+optimizer.params=[1]": "optimizer.params: is set by sr itself: remove this option",
    "+data.find.root=x": "data.find.root: is set by sr itself: remove this option",
    "loss=weighted loss.weights.mae=abc": "loss.weights.mae='abc': a number is needed",
    "loss=weighted loss.terms.vgg.resize=abc": "loss.terms.vgg.resize='abc': an integer or null is needed",
    "data=isr data.root=true": "data.root=true: a string, a list of strings, or null is needed",
    "seed=x optimizer.lr=abc +foo=1": "seed='x': an integer from 0 to 4294967295 is needed (and 2 more)",
}


@pytest.mark.parametrize("overrides", LINES)
def test_a_wrong_option_gives_one_line_and_leaves_no_folder(command: Command, tmp_path: Path, overrides: str) -> None:
    code, text = command(*overrides.split())
    assert (code, text) == (2, f"error: {LINES[overrides]}\n")
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_missing_gpu_is_reported(command: Command, compose_config: Compose, tmp_path: Path) -> None:
    code, text = command("trainer=gpu", "trainer.accelerator=gpu")
    assert code == 2
    assert text == "error: trainer.accelerator=gpu: no GPU was found; use trainer=cpu or trainer=auto\n"
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_the_command_itself_refuses_a_wrong_option_and_makes_no_folder(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sr.train", "optimizer.lr=abc"]
    completed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert completed.returncode == 2
    assert completed.stdout + completed.stderr == "error: optimizer.lr='abc': a number is needed\n"
    assert list(tmp_path.iterdir()) == []


def test_wrong_options_can_still_be_printed(command: Command) -> None:
    code, text = command("optimizer.lr=abc", flags=["--cfg", "job"])
    assert code == 0
    assert "lr: abc" in text


@pytest.mark.parametrize("choice", [f"{group}={name}" for group in GROUPS for name in config_names(group)])
def test_every_choice_passes(compose_config: Compose, choice: str) -> None:
    also = {"trainer=gpu": ["trainer.accelerator=cpu"], **NEEDED}
    check_options(compose_config([choice, *also.get(choice, [])]))


@pytest.mark.parametrize(
    "overrides",
    [
        "data=isr data.root=2024",
        "data=isr data.root=[A,7]",
        "data=folder data.root=[A,B]",
        "data.patch=null",
        "data.fold=all",
        "trainer.devices=auto",
        "trainer.devices=-1",
        "trainer.devices=[0,1]",
        'trainer.devices="0,1"',
        "trainer.limit_val_batches=0",
        "trainer.limit_train_batches=1.0",
        "trainer.precision=16-mixed",
        "+trainer.max_steps=5",
        "+logger.tensorboard.max_queue=3",
        "callbacks.pictures=null",
        "logger=none",
        "optimizer.betas=[0.9,0.999]",
        "+loss.reduction=sum",
        "+callbacks.device._target_=lightning.pytorch.callbacks.DeviceStatsMonitor",
    ],
)
def test_valid_options_pass(compose_config: Compose, overrides: str) -> None:
    check_options(compose_config(overrides.split()))


def test_the_known_keys_are_those_of_train_yaml(compose_config: Compose) -> None:
    fields = {field.name for field in dataclasses.fields(TopLevel)}
    assert {str(key) for key in compose_config()} == fields
    written = {str(key) for key in OmegaConf.load(config_dir() / "train.yaml")} - {"defaults", "hydra"}
    assert written <= fields


def test_an_option_interpolated_from_a_wrong_one_is_not_reported_again(compose_config: Compose) -> None:
    config = compose_config(["scale=abc", "data=isr"])
    assert config.data.scale == config.model.scale == config.scorer.scale == "abc"
    with pytest.raises(UserError, match=r"^scale='abc': an integer of 1 or more is needed$"):
        check_options(config)


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (["optimizer.lr=${nowhere}"], "optimizer.lr: Interpolation key 'nowhere' not found"),
        (["optimizer.lr=???"], "optimizer.lr: a value is needed"),
        (["~scheduler"], "scheduler: a node with _target_ is needed"),
    ],
)
def test_a_missing_value_is_named(compose_config: Compose, overrides: list[str], line: str) -> None:
    with pytest.raises(UserError) as error:
        check_options(compose_config(overrides))
    assert str(error.value) == line


def refusal_of(compose_config: Compose, model: dict[str, Any]) -> str | None:
    """The error for a config with this node ``model``; None if it passes."""
    config = compose_config()
    values: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    try:
        check_options({**values, "model": model})
    except UserError as error:
        return str(error)
    return None


@pytest.mark.parametrize(
    ("name", "options", "line"),
    [
        ("Required", {"width": 1, "rates": {"a": 1}}, None),
        ("Required", {"width": 1, "rates": {"a": 1}, "depth": None}, None),
        ("Required", {"width": 1}, "model.rates: a mapping is needed"),
        ("Required", {}, "model.width: an integer is needed (and 1 more)"),
        ("Required", {"_partial_": True}, None),
        ("Required", {"_args_": [1], "rates": {}}, None),
        ("Required", {"_args_": ["x"], "rates": {}}, "model.width='x': an integer is needed"),
        ("TakesAnything", {"foo": 1}, None),
        ("TakesAnything", {"foo": {"_target_": "tests.support.targets.Required", "rates": {}}}, "model.foo.width: "),
        ("TakesAnything", {"foo": [{"_target_": "tests.support.targets.nothing"}]}, "model.foo[0]._target_="),
        ("TakesAnything", {"_recursive_": False, "foo": {"_target_": "nowhere.Net"}}, None),
        ("unannotated", {"root": object, "size": "x"}, None),
        ("unannotated", {"root": 1, "foo": 1}, "model.foo: unannotated has no such option (it has root, size)"),
        ("implicit_none", {"size": None}, None),
        ("implicit_none", {"size": "x"}, "model.size='x': an integer is needed"),
        ("only_for_checkers", {"size": "x"}, None),
        ("only_for_checkers", {"foo": "x"}, "model.foo: only_for_checkers has no such option"),
    ],
)
def test_options_are_checked_against_signatures_of_every_kind(
    compose_config: Compose, name: str, options: dict[str, Any], line: str | None
) -> None:
    message = refusal_of(compose_config, {"_target_": f"tests.support.targets.{name}", **options})
    assert message == line if line is None else str(message).startswith(line)


def test_annotations_that_cannot_be_resolved_are_ignored() -> None:
    assert annotations_of(targets.only_for_checkers) == {}
    assert annotations_of(targets.implicit_none)["size"] is int


def test_the_reason_why_a_users_module_cannot_be_imported_is_shown(
    compose_config: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "ownnets"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "broken.py").write_text("import a_package_that_is_not_there\n")
    (package / "faulty.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    for module, reason in (("broken", "No module named 'a_package_that_is_not_there'"), ("faulty", "division by zero")):
        line = refusal_of(compose_config, {"_target_": f"ownnets.{module}.Net"})
        assert line == f"model._target_='ownnets.{module}.Net': cannot be imported: {reason}"
