"""Records of earlier versions, brought to today's schema."""

import math
from typing import Any

SCHEMA = 3

# Options added since, with the value that says what runs did before.
_ADDED_OPTIONS: dict[str, Any] = {
    "init": None,
    "init_strict": False,
    "init_freeze": None,
    "seeds": None,
    "trials": 1,
    "data.channels": 3,
    "data.bits": 8,
    "data.augment.sizes": [],
    "data.degrade": {"_target_": "sr.data.degrade.bicubic.Bicubic"},
    "trainer.threads": "auto",
}

# Where the targets of recorded configs live now: whole modules, then single names of modules that were split.
_MODULES = {
    "sr.batches": "sr.data.batches",
    "sr.sources": "sr.data.sources",
}
_NAMES = {
    "sr.callbacks.safety.RunCheckpoints": "sr.callbacks.checkpoints.RunCheckpoints",
    "sr.callbacks.safety.RandomStates": "sr.callbacks.random_states.RandomStates",
    "sr.callbacks.safety.DivergenceGuard": "sr.callbacks.divergence.DivergenceGuard",
}

_MAY_BE_NULL = frozenset({"command", "git_commit", "ms_per_image"})
_IN_FINISHED_RUNS = ("protocol", "scale", "loss", "choices", "parameters", "multiply_adds", "data", "scores")


def migrated(content: dict[str, Any]) -> dict[str, Any]:
    """The content of a record as the current schema has it; targets are those of today, whatever the schema."""
    schema = content.get("schema", 1)
    content = {**content, "config": with_added_options(_with_current_targets(content["config"]))}
    if schema < 2:
        content = _of_schema_2(content)
    if schema < 3:
        content = _of_schema_3(content)
    for scores in [content.get("scores") or {}, *(part["scores"] for part in content.get("trainings") or [])]:
        for part in scores.values():
            for summary in part.values():
                if summary["mean"] is None:  # JSON has no nan
                    summary["mean"] = math.nan
    return content


def _of_schema_2(content: dict[str, Any]) -> dict[str, Any]:
    """Schema 1 had no number, and left out what was not known yet."""
    if content["status"] == "done":
        for name in _IN_FINISHED_RUNS:
            content[name]
    content = {name: value for name, value in content.items() if value is not None or name in _MAY_BE_NULL}
    content.setdefault("scale", content["config"].get("scale", 1))
    return content


def _of_schema_3(content: dict[str, Any]) -> dict[str, Any]:
    """Schema 2 had folds but no seeds, and ``data.seed`` split the images as well."""
    config, folds = content["config"], content.pop("folds", [])
    seed = config.get("seed", 0)
    content["trainings"] = [{"seed": seed, "fold": number, **fold} for number, fold in enumerate(folds)]
    data = config.get("data", {})
    if "seed" in data:
        data.setdefault("split_seed", data["seed"])
    content["schema"] = SCHEMA
    return content


def with_added_options(config: dict[str, Any]) -> dict[str, Any]:
    """A recorded config with the options that it lacks, where it has the section that they belong to.

    >>> with_added_options({"data": {"bits": 16}})["data"]
    {'degrade': {'_target_': 'sr.data.degrade.bicubic.Bicubic'}, 'bits': 16, 'channels': 3}
    """
    for name, value in _ADDED_OPTIONS.items():
        config = _with_option(config, name.split("."), value)
    return config


def _with_option(config: dict[str, Any], path: list[str], value: Any) -> dict[str, Any]:
    first, *rest = path
    if not rest:
        return {first: value, **config}
    section = config.get(first)
    return {**config, first: _with_option(section, rest, value)} if isinstance(section, dict) else config


def _with_current_targets(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_current_targets(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: _current_target(item) if name == "_target_" and isinstance(item, str) else _with_current_targets(item)
        for name, item in value.items()
    }


def _current_target(target: str) -> str:
    """Today's place of a class or function.

    >>> _current_target("sr.batches.Augment"), _current_target("sr.nets.espcn.ESPCN")
    ('sr.data.batches.Augment', 'sr.nets.espcn.ESPCN')
    """
    module, _, name = target.rpartition(".")
    return _NAMES.get(target, f"{_MODULES.get(module, module)}.{name}")
