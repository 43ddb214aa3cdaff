"""Stores of image pairs: on the device, in memory, in a memory-mapped file, or decoded on each access."""
