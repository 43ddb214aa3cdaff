"""Every test in this folder needs a GPU."""

import os

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it, deterministic matrix products are refused

import pytest
import torch


@pytest.fixture(autouse=True)
def gpu() -> None:
    """Skip the test without one."""
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
