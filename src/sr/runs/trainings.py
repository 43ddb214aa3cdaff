"""The trainings of a cell: one, or one for each seed and each fold, every one in a folder of its own."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict

from sr.errors import UserError
from sr.io.run_folder import RunFolder
from sr.options.check import check_options
from sr.runs.announce import announce
from sr.runs.finished import announce_earlier, check_moved_data, is_complete
from sr.runs.fit import Member, fit
from sr.runs.joined import joined
from sr.runs.objectives import objective
from sr.runs.record import clear, earlier_run, held_folder, new_result, record, status_of
from sr.runs.schema import Status, read_result

log = logging.getLogger(__name__)

ALL = "all"
_FOLD_STEP = 1000  # between the training seeds of two folds, so that folds of neighbouring seeds share none
_TRAININGS_BEFORE = "callbacks.search.trainings_before"


@dataclass(frozen=True)
class _Part:
    """A seed or a fold of a cell: its folder, the options that make it what it is, and its whole config."""

    folder: RunFolder
    changes: Mapping[str, Any]
    config: DictConfig

    @property
    def label(self) -> str:
        return self.folder.path.name.replace("_", " ")


def run(config: DictConfig) -> float | list[float] | None:
    """Train what a config asks for: one model, or one for each seed (``seeds=5``) and each fold (``data.fold=all``).

    Returns:
        The monitored score, or a list of what ``objectives`` names; means if there are several trainings.

    Raises:
        UserError: for an objective that a result does not have, for seeds or folds that do not exist, and as
            `sr.runs.fit.fit` does.
        DivergedError: if a training diverges; those before it stay.
    """
    value = _run(config)
    if not config.objectives:
        return value
    result = read_result(Path(config.run_dir))
    assert result is not None
    return [objective(result, name) for name in config.objectives]


def _run(config: DictConfig, member: Member | None = None) -> float | None:
    """Train a single model, or the seeds of a cell, or the folds of a cell or of one of its seeds.

    A part that is done is not trained again, one that was interrupted is resumed.
    """
    if config.get("seeds") is None and config.data.fold != ALL:
        return fit(config, member)
    check_options(config)
    config_dict: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    files = RunFolder(Path(config_dict["run_dir"]))
    seeds, folds = _seeds(config_dict), _fold_count(config_dict)
    with held_folder(files.path):
        earlier = earlier_run(files.path, config_dict)
        seeds = _with_seeds_of_folder(seeds, files, retrain=config_dict["retrain"])
        config_dict["seeds"] = seeds or None
        parts = _parts_of_seeds(config, files, seeds, folds) if seeds else _parts_of_folds(config, files, folds)
        for part in parts:
            check_options(part.config)
        if earlier and is_complete(earlier, test=config_dict["test"]) and set(seeds) <= set(earlier.seeds):
            check_moved_data(_of_first_fold(config), config_dict, earlier, files.trainings[0].path)
            if member:
                member.on_start()
            return announce_earlier(earlier, files.path, config_dict["metrics"])
        return _train(config_dict, parts, member)


def _train(config_dict: dict[str, Any], parts: Sequence[_Part], member: Member | None) -> float | None:
    """Train what is left to train in a folder that this process holds, and join it."""
    files, retrain = RunFolder(Path(config_dict["run_dir"])), config_dict["retrain"]
    changes = member.changes if member else {}
    result = new_result(config_dict, changes)
    has_started = False

    def start() -> None:
        nonlocal has_started
        if not has_started:
            if member:
                member.on_start()
            if retrain:
                for run in _runs_of(files):  # an interrupted one must not leave parts of two trainings
                    clear(run.path)
            record(files.path, result)
        has_started = True

    def trained() -> list[RunFolder]:
        will_be_deleted = retrain and not has_started
        return [] if will_be_deleted else [training for training in files.trainings if training.has_checkpoints]

    begun = time.perf_counter()
    said = member.said if member else set()
    current = None
    try:
        for number, current in enumerate(parts):
            log.info("%s (%d of %d)", current.label, number + 1, len(parts))
            of_part = Member({**changes, **current.changes}, start, member.trained if member else trained, said)
            _run(current.config, of_part)
        current = None
        result = joined(result, files.path, [part.folder for part in parts])
        result.status = Status.DONE
    except BaseException as error:
        result.status, result.reason = _status_of(error, current)
        raise
    finally:
        result.elapsed_seconds = time.perf_counter() - begun
        if has_started:
            record(files.path, result)
    announce(result, None if member else files.path)
    return result.monitor.value if result.monitor else None


def _status_of(error: BaseException, part: _Part | None) -> tuple[Status, str]:
    """Status and reason of a cell whose part has ended with an error; a seed's own record says which fold it was."""
    status, reason = status_of(error)
    if part is None:
        return status, reason
    recorded = read_result(part.folder.path)
    if recorded and recorded.reason.endswith(reason):
        reason = recorded.reason
    return status, f"{part.label}: {reason}"


