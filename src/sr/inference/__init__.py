"""Trained networks at work: tiles, pictures, folders and video."""
