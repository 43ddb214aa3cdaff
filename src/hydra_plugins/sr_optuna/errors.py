"""The errors of a search, importable from outside the sweeper.

Hydra runs the public modules of a plugin again whenever it looks for plugins. Classes defined here would then exist
twice, and an ``except`` clause could miss the one that was raised.
"""

from hydra_plugins.sr_optuna._errors import SearchError, SearchFailedError

__all__ = ["SearchError", "SearchFailedError"]
