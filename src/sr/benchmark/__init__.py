"""Scores on benchmark sets."""
