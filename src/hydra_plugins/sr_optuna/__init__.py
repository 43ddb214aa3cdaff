"""Hydra sweeper on today's Optuna: it resumes, prunes, survives failures and runs on any launcher."""
