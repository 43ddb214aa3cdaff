"""The best trials as experiments that are ready to be trained."""

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf
from optuna.trial import FrozenTrial

_GROUP = "experiment"


def write_best(folder: Path, trials: Sequence[FrozenTrial], loader: ConfigLoader) -> list[str]:
    """Write ``conf/experiment/best.yaml`` into a sweep's folder, or ``best_N.yaml`` for each of several trials.

    Returns:
        The command that trains each.
    """
    commands = []
    for trial in trials:
        name = "best" if len(trials) == 1 else f"best_{trial.number}"
        overrides = trial.user_attrs["overrides"]
        experiment = as_experiment(overrides, loader)
        if experiment is None:
            commands.append(shlex.join([*_program(), *overrides]))
            continue
        path = folder / "conf" / _GROUP / f"{name}.yaml"
        command = shlex.join([*_program(), "--config-dir", str(_near(path.parents[1])), f"{_GROUP}={name}"])
        values = ", ".join(f"{value:.6g}" for value in trial.values)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        text = f"# @package _global_\n# Trial {trial.number}: {values}. Train it: {command}\n{experiment}"
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
        commands.append(f"train it: {command}")
    return commands


def as_experiment(overrides: Sequence[str], loader: ConfigLoader) -> str | None:
    """Overrides as an experiment's YAML, upon the experiment that they name; None if YAML cannot say them."""
    defaults: list[Any] = []
    values = OmegaConf.create({})
    for override in OverridesParser.create(config_loader=loader).parse_overrides(list(overrides)):
        if override.is_delete():
            return None
        group = bool(loader.get_group_options(override.key_or_group))
        if override.key_or_group == _GROUP:
            defaults.insert(0, override.value())
        elif group and override.is_add():
            defaults.append({f"/{override.get_key_element().lstrip('+')}": override.value()})
        elif group:
            defaults.append({f"override /{override.get_key_element()}": override.value()})
        else:
            OmegaConf.update(values, override.key_or_group, _plain(override.value()), force_add=True)
    merged = OmegaConf.merge({"defaults": [*defaults, "_self_"], "hydra": {"mode": "RUN"}}, values)
    return OmegaConf.to_yaml(merged)


def _plain(value: Any) -> Any:
    """A parsed value without Hydra's quotes."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {str(_plain(key)): _plain(one) for key, one in value.items()}
    return getattr(value, "text", value)


def _near(path: Path) -> Path:
    """A path as one would type it here."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _program() -> list[str]:
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return ["python", "-m", spec.name] if spec else ["python", sys.argv[0]]
