"""The command ``python -m sr.train``: compose a config, run it, end with one clear line.

Heavy packages are imported only once a run starts, so that ``--help`` and ``--cfg job`` answer at once.
"""

import logging
import os
import sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from hydra_plugins.sr_optuna.reporting import in_trial
from sr.errors import DivergedError, PrunedError, UserError
from sr.launch.console import heading
from sr.launch.folder import bracket_patterns, expand_home, quote_pattern, remove_untouched_folder
from sr.launch.messages import say_folder
from sr.launch.refusals import hydras_tracebacks, refusals_in_one_line
from sr.launch.sweep import note_failure
from sr.machine.garbage import search_rarely
from sr.terms import direction

log = logging.getLogger(__name__)

# In conf/: ``${times:24,${scale}}``, for sizes that follow the scale.
OmegaConf.register_new_resolver("times", lambda first, second: first * second, replace=True)
OmegaConf.register_new_resolver("direction", direction, replace=True)  # of the monitored score

# Exit codes: 1 is a fault of ours with its traceback, the last two are the shell's for a signal.
_BAD_INPUT, _DIVERGED, _CTRL_C, _TERMINATED = 2, 3, 130, 143


def config_dir() -> Path:
    """The folder of configs: ``conf/`` of a source tree, or the copy inside an installed package."""
    packaged = Path(__file__).with_name("conf")
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "conf"


@hydra.main(version_base="1.3", config_path=str(config_dir()), config_name="train")
def _task(config: DictConfig) -> float | list[float] | None:
    from sr.runs.trainings import run

    sweeping, searching = HydraConfig.get().mode == RunMode.MULTIRUN, in_trial()
    if sweeping:
        log.info("%s", heading())
    try:
        with hydras_tracebacks():
            value = run(config)
        say_folder(config.run_dir)
        return value
    except PrunedError as error:
        from optuna import TrialPruned

        raise TrialPruned(str(error)) from error
    except (UserError, DivergedError) as error:
        if isinstance(error, UserError):
            remove_untouched_folder(Path(HydraConfig.get().runtime.output_dir))
        if searching:
            raise  # the search records it and continues
        log.error("error: %s", error)
        if sweeping:
            note_failure()
            return None  # costs this run alone
        sys.exit(_BAD_INPUT if isinstance(error, UserError) else _DIVERGED)
    except Exception:
        if not sweeping:
            raise
        log.exception("this run failed; the sweep continues")
        if searching:
            raise
        note_failure()
        return None
    except KeyboardInterrupt:
        sys.exit(_CTRL_C)
    except SystemExit:  # Lightning ends so, with code 0, after SIGTERM
        sys.exit(_TERMINATED)


def main() -> None:
    """Run the command."""
    search_rarely()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # once read, it is too late for trainer.deterministic
    sys.argv[1:] = map(quote_pattern, map(expand_home, sys.argv[1:]))
    if not {"-m", "--multirun"} & set(sys.argv):
        sys.argv[1:] = map(bracket_patterns, sys.argv[1:])
    try:
        with refusals_in_one_line():
            _task()
    except KeyboardInterrupt:  # in the process that hands out the cells of a parallel sweep
        log.warning("interrupted: repeat the command to resume")
        sys.exit(_CTRL_C)


if __name__ == "__main__":
    main()
