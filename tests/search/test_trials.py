"""Searches with small, real trainings."""

import re
import shlex
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf
from optuna.trial import TrialState, create_trial

from hydra_plugins.sr_optuna._best import write_best
from sr.runs.status import find_cells
from sr.train import config_dir
from tests.support.images import photograph
from tests.support.runs import Command, MakeFolder, result_of
from tests.support.searches import study_of


def search_overrides(folder: Path, data_root: Path, *options: str) -> list[str]:
    return [
        "hydra.mode=MULTIRUN", "hydra/sweeper=optuna", f"hydra.sweep.dir={folder / 'search'}", "data=isr",
        f"data.root={data_root}", "logger=none", "data.repeat=4", "scheduler=constant", *options,
    ]  # fmt: skip


@pytest.mark.slow
def test_a_diverged_trial_fails_and_the_best_trial_can_be_trained(
    command: Command, make_folder: MakeFolder, tmp_path: Path
) -> None:
    overrides = search_overrides(tmp_path, make_folder(), "hydra.sweeper.sampler=grid", "trainer.max_epochs=1")
    code, text = command(
        *overrides, "optimizer=sgd", "trainer.gradient_clip_val=null", "optimizer.lr=choice(1e-3,1e30)"
    )
    assert code == 0, text
    good, bad = study_of(tmp_path).trials
    assert (good.state, bad.state) == (TrialState.COMPLETE, TrialState.FAIL)
    reason = bad.user_attrs["reason"]  # which of the two comes first depends on the processor
    assert re.match(r"DivergedError: the (loss|gradient) is not finite at step \d+ \(learning rate", reason)
    assert {cell.name: cell.status for cell in find_cells(tmp_path / "search")} == {
        "trial_0000": "done",
        "trial_0001": "diverged",
    }
    result = result_of(tmp_path / "search" / "trial_0000")
    assert (
        good.value == result["scores"]["val"]["psnr"]["mean"]
        or abs(good.value - result["scores"]["val"]["psnr"]["mean"]) < 1e-4
    )

    train_command = shlex.split(text.partition("train it: ")[2].splitlines()[0])
    assert train_command[-1] == "experiment=best"
    code, text = command(train_command[-1], flags=train_command[-3:-1])
    assert code == 0, text
    retrained = result_of(tmp_path / "run")
    assert retrained["choices"]["optimizer"] == "sgd"
    assert retrained["config"]["optimizer"]["lr"] == 1e-3
    assert retrained["config"]["trials"] == 2
    assert "n_trials: 2\n" in (tmp_path / "search" / "multirun.yaml").read_text()
    assert retrained["scores"]["val"]["psnr"]["mean"] == result["scores"]["val"]["psnr"]["mean"]


@pytest.mark.slow
def test_trials_of_other_images_than_the_first_are_refused(
    command: Command, make_folder: MakeFolder, tmp_path: Path
) -> None:
    root = make_folder(count=6)
    overrides = search_overrides(tmp_path, root, "optimizer.lr=interval(1e-4,1e-3)", "trainer.max_epochs=1")
    code, text = command(*overrides, "hydra.sweeper.n_trials=1")
    assert code == 0, text
    photograph(48, 64, seed=9).save(root / "high_res" / "new.png")
    code, text = command(*overrides, "hydra.sweeper.n_trials=2")
    first, second = study_of(tmp_path).trials
    assert (first.state, second.state) == (TrialState.COMPLETE, TrialState.FAIL)
    trial = tmp_path / "search" / "trial_0000"
    assert f"the images differ from those of {trial}: 1 added (new)" in second.user_attrs["reason"]
    (root / "high_res" / "new.png").unlink()
    code, text = command(*overrides, "hydra.sweeper.n_trials=3")
    assert study_of(tmp_path).trials[2].state == TrialState.COMPLETE, text


