"""Hydra plugin that finds the config groups of packages that announce networks to sr."""
