from pathlib import Path
from typing import Any

import pytest

from sr.report.comparison import find_comparisons
from sr.report.configurations import find_configurations
from sr.report.run import Configuration, Run
from sr.runs.schema import InitialWeights, RunResult, Status
from tests.support.run_folders import RunFolders, config, data


def run(name: str, *, seed: int = 1, choices: tuple[str, str, str] = ("espcn", "mse", "adam"), **options: Any) -> Run:
    """A run with options by their dotted names, and one image."""
    config: dict[str, Any] = {"seed": seed, "data": {"seed": seed, "folds": None}}
    for path, value in options.pop("options", {}).items():
        *parents, last = path.split(".")
        place = config
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    model, loss, optimizer = choices
    result = RunResult(
        Status.DONE, config, {"model": model, "optimizer": optimizer}, loss=loss, data=data(1), **options
    )
    scores = {"psnr": 30.0, "ssim": 0.9, "gain": 1.0, "input_psnr": 29.0, "input_ssim": 0.8}
    return Run(name, (Path(name),), result, {"a": scores}, {"a": 0}, {"a": "a"}, [])


def names(configurations: list[Configuration]) -> list[str]:
    return [configuration.name for configuration in configurations]


def test_runs_that_differ_in_their_seed_alone_are_one_configuration() -> None:
    (configuration,) = find_configurations([run("b", seed=2), run("a", seed=1), run("c", seed=3)], [])
    assert [(of_seed.seed, of_seed.name) for of_seed in configuration.runs] == [(1, "a"), (2, "b"), (3, "c")]
    assert configuration.name == "espcn, mse, adam"


def test_where_images_lie_and_how_a_run_is_called_do_not_matter() -> None:
    runs = [
        run(name, seed=seed, options={"data.root": name, "name": name, "data.num_workers": seed, "run_dir": f"/{name}"})
        for seed, name in enumerate("abc")
    ]
    assert len(find_configurations(runs, [])) == 1


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([{"optimizer.lr": 0.001}, {"optimizer.lr": 0.1}], ["adam lr=0.001", "adam lr=0.1"]),
        (
            [{"model.channels": 32}, {"model.channels": 64}],
            ["espcn channels=32", "espcn channels=64"],
        ),
        (
            [{}, {"callbacks.ema._target_": "sr.callbacks.averaging.MovingAverage"}],
            ["espcn, mse, adam", "espcn, mse, adam, ema=MovingAverage"],
        ),
        (
            [{"data.split_seed": 1}, {"data.split_seed": 2}],
            ["espcn, mse, adam, split_seed=1", "espcn, mse, adam, split_seed=2"],
        ),
        (
            [
                {"model.scale": 1, "data.scale": 1},
                {"model.scale": 2, "data.scale": 1},
                {"model.scale": 2, "data.scale": 2},
            ],
            [
                "espcn model.scale=1, data.scale=1",
                "espcn model.scale=2, data.scale=1",
                "espcn model.scale=2, data.scale=2",
            ],
        ),
    ],
)
def test_configurations_are_named_by_what_they_differ_in(options: list[dict[str, Any]], expected: list[str]) -> None:
    runs = [run(str(number), options=of_run) for number, of_run in enumerate(options)]
    assert names(find_configurations(runs, [])) == expected


def test_options_that_go_with_the_choices_are_not_named() -> None:
    """A network may state a learning rate of its own: that makes no second kind of Adam."""
    runs = [
        run("a", options={"optimizer.lr": 1e-3, "model.channels": 64}),
        run("b", choices=("vdsr", "mse", "adam"), options={"optimizer.lr": 1e-4, "model.num_blocks": 18}),
        run("c", choices=("vdsr", "mae", "adam"), options={"optimizer.lr": 1e-4, "model.num_blocks": 18}),
    ]
    configurations = find_configurations(runs, [])
    assert names(configurations) == ["espcn, mse", "vdsr, mse", "vdsr, mae"]
    assert {configuration.levels[2] for configuration in configurations} == {"adam"}


def test_more_options_than_fit_are_counted_and_names_stay_apart() -> None:
    many = [{f"data.option_{letter}": number for letter in "abcdef"} for number in range(2)]
    many.append({**many[0], "data.option_f": 7})
    configurations = find_configurations([run(str(number), options=options) for number, options in enumerate(many)], [])
    zeros, ones, other = names(configurations)
    assert ones == "espcn, mse, adam, option_a=1 option_b=1 option_c=1 and 3 more"
    assert (
        zeros == "espcn, mse, adam, option_a=0 option_b=0 option_c=0 option_d=0 option_e=0 option_f=0"
    )  # else as other
    assert other == zeros.replace("f=0", "f=7")
    assert len({configuration.cell for configuration in configurations}) == 3  # else figures would leave some out


def test_values_that_are_shown_alike_have_places_of_their_own() -> None:
    runs = [run(str(number), options={"optimizer.lr": lr}) for number, lr in enumerate((0.1234567, 0.12345671))]
    configurations = find_configurations(runs, [])
    assert names(configurations) == ["espcn, mse, adam lr=0.123457", "espcn, mse, adam lr=0.123457 (2)"]
    assert len({configuration.cell for configuration in configurations}) == 2


def test_other_initial_weights_are_another_configuration() -> None:
    weights = [InitialWeights("x2", digest * 8, 100, 10, [], []) for digest in ("12345678", "abcdefgh")]
    runs = [run("a"), *(run(str(number), initial=initial) for number, initial in enumerate(weights))]
    assert len(find_configurations(runs, [])) == 3


def test_the_same_seed_twice_is_one_training() -> None:
    repeats: list[str] = []
    runs = [run("early", started="2026-01-01T00:00:00"), run("late", started="2026-01-02T00:00:00")]
    (configuration,) = find_configurations(runs, repeats)
    assert [of_seed.name for of_seed in configuration.runs] == ["late"]
    assert repeats == ["early: left out, late is the same training with the same seed"]


def test_a_degradation_is_named_by_its_class_alone_where_the_rest_follows_from_it(run_folders: RunFolders) -> None:
    for number, (target, more) in enumerate((("Jpeg", {"quality": [30, 95]}), ("Bicubic", {}))):
        node = {"_target_": f"sr.data.degrade.{target.lower()}.{target}", **more}
        run_folders(
            f"espcn_mse_adam_{target}",
            [0.5] * 4,
            folds=None,
            config=config(0, degrade=node),
            data=data(4, fingerprint=f"{number}123456789abcdef"),
        )
    runs = [run for comparison in find_comparisons([run_folders.root]).comparisons for run in comparison.runs]
    assert [entry.name for entry in find_configurations(runs, [])] == [
        "espcn, mse, adam, degrade=bicubic",
        "espcn, mse, adam, degrade=jpeg",
    ]


def test_another_degradation_is_named_even_where_networks_differ() -> None:
    node = {"data.degrade._target_": "sr.data.degrade.photo.Photo"}
    runs = [run("a", options=node), run("b", choices=("vdsr", "mse", "adam"))]
    assert names(find_configurations(runs, [])) == ["espcn, degrade=photo", "vdsr"]
