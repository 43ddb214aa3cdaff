"""Loggers of experiment trackers: they keep curves, options, pictures and scores, and continue resumed runs."""
