"""The best trials of a search as experiments and as commands that train them."""

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
_COUNT = "trials"  # option of a program that records how many trials its options were chosen from
_SINGLE_RUN = "hydra.mode=RUN"  # the experiment of the search may set MULTIRUN


def write_best(
    folder: Path, trials: Sequence[FrozenTrial], config: DictConfig, loader: ConfigLoader, count: int
) -> list[str]:
    """Write ``conf/experiment/best.yaml`` into a sweep's folder, or ``best_N.yaml`` for each of several trials.

    An experiment is kept only if it composes to the config of its trial. Otherwise the command lists the overrides of
    the trial instead. If the program has an option ``trials``, it gets the number of trials of the search, ``count``.

    Returns:
        The command that trains each trial.
    """
    config_dir = folder / "conf"
    earlier = config.get(_COUNT)  # of the search whose best options this one refines
    count += earlier if isinstance(earlier, int) and earlier > 1 else 0
    for path in (config_dir / _GROUP).glob("best*.yaml"):
        path.unlink()
    commands = []
    for trial in trials:
        overrides = [*trial.user_attrs["overrides"], *([f"{_COUNT}={count}"] if _COUNT in config else [])]
        command = [*_program(), *overrides, _SINGLE_RUN]
        name = "best" if len(trials) == 1 else f"best_{trial.number}"
        trial_config = loader.load_sweep_config(config, overrides)
        while name == trial_config.hydra.runtime.choices.get(_GROUP):  # the search itself ran with experiment=best
            name += "_next"
        path = config_dir / _GROUP / f"{name}.yaml"
        short_command = [*_program(), "--config-dir", str(_relative_to_cwd(config_dir)), f"{_GROUP}={name}"]
        values = ", ".join(f"{value:.6g}" for value in trial.values)
        comment = f"# Trial {trial.number}: {values}. Train it: {shlex.join(short_command)}\n"
        _write(path, f"# @package _global_\n{comment}{_experiment_yaml(overrides, loader)}")
        experiment_config = _compose_experiment(config_dir, f"{_GROUP}={name}", config, loader)
        if _without_hydra(experiment_config) == _without_hydra(trial_config):
            command = short_command
        else:
            path.unlink()
        commands.append(shlex.join(command))
    return commands


def _experiment_yaml(overrides: Sequence[str], loader: ConfigLoader) -> str:
    """The YAML of an experiment with these overrides, based on the experiment that they name, if any."""
    defaults: list[Any] = []
    group_overrides: list[Any] = []
    values = OmegaConf.create({})
    for override in OverridesParser.create(config_loader=loader).parse_overrides(list(overrides)):
        group, value = override.key_or_group, override.value()
        is_group = not isinstance(value, dict) and bool(loader.get_group_options(group))
        if group == _GROUP:
            defaults.insert(0, value)
        elif is_group and override.is_add():
            defaults.append({f"/{override.get_key_element().lstrip('+')}": value})
        elif is_group:
            group_overrides.append({f"override /{override.get_key_element()}": value})
        elif not override.is_delete():
            OmegaConf.update(values, group, value, force_add=True)
    header = {"defaults": [*defaults, *group_overrides, "_self_"], "hydra": {"mode": "RUN"}}
    return OmegaConf.to_yaml(OmegaConf.merge(header, values))


def _compose_experiment(config_dir: Path, override: str, config: DictConfig, loader: ConfigLoader) -> DictConfig | None:
    """The config composed from an experiment in ``config_dir``; None if that fails."""
    path = ConfigSearchPathImpl()
    path.config_search_path = list(loader.get_search_path().get_path())
    element = SearchPathElement("command-line", f"file://{config_dir}")
    path.config_search_path.insert(-1, element)  # Hydra's schema source must stay last
    try:
        return ConfigLoaderImpl(path).load_configuration(config.hydra.job.config_name, [override], RunMode.RUN)
    except (HydraException, OmegaConfBaseException, RecursionError):
        return None


def _without_hydra(config: DictConfig | None) -> Any:
    """The config as a dict, without the key ``hydra``."""
    config_dict = OmegaConf.to_container(config, resolve=False) if config is not None else {}
    assert isinstance(config_dict, dict)
    return {key: value for key, value in config_dict.items() if key != "hydra"}


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary_path = path.with_suffix(f".{os.getpid()}.tmp")
    temporary_path.write_text(text, encoding="utf-8")
    temporary_path.replace(path)


def _relative_to_cwd(path: Path) -> Path:
    """The path relative to the working directory if it is inside it, else unchanged."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _program() -> list[str]:
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return ["python", "-m", spec.name] if spec else ["python", sys.argv[0]]
