"""Where a study is stored, and what it samples and prunes with."""

from pathlib import Path

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.pruners import HyperbandPruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import CmaEsSampler, NSGAIISampler, RandomSampler, TPESampler

from hydra_plugins.sr_optuna._errors import SearchError
from hydra_plugins.sr_optuna._space import example_point
from hydra_plugins.sr_optuna._study import (
    StudyConfig,
    _database_url,
    _without_credentials,
    make_pruner,
    make_sampler,
    open_study,
    study_config,
)

SECRET = "hunter2"


def test_a_search_is_a_journal_in_its_folder_whatever_the_folder_is_called(tmp_path: Path) -> None:
    config = study_config(tmp_path / "first", None, None)
    assert config == StudyConfig(str(tmp_path / "first" / "study.journal"), "search")
    assert study_config(tmp_path, None, "mine").study == "mine"
    assert StudyConfig.from_text(config.to_text()) == config


def test_a_database_holds_many_searches_so_theirs_are_named_by_their_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert study_config(tmp_path / "first", "sqlite:///a.db", None).study == "first"
    monkeypatch.setenv("STUDIES", f"postgresql://me:{SECRET}@host/db")
    config = study_config(tmp_path / "first", "$STUDIES", None)
    assert (config.storage, config.study) == ("$STUDIES", "first")
    with pytest.raises(SearchError, match=r"\$NOWHERE: this environment variable is not set"):
        study_config(tmp_path, "$NOWHERE", None)


def test_a_relative_journal_is_absolute_for_jobs_in_other_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert study_config(tmp_path / "x", "shared.journal", None).storage == str(tmp_path / "shared.journal")
    with pytest.raises(SearchError, match=r"shared\.txt: must be a \*\.journal file or a database URL"):
        study_config(tmp_path, "shared.txt", None)


@pytest.mark.parametrize(
    ("url", "driver"),
    [
        ("sqlite:///a.db", "sqlite"),
        ("postgresql://me@host/db", "postgresql+psycopg"),
        ("postgresql+psycopg2://me@host/db", "postgresql+psycopg2"),
    ],
)
def test_sqlite_and_postgresql_are_used_as_databases(url: str, driver: str) -> None:
    assert _database_url(url).drivername == driver


@pytest.mark.parametrize("url", ["mysql://me:hunter2@host/db", "sqlite://", "sqlite:///", "oracle://host"])
def test_other_databases_are_refused_without_showing_a_password(url: str) -> None:
    with pytest.raises(SearchError, match=r"use a \*\.journal file, sqlite:///FILE or PostgreSQL") as refusal:
        _database_url(url)
    assert SECRET not in str(refusal.value)


def test_passwords_and_options_are_not_shown() -> None:
    shown = _without_credentials(f"postgresql://me:{SECRET}@host:5432/db?sslpassword={SECRET}")
    assert shown == "postgresql://host:5432/db"
    assert _without_credentials("/a/study.journal") == "/a/study.journal"


@pytest.mark.parametrize("storage", [None, "sqlite:///{folder}/studies.db"])
def test_a_study_is_created_once_and_opened_again(tmp_path: Path, storage: str | None) -> None:
    config = study_config(tmp_path / "search", storage and storage.format(folder=tmp_path), None)
    for _ in range(2):
        with open_study(config, directions=["maximize"]) as (study, locks):
            study.tell(study.ask(), 1.0)
            with locks.hold("study", 0) as acquired:
                assert acquired
                assert locks.is_held("study")
    with open_study(config) as (study, _):
        assert len(study.trials) == 2
        assert [direction.name for direction in study.directions] == ["MAXIMIZE"]
    with pytest.raises(SearchError, match="no study named 'other'"), open_study(StudyConfig(config.storage, "other")):
        pass


@pytest.mark.parametrize(
    ("name", "sampler"),
    [
        ("tpe", TPESampler),
        ("random", RandomSampler),
        ("cmaes", CmaEsSampler),
        ("nsgaii", NSGAIISampler),
        ("grid", RandomSampler),
    ],
)
def test_samplers_are_those_of_optuna(name: str, sampler: type) -> None:
    assert type(make_sampler(name, None, 0)) is sampler


@pytest.mark.parametrize(
    ("name", "pruner"),
    [
        ("none", NopPruner),
        ("median", MedianPruner),
        ("halving", SuccessiveHalvingPruner),
        ("hyperband", HyperbandPruner),
    ],
)
def test_pruners_are_those_of_optuna(name: str, pruner: type) -> None:
    assert type(make_pruner(name, None)) is pruner


def test_options_reach_sampler_and_pruner_and_wrong_ones_are_named() -> None:
    sampler = make_sampler("tpe", {"n_startup_trials": 3}, 0)
    assert isinstance(sampler, TPESampler)
    assert sampler._n_startup_trials == 3
    pruner = make_pruner("median", {"n_startup_trials": 2})
    assert isinstance(pruner, MedianPruner)
    assert pruner._n_startup_trials == 2
    with pytest.raises(SearchError, match=r"hydra\.sweeper\.sampler_options: tpe: .*unexpected keyword.*depth"):
        make_sampler("tpe", {"depth": 3}, 0)
    with pytest.raises(SearchError, match=r"hydra\.sweeper\.pruner must be one of none, median, .*, not 'best'"):
        make_pruner("best", None)


def test_seed_and_number_of_a_trial_decide_what_is_sampled() -> None:
    def first_value(seed: int, number: int) -> float:
        return optuna.create_study(sampler=make_sampler("random", None, seed, number)).ask().suggest_float("x", 0, 1)

    assert first_value(1, 2) == first_value(1, 2)
    assert len({first_value(1, 2), first_value(1, 3), first_value(2, 2), first_value(2, 1)}) == 4


def test_an_example_point_is_the_first_choice_or_the_lower_end() -> None:
    space = {
        "model": CategoricalDistribution(["vdsr"]),
        "head": CategoricalDistribution([None, "tanh"]),
        "optimizer.lr": FloatDistribution(1e-5, 1e-2, log=True),
        "model.channels": IntDistribution(8, 64),
    }
    assert example_point(space) == ["model=vdsr", "head=null", "optimizer.lr=1e-05", "model.channels=8"]
