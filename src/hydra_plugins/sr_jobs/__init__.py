"""Hydra sweeper that passes the jobs of a file to any launcher."""
