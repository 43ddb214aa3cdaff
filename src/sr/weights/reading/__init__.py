"""Read untrusted files of weights: nothing in them is executed, and what they may cost is limited."""
