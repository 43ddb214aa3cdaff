from types import SimpleNamespace
from typing import Any

import pytest
import torch

from sr.callbacks import search
from sr.callbacks.search import TrialReports
from sr.errors import PrunedError

MODULE: Any = None


class Reporter:
    """Remembers the reports and answers with a fixed decision."""

    def __init__(self, prunes: bool) -> None:
        self.prunes = prunes
        self.reports: list[tuple[float, int]] = []

    def report(self, value: float, step: int) -> bool:
        self.reports.append((value, step))
        return self.prunes


def fake_trainer(*, epoch: int = 3, rank: int = 0, decided_by_rank_zero: bool | None = None) -> Any:
    def broadcast(decision: bool) -> bool:
        return decision if decided_by_rank_zero is None else decided_by_rank_zero

    return SimpleNamespace(
        callback_metrics={"val/psnr": torch.tensor(30.0)},
        current_epoch=epoch,
        max_epochs=10,
        is_global_zero=rank == 0,
        sanity_checking=False,
        strategy=SimpleNamespace(broadcast=broadcast),
    )


@pytest.fixture
def reporter(monkeypatch: pytest.MonkeyPatch) -> Reporter:
    reporter = Reporter(prunes=False)
    monkeypatch.setattr(search, "in_trial", lambda: True)
    monkeypatch.setattr(search, "reporter", lambda: reporter)
    return reporter


def test_epochs_are_counted_from_one_across_trainings(reporter: Reporter) -> None:
    for before in (0, 0, 2):
        reports = TrialReports("val/psnr", before)
        reports.on_validation_end(fake_trainer(), MODULE)
        reports.on_train_epoch_end(fake_trainer(), MODULE)
        reports.on_train_epoch_end(fake_trainer(), MODULE)  # an epoch without a validation
    assert reporter.reports == [(30.0, 4), (30.0, 4), (30.0, 24)]


def test_an_unpromising_trial_is_pruned(reporter: Reporter) -> None:
    reporter.prunes = True
    reports = TrialReports("val/psnr")
    reports.on_validation_end(fake_trainer(), MODULE)
    with pytest.raises(PrunedError, match=r"pruned after epoch 4: val/psnr 30$"):
        reports.on_train_epoch_end(fake_trainer(), MODULE)


def test_only_rank_0_reports_and_the_other_ranks_are_pruned_with_it(reporter: Reporter) -> None:
    reports = TrialReports("val/psnr")
    reports.on_validation_end(fake_trainer(rank=1), MODULE)
    with pytest.raises(PrunedError):
        reports.on_train_epoch_end(fake_trainer(rank=1, decided_by_rank_zero=True), MODULE)
    assert reporter.reports == []


def test_nothing_is_reported_outside_a_search(reporter: Reporter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "in_trial", lambda: False)
    reports = TrialReports("val/psnr")
    reports.on_validation_end(fake_trainer(), MODULE)
    reports.on_train_epoch_end(fake_trainer(), MODULE)
    assert reporter.reports == []


def test_the_sanity_check_is_not_reported(reporter: Reporter) -> None:
    reports = TrialReports("val/psnr")
    trainer = fake_trainer()
    trainer.sanity_checking = True
    reports.on_validation_end(trainer, MODULE)
    reports.on_train_epoch_end(trainer, MODULE)
    assert reporter.reports == []
