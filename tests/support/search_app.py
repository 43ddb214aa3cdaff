"""A Hydra app with known optima, whose jobs fail on request."""

import os
import signal
import time
from pathlib import Path

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from optuna import Trial, TrialPruned

from hydra_plugins.sr_optuna._job import TRIAL_VARIABLE
from hydra_plugins.sr_optuna.reporting import reporter

ConfigStore.instance().store(
    "search_app",
    {
        "x": 0.0,
        "y": 0,
        "kind": "a",
        "seconds": 0.0,
        "steps": 0,
        "failing_trials": [],
        "failure": "raise",
        "objectives": 1,
        "z": None,
    },
)


def conditional(config: DictConfig, trial: Trial) -> dict[str, float] | None:
    """A space in which ``y`` is searched only if ``kind`` is deep."""
    if trial.suggest_categorical("kind", ["flat", "deep"]) == "deep":
        trial.suggest_int("y", 2, 4)
        return None
    return {"x": config.x + 7.0}


@hydra.main(version_base="1.3", config_path=None, config_name="search_app")
def task(config: DictConfig) -> float | list[float] | None:
    """A function with its maximum at x=2, y=3, or two conflicting objectives."""
    number = int(os.environ[TRIAL_VARIABLE])
    hydra_config = HydraConfig.get()
    calls_path = Path(hydra_config.runtime.cwd, hydra_config.sweep.dir, "calls")
    with calls_path.open("a") as file:
        file.write(f"begin {number}\n")
    time.sleep(config.seconds)
    if number in config.failing_trials:
        match config.failure:
            case "raise":
                raise ValueError("injected\nfailure")
            case "infinite":
                return float("inf")
            case "none":
                return None
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
    value = -((config.x - 2) ** 2) - (config.y - 3) ** 2 - (config.kind == "b")
    for step in range(1, config.steps + 1):
        if reporter().report(value * step, step):
            raise TrialPruned
    with calls_path.open("a") as file:
        file.write(f"end {number}\n")
    return value if config.objectives == 1 else [config.x, (config.x - 1) ** 2]


if __name__ == "__main__":
    task()
