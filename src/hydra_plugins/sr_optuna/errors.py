"""Public import path of the errors of a search.

The classes are defined in a private module because Hydra reloads the public modules of a plugin whenever it searches
for plugins. Reloaded here, they would exist twice, and an ``except`` clause could miss an error.
"""

from hydra_plugins.sr_optuna._errors import SearchError, SearchFailedError

__all__ = ["SearchError", "SearchFailedError"]
