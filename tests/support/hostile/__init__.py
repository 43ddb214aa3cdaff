"""Checkpoints and exported networks made to harm whoever loads them; programs in them would write a marker file."""
