"""From image files to batches: sources, degradation, storage, splits and checks."""
