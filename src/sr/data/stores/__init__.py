"""Decoded image pairs at rest: on the device, in memory, in a memory-mapped file, or decoded again on each access."""
