"""Every file of conf/ composes, and what it names can be instantiated."""

from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from hydra.utils import instantiate
from omegaconf import OmegaConf

from sr.train import config_dir
from tests.support.runs import NEEDED, Compose, config_names, model_names

GROUPS = [
    *("model", "loss", "optimizer", "scheduler", "data", "degrade", "metrics", "trainer", "callbacks", "logger"),
    *("experiment", "debug"),
]


def choices() -> list[str]:
    return [f"{group}={name}" for group in GROUPS for name in config_names(group)]


def test_every_folder_of_conf_is_tested() -> None:
    folders = {path.name for path in config_dir().iterdir() if path.is_dir()}
    assert folders == {*GROUPS, "local", "hydra"}
    assert {path.name for path in (config_dir() / "hydra").iterdir()} == {"launcher"}
    assert config_names("hydra/launcher") == ["slurm"]


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_a_model_sets_its_learning_rate_and_the_command_line_overrides_it(
    compose_config: Compose, optimizer: str
) -> None:
    config = compose_config(["model=vdsr", f"optimizer={optimizer}"])
    assert config.adam_lr == config.optimizer.lr == 2e-4
    assert OmegaConf.to_container(config, resolve=False)["optimizer"]["lr"] == "${adam_lr}"  # type: ignore[index, call-overload]
    assert compose_config(["model=espcn", f"optimizer={optimizer}"]).optimizer.lr == 5e-4
    assert compose_config(["model=vdsr", f"optimizer={optimizer}", "optimizer.lr=0.125"]).optimizer.lr == 0.125
    assert compose_config(["model=vdsr", f"optimizer={optimizer}", "adam_lr=0.25"]).optimizer.lr == 0.25
    assert compose_config(["model=vdsr", "optimizer=sgd"]).optimizer.lr == 5.0


def test_only_the_local_config_is_applied_without_being_chosen() -> None:
    config = OmegaConf.load(config_dir() / "train.yaml")
    optional = [entry for entry in config.defaults if any(str(key).startswith("optional") for key in entry)]
    assert optional == [{"optional local": "default"}]  # the user's paths


def test_a_users_paths_are_read_from_local_default_yaml(tmp_path: Path) -> None:
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / "default.yaml").write_text("# @package _global_\ndata:\n  cache_dir: /elsewhere\n")
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        config = compose("train", [f"hydra.searchpath=[file://{tmp_path}]", "run_dir=run"])
        assert config.data.cache_dir == "/elsewhere"
        overridden = compose("train", [f"hydra.searchpath=[file://{tmp_path}]", "run_dir=run", "data.cache_dir=/here"])
        assert overridden.data.cache_dir == "/here"


@pytest.mark.parametrize("choice", ["experiment=espcn_x5", "model=espcn_orgin", "optimizer=adam_orgin", "debug=smal"])
def test_a_mistyped_choice_is_refused(compose_config: Compose, choice: str) -> None:
    with pytest.raises(HydraException, match=f"Could not find '{choice.replace('=', '/')}'"):
        compose_config([choice])


@pytest.mark.parametrize("loss", ["mse", "vgg", "weighted", "vgg_origin"])
def test_vgg_weights_applies_to_every_loss_with_vgg_features(compose_config: Compose, loss: str) -> None:
    config: Any = OmegaConf.to_container(compose_config([f"loss={loss}", "vgg_weights=random"]), resolve=True)
    parts = [config["loss"], *config["loss"].get("terms", {}).values()]
    weights = [part["weights"] for part in parts if part["_target_"].endswith("VGGLoss")]
    assert weights == ([] if loss == "mse" else ["random"])


@pytest.mark.parametrize(
    ("recipe", "side"),
    [
        *(("espcn", 24), ("fsrcnn", 24), ("resblock", 48), ("resblock_large", 48), ("autoencoder", 32)),
        *((name, 48) for name in ("edsr", "rlfn", "span", "compact")),
    ],
)
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_recipe_supports_every_scale(compose_config: Compose, recipe: str, side: int, scale: int) -> None:
    config = compose_config([f"experiment={recipe}", f"scale={scale}"])
    assert (config.scale, config.model.scale, config.data.patch) == (scale, scale, side * scale)


def test_an_epoch_of_resblock_has_as_many_crops_as_its_file_says(compose_config: Compose) -> None:
    data = compose_config(["experiment=resblock"]).data
    images = (291 - round(data.val_share * 291)) * (1 + len(data.augment.sizes))
    assert images == 1410
    assert data.repeat * (images - 46) == 17_732


def test_the_slurm_launcher_composes() -> None:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        launcher = compose("train", ["hydra/launcher=slurm"], return_hydra_config=True).hydra.launcher
    assert launcher._target_.endswith("SlurmLauncher")
    assert launcher.max_num_timeout > 0


