"""Run the commands of the documentation, with small budgets."""
