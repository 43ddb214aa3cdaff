import shlex

from sr.runs.identity import command, data_differences, differences


def test_runs_that_differ_only_in_folder_and_logging_are_the_same() -> None:
    callbacks = {"dir": "/a/checkpoints", "checkpoints": {"minutes": 1}, "images": {"monitor": "val/psnr"}}
    config = {"run_dir": "/a", "retrain": False, "seed": 1, "logger": {"x": 1}, "callbacks": callbacks}
    moved = {**config, "name": "mine", "run_dir": "/b c", "retrain": True, "logger": None, "vgg_weights": "imagenet"}
    moved["callbacks"] = {"dir": "/b c/checkpoints", "checkpoints": {"minutes": 9}, "images": {}}
    assert differences(config, moved) == []


def test_every_option_that_differs_is_named() -> None:
    earlier = {"run_dir": "/a", "seed": 1, "data": {"patch": None, "root": "x"}, "callbacks": {"ema": {"decay": 0.9}}}
    config = {"run_dir": "/a", "seed": 0, "data": {"patch": 96, "root": "x"}, "scale": 2}
    assert differences(earlier, config) == [
        "callbacks.ema.decay: 0.9 there, absent here",
        "data.patch: null there, 96 here",
        "scale: absent there, 2 here",
        "seed: 1 there, 0 here",
    ]


def test_the_command_is_quoted_for_the_shell() -> None:
    overrides = ["data.root=/a b/c", "model.channels=64", "data.root=[a,b]"]
    assert shlex.split(command(overrides, {})) == ["python", "-m", "sr.train", *overrides]


def test_the_command_of_a_fold_replaces_the_overrides_that_differ() -> None:
    command_line = command(["data.fold=all", "seed=3", "data.folds=5"], {"data.fold": 2, "seed": 5})
    assert shlex.split(command_line)[3:] == ["data.folds=5", "data.fold=2", "seed=5"]


def test_the_command_leaves_out_the_name_by_which_it_would_find_this_run() -> None:
    assert command(["name=mine", "seed=1"], {}) == "python -m sr.train seed=1"


def test_where_data_lie_how_they_are_loaded_and_what_is_shown_makes_no_other_run() -> None:
    data = {"root": "/a", "cache": "auto", "cache_dir": None, "num_workers": 0, "patch": 96}
    trainer = {"accelerator": "auto", "log_every_n_steps": 10, "max_epochs": 2, "threads": "auto"}
    callbacks = {"pictures": {"images": 4}, "samples": {"side": 96}}
    recorded = {"run_dir": "/r", "data": data, "trainer": trainer, "callbacks": callbacks}
    moved = {"root": "/b", "cache": "disk", "cache_dir": "/c", "num_workers": 2, "patch": 96}
    elsewhere = {"accelerator": "gpu", "benchmark": True, "log_every_n_steps": 1, "max_epochs": 2}
    config = {"run_dir": "/r", "data": moved, "trainer": elsewhere, "callbacks": {"pictures": None, "samples": {}}}
    assert differences(recorded, config) == []
    assert differences(recorded, config | {"data": moved | {"patch": 48}}) == ["data.patch: 96 there, 48 here"]


def row(name: str, part: str = "train", content: str = "0") -> dict[str, str]:
    return {"name": name, "part": part, "hash": content}


def test_images_that_were_added_removed_changed_or_moved_to_another_part_are_named() -> None:
    recorded = [row("a"), row("b"), row("c", "val"), row("d")]
    current = [row("b", content="1"), row("c", "test"), row("d"), *(row(f"new{number}") for number in range(5))]
    assert data_differences(recorded, current) == (
        "5 added (new0, new1, new2, ...), 1 removed (a), 1 changed (b), 1 in another part of the split (c)"
    )
    assert data_differences(recorded, recorded[::-1]) == ""
    assert data_differences([row("c", "val")], [row("c", "test")], of_split=False) == ""
    assert data_differences([row("c", "val")], [row("c", content="1")], of_split=False) == "1 changed (c)"
