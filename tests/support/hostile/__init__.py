"""Malicious checkpoints and exported networks; code in them would write a marker file."""
