"""Hydra sweeper for current Optuna versions, with resuming, pruning and failed trials, on any launcher."""