@pytest.mark.slow
def test_an_unpromising_trial_is_pruned_in_its_first_fold(
    command: Command, make_folder: MakeFolder, tmp_path: Path
) -> None:
    overrides = search_overrides(
        tmp_path, make_folder(), "hydra.sweeper.sampler=grid", "trainer.max_epochs=2", "data.folds=2"
    )
    code, text = command(
        *overrides, "data.fold=all", "hydra.sweeper.pruner=median",
        "hydra.sweeper.pruner_options={n_startup_trials: 1}", "model.head=choice(residual,sigmoid)",
    )  # fmt: skip
    assert code == 0, text
    good, bad = study_of(tmp_path).trials
    assert good.state == TrialState.COMPLETE
    assert list(good.intermediate_values) == [1, 2, 3, 4]
    assert bad.state == TrialState.PRUNED
    assert max(bad.intermediate_values) <= 2
    search = tmp_path / "search"
    assert result_of(search / "trial_0001")["status"] == "pruned"
    assert not (search / "trial_0001" / "fold_1").exists()
    assert {cell.name: cell.status for cell in find_cells(search)} == {"trial_0000": "done", "trial_0001": "pruned"}


@pytest.mark.parametrize(
    "options",
    [
        ["hydra.sweeper.direction=[maximize,minimize]"],
        ["objectives=[val/psnr,parameters]"],
        ["objectives=[val/psnr,parameters]", "hydra.sweeper.direction=[maximize]"],
    ],
)
def test_directions_and_objectives_of_different_number_are_refused_before_any_training(
    command: Command, make_folder: MakeFolder, tmp_path: Path, options: list[str]
) -> None:
    code, text = command(*search_overrides(tmp_path, make_folder()), *options)
    assert code == 2, text
    assert "objectives: one each is needed, as in hydra.sweeper.direction=[maximize,minimize] objectives=" in text
    assert not (tmp_path / "search").exists()


def test_objectives_that_are_no_list_are_refused_as_such(
    command: Command, make_folder: MakeFolder, tmp_path: Path
) -> None:
    code, text = command(
        *search_overrides(tmp_path, make_folder()), "objectives=val/psnr", "model.channels=choice(16,32)"
    )
    assert code == 2, text
    assert "error: objectives=val/psnr: a list is needed: 'objectives=[val/psnr]'" in text


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["objectives=[ms_per_image]"], "direction=maximize would find the worst ms_per_image: minimize it"),
        (
            [
                "objectives=[val/psnr,val/lpips]",
                "metrics=[default,lpips]",
                "hydra.sweeper.direction=[maximize,maximize]",
            ],
            "direction=maximize would find the worst val/lpips: minimize it",
        ),
        (
            ["objectives=[parameters]", "hydra.sweeper.direction=minimize", "hydra.sweeper.pruner=median"],
            "pruner=median stops trials by val/psnr, which is not the objective, parameters: use hydra.sweeper.pruner=",
        ),
    ],
)
def test_a_search_that_would_find_the_worst_or_prune_by_another_score_is_refused(
    command: Command, make_folder: MakeFolder, tmp_path: Path, options: list[str], reason: str
) -> None:
    code, text = command(*search_overrides(tmp_path, make_folder()), *options)
    assert code == 2, text
    assert f"error: hydra.sweeper.{reason}" in text
    assert not (tmp_path / "search").exists()


@pytest.mark.slow
def test_two_objectives(command: Command, make_folder: MakeFolder, tmp_path: Path) -> None:
    overrides = search_overrides(tmp_path, make_folder(), "hydra.sweeper.sampler=grid", "trainer.max_epochs=1")
    code, text = command(
        *overrides, "objectives=[val/psnr,parameters]", "hydra.sweeper.direction=[maximize,minimize]",
        "model.channels=choice(16,32)",
    )  # fmt: skip
    assert code == 0, text
    small, large = study_of(tmp_path).trials
    assert small.values[1] < large.values[1] == result_of(tmp_path / "search" / "trial_0001")["parameters"]
    assert 0 in {trial.number for trial in study_of(tmp_path).best_trials}


def test_an_unknown_objective_lists_the_known_ones(command: Command, make_folder: MakeFolder, tmp_path: Path) -> None:
    overrides = search_overrides(tmp_path, make_folder(), "hydra.sweeper.n_trials=1", "trainer.max_epochs=1")
    code, text = command(*overrides, "objectives=[val/best]", "optimizer.lr=interval(1e-4,1e-3)")
    assert code == 1
    assert "objectives: no 'val/best' in a result: use val/psnr, val/ssim" in text
    assert "Traceback" not in text


