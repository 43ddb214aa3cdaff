"""What Hydra calls before, around and after a run: checks, its folder, sweeps, the console."""
