"""The machine: devices, precision, software versions, processes, and what a network costs on it."""