@pytest.mark.slow
@pytest.mark.parametrize("experiment", ["espcn_search", "espcn_tpe"])
def test_bundled_searches_run(command: Command, make_folder: MakeFolder, tmp_path: Path, experiment: str) -> None:
    code, text = command(
        f"experiment={experiment}", "data=isr", f"data.root={make_folder()}", "logger=none", "trainer.max_epochs=1",
        "hydra.sweeper.n_trials=2", f"hydra.sweep.dir={tmp_path / 'search'}",
    )  # fmt: skip
    assert code == 0, text
    study = study_of(tmp_path)
    assert set(study.trials[0].params) == {
        "optimizer.lr",
        "optimizer.weight_decay",
        "model.num_blocks",
        "model.channels",
    }
    assert "2 of 2 trials: 2 complete" in text


@pytest.mark.parametrize(
    "overrides",
    [
        ["experiment=origin", "model=autoencoder_origin", "optimizer.lr=interval(1e-4,1e-3)"],
        ["experiment=showcase", "model=espcn", "loss=vgg", "optimizer.lr=choice(1e-4,1e-3)"],
        ["model=vdsr", "optimizer=choice(adam,sgd)", "+data.note='a, b'", "data.root=[A,B]"],
        ["debug=tiny", "data.patch=choice(32,64)"],
        ["model=vdsr", "+optimizer@extra=sgd_origin", "seed=choice(1,2)"],
        ["optimizer={lr: 0.5}", "seed=choice(1,2)"],
        ["~callbacks.search", "seed=choice(1,2)"],
    ],
)
def test_the_printed_command_composes_to_the_config_of_the_best_trial(tmp_path: Path, overrides: list[str]) -> None:
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        sweep_config = compose("train", ["hydra/sweeper=optuna"], return_hydra_config=True)
        loader = GlobalHydra.instance().config_loader()
        fixed = [re.sub(r"=(choice|interval)\(([^,]+),.*\)", r"=\2", override) for override in overrides]
        trial = create_trial(value=1.0, user_attrs={"overrides": fixed})
        sweep_config.trials = 4  # of a search before this one
        (command,) = write_best(tmp_path, [trial], sweep_config, loader, 3)
        expected = OmegaConf.to_container(loader.load_sweep_config(sweep_config, [*fixed, "trials=7"]))
    arguments = shlex.split(command)[3:]
    flags, printed = (arguments[:2], arguments[2:]) if arguments[0] == "--config-dir" else ([], arguments)
    assert bool(flags) == (not fixed[0].startswith(("debug", "~")))
    search_path = [f"hydra.searchpath=[file://{tmp_path / 'conf'}]"] if flags else []
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        composed = OmegaConf.to_container(compose("train", [*search_path, *printed], return_hydra_config=True))
    assert isinstance(expected, dict)
    assert isinstance(composed, dict)
    assert composed["hydra"]["mode"].name == "RUN"
    assert {**composed, "hydra": 0} == {**expected, "hydra": 0}


@pytest.mark.parametrize(
    ("numbers", "names"), [([4], ["best.yaml"]), ([4, 11], ["best_11.yaml", "best_4.yaml"])], ids=["one", "front"]
)
def test_experiments_are_named_by_their_trials_and_say_their_values(
    tmp_path: Path, numbers: list[int], names: list[str]
) -> None:
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    (tmp_path / "conf" / "experiment" / "best_3.yaml").touch()  # of an earlier end of this search
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        sweep_config = compose("train", ["hydra/sweeper=optuna"], return_hydra_config=True)
        loader = GlobalHydra.instance().config_loader()
        trials = [create_trial(value=30 + number, user_attrs={"overrides": ["model=vdsr"]}) for number in numbers]
        for trial, number in zip(trials, numbers, strict=True):
            trial.number = number
        commands = write_best(tmp_path, trials, sweep_config, loader, 12)
    folder = tmp_path / "conf" / "experiment"
    assert sorted(path.name for path in folder.iterdir()) == names
    for number, command_line in zip(numbers, commands, strict=True):
        name = shlex.split(command_line)[-1].removeprefix("experiment=")
        assert (folder / f"{name}.yaml").read_text().splitlines()[:2] == [
            "# @package _global_",
            f"# Trial {number}: {30 + number}. Train it: {command_line}",
        ]


def test_a_direction_that_contradicts_the_mode_is_rejected(command: Command, tmp_path: Path) -> None:
    overrides = search_overrides(tmp_path, tmp_path, "monitor=val/loss", "mode=min", "optimizer.lr=interval(1e-4,1e-3)")
    code, text = command(*overrides)
    assert code == 2
    assert "error: hydra.sweeper.direction=maximize contradicts mode=min" in text
    assert not (tmp_path / "search").exists()
