"""The best trials as commands and experiments that are ready to be trained."""

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_search_path import SearchPathElement
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from optuna.trial import FrozenTrial

_GROUP = "experiment"
_RUN = "hydra.mode=RUN"  # a base experiment may ask for many runs


def write_best(folder: Path, trials: Sequence[FrozenTrial], config: DictConfig, loader: ConfigLoader) -> list[str]:
    """Write ``conf/experiment/best.yaml`` into a sweep's folder, or ``best_N.yaml`` for each of several trials.

    A file is written only if it composes to the config of its trial; where no experiment can say that, the command
    names the trial's own options instead.

    Returns:
        The command that trains each.
    """
    own = folder / "conf"
    for path in (own / _GROUP).glob("best*.yaml"):
        path.unlink()
    commands = []
    for trial in trials:
        overrides = trial.user_attrs["overrides"]
        command = [*_program(), *overrides, _RUN]
        name = "best" if len(trials) == 1 else f"best_{trial.number}"
        wanted = loader.load_sweep_config(config, overrides)
        while name == wanted.hydra.runtime.choices.get(_GROUP):  # a search around the best of another one
            name += "_next"
        path = own / _GROUP / f"{name}.yaml"
        short = [*_program(), "--config-dir", str(_near(own)), f"{_GROUP}={name}"]
        values = ", ".join(f"{value:.6g}" for value in trial.values)
        about = f"# Trial {trial.number}: {values}. Train it: {shlex.join(short)}\n"
        _write(path, f"# @package _global_\n{about}{_as_experiment(overrides, loader)}")
        if _task(_composed(own, f"{_GROUP}={name}", config, loader)) == _task(wanted):
            command = short
        else:
            path.unlink()
        commands.append(shlex.join(command))
    return commands


def _as_experiment(overrides: Sequence[str], loader: ConfigLoader) -> str:
    """Overrides as an experiment's YAML, on top of the experiment that they name."""
    first: list[Any] = []
    then: list[Any] = []
    values = OmegaConf.create({})
    for override in OverridesParser.create(config_loader=loader).parse_overrides(list(overrides)):
        group, value = override.key_or_group, override.value()
        is_group = not isinstance(value, dict) and bool(loader.get_group_options(group))
        if group == _GROUP:
            first.insert(0, value)
        elif is_group and override.is_add():
            first.append({f"/{override.get_key_element().lstrip('+')}": value})
        elif is_group:
            then.append({f"override /{override.get_key_element()}": value})
        elif not override.is_delete():
            OmegaConf.update(values, group, value, force_add=True)
    merged = OmegaConf.merge({"defaults": [*first, *then, "_self_"], "hydra": {"mode": "RUN"}}, values)
    return OmegaConf.to_yaml(merged)


def _composed(own: Path, override: str, config: DictConfig, loader: ConfigLoader) -> DictConfig | None:
    """What the command with the experiment composes; None if nothing."""
    path = ConfigSearchPathImpl()
    path.config_search_path = list(loader.get_search_path().get_path())
    path.config_search_path.insert(-1, SearchPathElement("command-line", f"file://{own}"))  # the last has to stay it
    try:
        return ConfigLoaderImpl(path).load_configuration(config.hydra.job.config_name, [override], RunMode.RUN)
    except (HydraException, OmegaConfBaseException, RecursionError):
        return None


def _task(config: DictConfig | None) -> Any:
    """A config without Hydra's own part, as plain values."""
    plain = OmegaConf.to_container(config, resolve=False) if config is not None else {}
    assert isinstance(plain, dict)
    return {key: value for key, value in plain.items() if key != "hydra"}


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _near(path: Path) -> Path:
    """A path as one would type it here."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _program() -> list[str]:
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return ["python", "-m", spec.name] if spec else ["python", sys.argv[0]]
