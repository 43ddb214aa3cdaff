"""Degradations: how a low-resolution image is made from a high-resolution one. One class a file, one file a choice."""