def _runs_of(files: RunFolder) -> Iterator[RunFolder]:
    """The folder of a cell, and those of its seeds and folds at any depth."""
    yield files
    for part in files.parts:
        yield from _runs_of(part)


def _seeds(config_dict: Mapping[str, Any]) -> list[int]:
    """The seeds that ``seeds`` names: a list, or as many as it says from ``seed`` on; empty without it.

    Raises:
        UserError: for an empty list, or a seed that is in it twice.
    """
    seeds = config_dict["seeds"]
    if not isinstance(seeds, int | None) and HydraConfig.initialized():
        named = [word for word in HydraConfig.get().overrides.task if word.startswith("seed=")]
        if named:
            log.warning("%s is not used: seeds=%s lists the seeds", named[-1], seeds)
    if isinstance(seeds, int):
        return list(range(config_dict["seed"], config_dict["seed"] + seeds))
    if seeds is not None and (not seeds or len(set(seeds)) < len(seeds)):
        raise UserError(f"seeds={seeds}: a number of seeds, or a list of different ones is needed: seeds=[1,2,3]")
    return list(seeds or [])


def _with_seeds_of_folder(seeds: list[int], files: RunFolder, *, retrain: bool) -> list[int]:
    """The seeds of a cell: those that are named and, unless it is trained anew, those that its folder holds besides."""
    if not seeds or retrain:
        return seeds
    others = [folder.number for folder in files.seeds if folder.result.is_file() and folder.number not in seeds]
    if others:
        log.info(
            "%s: also holds seed %s, which stays part of the cell (retrain=true trains the named seeds alone)",
            *(files.path, ", ".join(map(str, others))),
        )
    return seeds + others


def _fold_count(config_dict: Mapping[str, Any]) -> int:
    """The number of folds that each seed trains; 1 without cross-validation.

    Raises:
        UserError: for ``data.fold=all`` without ``data.folds``.
    """
    folds = config_dict["data"]["folds"]
    if config_dict["data"]["fold"] != ALL:
        return 1
    if not isinstance(folds, int) or folds < 2:
        raise UserError(f"data.fold=all needs data.folds=K with K of 2 or more, got {folds!r}")
    return folds


def _parts_of_seeds(config: DictConfig, files: RunFolder, seeds: Sequence[int], folds: int) -> list[_Part]:
    return [
        _part(config, files.seed(seed), {"seed": seed, "seeds": None}, trainings_before=number * folds)
        for number, seed in enumerate(seeds)
    ]


def _parts_of_folds(config: DictConfig, files: RunFolder, folds: int) -> list[_Part]:
    return [
        _part(config, files.fold(fold), _options_of_fold(config, files.fold(fold)), trainings_before=fold)
        for fold in range(folds)
    ]


def _of_first_fold(config: DictConfig) -> DictConfig:
    own = config.copy()
    if own.data.fold == ALL:
        own.data.fold = 0
    return own


def _options_of_fold(config: DictConfig, folder: RunFolder) -> dict[str, Any]:
    """The options of a fold, which differs from the others in its seed too.

    A fold that was begun by an earlier version keeps the seeds of that version, which were those of neighbours.
    """
    fold, seed, data_seed = folder.number, config.seed, config.data.seed
    begun = None if config.retrain else read_result(folder.path)
    if fold and begun and (begun.config["seed"], begun.config["data"]["seed"]) == (seed + fold, data_seed):
        return {"data.fold": fold, "data.seed": data_seed, "seed": seed + fold}
    return {"data.fold": fold, "seed": seed + _FOLD_STEP * fold}


def _part(config: DictConfig, folder: RunFolder, changes: Mapping[str, Any], *, trainings_before: int) -> _Part:
    own = config.copy()
    before = OmegaConf.select(own, _TRAININGS_BEFORE)
    reported = {} if before is None else {_TRAININGS_BEFORE: before + trainings_before}
    with open_dict(own):
        for path, value in {**changes, **reported, "run_dir": str(folder.path)}.items():
            OmegaConf.update(own, path, value)
    return _Part(folder, changes, own)
