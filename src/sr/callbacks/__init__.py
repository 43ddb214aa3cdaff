"""What a run records besides its weights, and what stops it early; one concern a file."""
