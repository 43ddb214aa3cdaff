import numpy as np
import pytest
import torch

from sr.arrays import DIHEDRAL_CODES, dihedral_view, enlarge_array, gray_array, undo_dihedral_view
from sr.image import dihedral, gray, resize


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (5, 40), (70, 33)])
def test_bicubic_is_that_of_tensors(scale: int, size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).random((1, 3, *size))
    assert np.allclose(enlarge_array(image, scale), resize(torch.from_numpy(image), scale).numpy(), rtol=0, atol=1e-14)
    single = enlarge_array(image.astype(np.float32), scale)
    assert single.dtype == np.float32
    assert np.allclose(single, resize(torch.from_numpy(image).float(), scale).numpy(), rtol=0, atol=1e-6)


def test_gray_is_that_of_tensors() -> None:
    image = np.random.default_rng(0).random((2, 3, 5, 6), np.float32)
    assert np.allclose(gray_array(image), gray(torch.from_numpy(image)).numpy(), rtol=0, atol=1e-7)
    assert np.array_equal(gray_array(image[:, :1]), image[:, :1])


@pytest.mark.parametrize("code", DIHEDRAL_CODES)
def test_turns_are_those_of_tensors_and_can_be_undone(code: int) -> None:
    image = np.random.default_rng(0).random((1, 2, 3, 4))
    turned = dihedral_view(image, code)
    assert np.array_equal(turned, dihedral(torch.from_numpy(image), code).numpy())
    assert np.array_equal(undo_dihedral_view(turned, code), image)
