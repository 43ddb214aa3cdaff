"""Every file of conf/ composes and builds what it names."""

from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf

from sr.train import config_dir
from tests.support.runs import Compose, config_names

GROUPS = ["model", "loss", "optimizer", "scheduler", "data", "trainer", "callbacks", "logger", "experiment", "debug"]


def choices() -> list[str]:
    return [f"{group}={name}" for group in GROUPS for name in config_names(group)]


def test_every_folder_of_conf_is_tested() -> None:
    folders = {path.name for path in config_dir().iterdir() if path.is_dir()}
    assert folders == {*GROUPS, "tuned", "hydra"}
    assert {path.name for path in (config_dir() / "hydra").iterdir()} == {"launcher"}
    assert config_names("hydra/launcher") == ["slurm"]


@pytest.mark.parametrize("name", config_names("tuned"))
def test_what_a_pair_needs_is_found_by_its_choices_and_gives_way_to_the_command_line(
    compose_config: Compose, name: str
) -> None:
    model, optimizer = name.split("_")
    tuned = OmegaConf.load(config_dir() / "tuned" / f"{name}.yaml")
    choices = [f"model={model}", f"optimizer={optimizer}"]
    assert compose_config(choices).optimizer.lr == tuned.optimizer.lr != compose_config(choices[1:]).optimizer.lr
    assert compose_config([*choices, "optimizer.lr=0.125"]).optimizer.lr == 0.125


def test_jobs_for_slurm_compose() -> None:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        launcher = compose("train", ["hydra/launcher=slurm"], return_hydra_config=True).hydra.launcher
    assert launcher._target_.endswith("SlurmLauncher")
    assert launcher.max_num_timeout > 0


@pytest.mark.parametrize("choice", choices())
def test_every_choice_composes_to_plain_values(compose_config: Compose, choice: str) -> None:
    plain: Any = OmegaConf.to_container(compose_config([choice]), resolve=True, throw_on_missing=True)
    assert plain["model"]["_target_"].startswith("sr.nets.")


@pytest.mark.slow
@pytest.mark.parametrize("model", config_names("model"))
@pytest.mark.parametrize("loss", config_names("loss"))
@pytest.mark.parametrize("optimizer", config_names("optimizer"))
def test_every_combination_takes_a_step(compose_config: Compose, model: str, loss: str, optimizer: str) -> None:
    overrides = {"vgg": ["loss.weights=random"], "weighted": ["loss.terms.vgg.weights=random"]}
    config = compose_config([f"model={model}", f"loss={loss}", f"optimizer={optimizer}", *overrides.get(loss, [])])
    net, criterion = instantiate(config.model), instantiate(config.loss)
    steps = instantiate(config.optimizer)(net.parameters())
    before = torch.cat([parameter.detach().flatten().clone() for parameter in net.parameters()])
    generator = torch.Generator().manual_seed(0)
    criterion(net(torch.rand(1, 3, 12, 12, generator=generator)), torch.rand(1, 3, 12, 12)).backward()
    steps.step()
    after = torch.cat([parameter.detach().flatten() for parameter in net.parameters()])
    assert torch.isfinite(after).all()
    assert not torch.equal(before, after)


@pytest.mark.parametrize("name", config_names("scheduler"))
def test_every_schedule_builds_on_any_optimizer(compose_config: Compose, name: str) -> None:
    config = compose_config([f"scheduler={name}"])
    optimizer = instantiate(config.optimizer)([torch.zeros(1, requires_grad=True)])
    schedule = instantiate(config.scheduler)(optimizer, total_steps=10)
    assert schedule.get_last_lr()[0] > 0


@pytest.mark.parametrize("model", config_names("model"))
@pytest.mark.parametrize("optimizer", config_names("optimizer"))
def test_experiment_origin_has_the_origins_settings(compose_config: Compose, model: str, optimizer: str) -> None:
    config = compose_config(["experiment=origin", f"model={model}", f"optimizer={optimizer}", "loss=vgg"])
    assert config.optimizer.lr == config.optimizer.weight_decay == 1e-3
    assert config.optimizer.get("momentum", 0) == 0
    assert config.trainer.gradient_clip_val is None
    assert config.scheduler._target_ == "sr.schedules.constant"
    assert (config.trainer.max_epochs, config.trainer.precision) == (10, "32-true")
    assert (config.data.batch_size, config.data.patch, config.data.repeat) == (1, None, 1)
    assert config.data.augment.rotate45
    assert config.data.augment.flip
    assert not config.data.augment.rotate90
    assert config.loss.resize == 224
    assert config.model.get("head", "sigmoid") == "sigmoid"
    assert ("head" in config.model) == (model in ("espcn", "autoencoder"))
    assert config.model.get("activation", "tanh") == "tanh"
    assert config.model.get("dropout", 0.3) == 0.3
    instantiate(config.optimizer)(instantiate(config.model).parameters())


def test_the_seed_of_the_splits_is_the_origins(compose_config: Compose) -> None:
    assert compose_config(["data=isr"]).data.seed == 23
    assert compose_config(["data=isr", "seed=0"]).data.seed == 0
