"""What a run is: its record, training, folds, resuming, and sweeps of runs."""
