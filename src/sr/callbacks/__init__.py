"""Callbacks of a training run: what it records and when it stops early, one concern per file."""
