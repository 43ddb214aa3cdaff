import shlex

from sr.runs.identity import command, differences


def test_runs_that_differ_only_in_folder_and_logging_are_the_same() -> None:
    callbacks = {"dir": "/a/checkpoints", "checkpoints": {"minutes": 1}, "images": {"monitor": "val/psnr"}}
    config = {"run_dir": "/a", "retrain": False, "seed": 1, "logger": {"x": 1}, "callbacks": callbacks}
    moved = {**config, "run_dir": "/b c", "retrain": True, "logger": None, "vgg_weights": "imagenet"}
    moved["callbacks"] = {"dir": "/b c/checkpoints", "checkpoints": {"minutes": 9}, "images": {}}
    assert differences(config, moved) == []


def test_every_option_that_differs_is_named() -> None:
    earlier = {"run_dir": "/a", "seed": 1, "data": {"patch": None, "root": "x"}, "callbacks": {"ema": {"decay": 0.9}}}
    config = {"run_dir": "/a", "seed": 0, "data": {"patch": 96, "root": "x"}, "scale": 2}
    assert differences(earlier, config) == [
        "callbacks.ema.decay: 0.9 there, absent here",
        "data.patch: None there, 96 here",
        "scale: absent there, 2 here",
        "seed: 1 there, 0 here",
    ]


def test_the_command_is_quoted_for_the_shell() -> None:
    overrides = ["data.root=/a b/c", "model.channels=64", "data.root=[a,b]"]
    assert shlex.split(command(overrides, {})) == ["python", "-m", "sr.train", *overrides]


def test_the_command_of_a_fold_replaces_the_overrides_that_differ() -> None:
    command_line = command(["data.fold=all", "seed=3", "data.folds=5"], {"data.fold": 2, "seed": 5})
    assert shlex.split(command_line)[3:] == ["data.folds=5", "data.fold=2", "seed=5"]
