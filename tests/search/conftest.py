import pytest

from hydra_plugins.sr_optuna import _best


@pytest.fixture(autouse=True)
def program(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make printed commands start with ``python -m sr.train``, regardless of how pytest was started."""
    monkeypatch.setattr(_best, "_program", lambda: ["python", "-m", "sr.train"])
