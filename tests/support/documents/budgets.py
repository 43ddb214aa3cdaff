"""Rules that turn a documented training command into one that takes a second."""

from collections.abc import Iterator, Sequence

from sr.train import config_dir

# A run of two steps on tiny crops; features of VGG would have to be downloaded.
_BUDGET = {
    "trainer.max_epochs": "1",
    "trainer.limit_train_batches": "2",
    "trainer.limit_val_batches": "8",  # tiles of more than one photograph of data=demo
    "trainer.check_val_every_n_epoch": "1",
    "trainer.accelerator": "cpu",
    "trainer.precision": "32-true",
    "data.patch": "24",
    "data.batch_size": "2",
    "data.repeat": "1",
    "data.train_scored": "0",
    "vgg_weights": "random",
}
_EXTENDED = "2"  # epochs, where a page names a number of them
_TRIALS = "2"
_MOST_VALUES = 2  # of an option that a sweep varies
_WITH_BLOCKS = {"espcn", "vdsr", "edsr"}
_GRIDS = ("grid", "showcase", "origin_grid")
_SEARCHES = ("espcn_search", "espcn_tpe")


def with_budget(words: Sequence[str]) -> list[str]:
    """The arguments of ``sr train`` with small budgets in place of the documented ones, or added to them."""
    if {"--help", "--cfg"} & set(words):
        return list(words)
    budget = dict(_BUDGET)
    experiment = next((value for key, value in _options(words) if key == "experiment"), "")
    named = {key for key, _ in _options(words)}
    models = {model for key, value in _options(words) if key == "model" for model in value.split(",")}
    if experiment in _GRIDS:
        budget["data.folds"] = "2"
        if "model" not in named:
            budget |= {"model": "espcn", "loss": "mse,mae", "optimizer": "adam"}
    if experiment in _SEARCHES or "hydra/sweeper=optuna" in words:
        budget["hydra.sweeper.n_trials"] = _TRIALS
    if models and models <= _WITH_BLOCKS and "model.num_blocks" not in named:
        budget["model.num_blocks"] = "2"  # instead of VDSR's 18
    if "trainer.max_epochs" in named:
        budget["trainer.max_epochs"] = _EXTENDED
    kept = [_shortened(word) for word in words if word.partition("=")[0] not in budget]
    return [*kept, *(f"{key}={value}" for key, value in budget.items())]


def single_runs(words: Sequence[str]) -> Iterator[list[str]]:
    """The overrides of single runs that together contain each value of each list of a sweep."""
    overrides = [word for word in words if not word.startswith("-")]
    choices = [[word] if not _is_list(word) else _values(word) for word in overrides]
    for number in range(max(map(len, choices))):
        yield [values[number % len(values)] for values in choices if not _is_space(values[0])]


def _options(words: Sequence[str]) -> list[tuple[str, str]]:
    parts = [word.partition("=") for word in words]
    return [(key, value) for key, equals, value in parts if equals]


def _is_list(word: str) -> bool:
    return "," in word and not set("[({$'\"") & set(word)


def _is_space(word: str) -> bool:
    return any(f"={name}(" in word for name in ("tag", "choice", "range", "interval", "int"))


def _values(word: str) -> list[str]:
    key, _, values = word.partition("=")
    return [f"{key}={value}" for value in values.split(",")]


def _shortened(word: str) -> str:
    """The word with the first values of its list; those left out have to be choices that exist."""
    if not _is_list(word):
        return word
    key, _, values = word.partition("=")
    kept, rest = values.split(",")[:_MOST_VALUES], values.split(",")[_MOST_VALUES:]
    if (config_dir() / key).is_dir():
        unknown = [name for name in rest if not (config_dir() / key / f"{name}.yaml").is_file()]
        assert not unknown, f"{word}: {unknown} are no choices"
    return f"{key}={','.join(kept)}"
