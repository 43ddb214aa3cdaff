import torch

from sr.callbacks.pictures import sample_grid
from sr.image import quantise, resize


def test_grid_shows_input_output_target_and_amplified_error() -> None:
    hr = quantise(torch.rand(3, 12, 16))
    lr = quantise(resize(hr[None], 0.5)[0])
    sr = hr + 0.1
    grid = sample_grid(lr, sr, hr, error_gain=4.0)
    assert grid.shape == (3, 12, 64)
    enlarged, output, target, error = grid.split(16, dim=-1)
    assert torch.equal(enlarged, quantise(resize(lr[None], 2)[0]))
    assert torch.equal(output, quantise(sr))
    assert torch.equal(target, hr)
    assert torch.allclose(error, torch.tensor(0.4), atol=1e-6)