@pytest.mark.parametrize("choice", choices())
def test_every_choice_composes_without_missing_values(compose_config: Compose, choice: str) -> None:
    config_dict: Any = OmegaConf.to_container(
        compose_config([choice, *NEEDED.get(choice, [])]), resolve=True, throw_on_missing=True
    )
    assert config_dict["model"]["_target_"].startswith("sr.nets.")


def combinations() -> list[tuple[str, str, str]]:
    """Every pair of a model, a loss and an optimizer, with the default of the third; and the grid of 27."""
    models, losses, optimizers = model_names(), config_names("loss"), config_names("optimizer")
    pairs = {
        *product(models, losses, ["adam"]),
        *product(models, ["mse"], optimizers),
        *product(["espcn"], losses, optimizers),
        *product(["espcn", "autoencoder", "vdsr"], ["mse", "mae", "vgg"], ["adam", "sgd", "rmsprop"]),
    }
    return sorted(pairs)


@pytest.mark.slow
@pytest.mark.parametrize(("model", "loss", "optimizer"), combinations())
def test_every_pair_of_choices_trains_a_step(compose_config: Compose, model: str, loss: str, optimizer: str) -> None:
    small = ["loss.scales=1"] if loss == "ms_ssim" else []  # images of 12 pixels
    side = 16 if loss == "lpips" else 12
    config = compose_config([f"model={model}", f"loss={loss}", f"optimizer={optimizer}", "vgg_weights=random", *small])
    net, criterion = instantiate(config.model), instantiate(config.loss)
    steps = instantiate(config.optimizer)(net.parameters())
    before = torch.cat([parameter.detach().flatten().clone() for parameter in net.parameters()])
    generator = torch.Generator().manual_seed(0)
    criterion(net(torch.rand(1, 3, side, side, generator=generator)), torch.rand(1, 3, side, side)).backward()
    steps.step()
    after = torch.cat([parameter.detach().flatten() for parameter in net.parameters()])
    assert torch.isfinite(after).all()
    assert not torch.equal(before, after)


@pytest.mark.parametrize("name", config_names("scheduler"))
def test_every_scheduler_builds(compose_config: Compose, name: str) -> None:
    config = compose_config([f"scheduler={name}"])
    optimizer = instantiate(config.optimizer)([torch.zeros(1, requires_grad=True)])
    schedule = instantiate(config.scheduler)(optimizer, total_steps=10)
    assert schedule.get_last_lr()[0] > 0


@pytest.mark.parametrize("model", ["espcn_origin", "autoencoder_origin", "vdsr"])
@pytest.mark.parametrize("optimizer", ["adam_origin", "sgd_origin", "rmsprop_origin"])
@pytest.mark.parametrize("experiment", ["origin", "origin_grid"])
def test_experiment_origin_has_the_settings_of_the_original_project(
    compose_config: Compose, model: str, optimizer: str, experiment: str
) -> None:
    config = compose_config([f"experiment={experiment}", f"model={model}", f"optimizer={optimizer}", "loss=vgg_origin"])
    assert config.optimizer.lr == config.optimizer.weight_decay == 1e-3
    assert config.optimizer.get("momentum", 0) == 0
    assert not config.optimizer.get("nesterov", False)
    assert config.optimizer.get("alpha", 0.99) == 0.99
    assert list(config.optimizer.get("betas", [0.9, 0.999])) == [0.9, 0.999]
    assert config.trainer.gradient_clip_val is None
    assert config.scheduler._target_ == "sr.schedules.constant"
    assert (config.trainer.max_epochs, config.trainer.precision) == (10, "32-true")
    assert (config.data.batch_size, config.data.patch, config.data.repeat) == (1, None, 1)
    assert config.data.augment.rotate45
    assert config.data.augment.flip
    assert not config.data.augment.rotate90
    assert config.loss.resize == 224
    assert config.model.get("head", "sigmoid") == "sigmoid"
    assert ("head" in config.model) == (model != "vdsr")
    assert config.model.get("activation", "tanh") == "tanh"
    assert config.model.get("dropout", 0.3) == 0.3
    assert config.model.get("skips", False) is False
    instantiate(config.optimizer)(instantiate(config.model).parameters())


def test_experiment_origin_without_other_choices_is_a_run_of_the_original_project(compose_config: Compose) -> None:
    config = compose_config(["experiment=origin"])
    assert (config.model.activation, config.model.head) == ("tanh", "sigmoid")
    assert list(config.optimizer.betas) == [0.9, 0.999]
    assert config.loss._target_ == "torch.nn.MSELoss"


def test_the_default_seed_of_the_splits_is_that_of_the_original_project(compose_config: Compose) -> None:
    assert compose_config(["data=isr"]).data.seed == 23
    assert compose_config(["data=isr", "seed=0"]).data.seed == 0
