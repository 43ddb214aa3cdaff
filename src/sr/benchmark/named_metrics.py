"""Metrics by their names in the config group ``metrics``, those of installed packages included."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig

from sr.errors import UserError, close_names, did_you_mean
from sr.metrics import Metric
from sr.metrics.scoring import DEFAULT


def named_metrics(names: Sequence[str], config_dir: Path, overrides: Sequence[str] = ()) -> dict[str, Metric]:
    """PSNR, SSIM, and the metrics of some names.

    Args:
        names: choices of the config group ``metrics``.
        config_dir: ``conf/`` of sr.
        overrides: options in the grammar of Hydra.

    Raises:
        UserError: for an unknown name, and for a metric that cannot be built, as one whose weights are missing.
    """
    with initialize_config_dir(str(config_dir), version_base="1.3"):
        known = GlobalHydra.instance().config_loader().get_group_options("metrics")
        for name in names:
            if name not in known:
                similar = did_you_mean(close_names(name, known))
                raise UserError(f"metrics: no {name!r} in {', '.join(known)}{similar}")
        chosen = [name for name in dict.fromkeys(names) if name not in ("default", *DEFAULT)]
        config: DictConfig = compose("train", [f"metrics=[{','.join(['default', *chosen])}]", *overrides])
        return built(config.metrics)


def built(config: Mapping[str, object]) -> dict[str, Metric]:
    """The metrics of a resolved config group, by name.

    Raises:
        UserError: for one that cannot be built.
    """
    metrics = {}
    for name, node in config.items():
        try:
            metrics[str(name)] = instantiate(node)
        except InstantiationException as error:
            if not isinstance(error.__cause__, ValueError):
                raise
            is_ours = isinstance(error.__cause__, UserError)
            raise UserError(str(error.__cause__) if is_ours else f"{name}: {error.__cause__}") from error
    return metrics
