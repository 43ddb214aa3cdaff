"""Hydra callbacks and logging: checks before a run, the run folder, sweeps, the console."""
