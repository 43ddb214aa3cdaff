"""Numbers below 1e-38, which a processor multiplies a hundred times as slowly: count them as zero in training steps.

Gradients of some networks are full of them: a step of a trained SPAN took six times as long in float32. Each thread
has its own setting, which new threads inherit.
"""

import torch

_SHARED = 2**20  # values that torch divides among its threads


def flush_in_torchs_threads() -> None:
    """Start the threads that torch computes with so that they flush; those that it has started before do not."""
    torch.set_flush_denormal(True)
    torch.zeros(_SHARED).neg_()
    torch.set_flush_denormal(False)
