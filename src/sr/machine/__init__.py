"""The machine: devices, precision, cost of a network, versions, processes."""
