import collections
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from sr.weights.reading.archive import check_archive, read_archive

VALUES: dict[str, Any] = {
    "numbers": [0, 1, 255, 256, 65_536, -1, -(2**31), 2**31, 2**63, 10**40, 0.5, float("inf")],
    "texts": ("", "ä€\U0001f600", "line\nbreak"),
    "constants": {"a": None, "b": True, "c": False},
    "nested": {1: {"x": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)]}, "empty": [{}, [], ()]},
    "ordered": collections.OrderedDict(a=1, b=collections.OrderedDict()),
}


@pytest.mark.parametrize("zipped", [True, False])  # since torch 1.6, and before
def test_values_are_read_as_by_torch(tmp_path: Path, zipped: bool) -> None:
    values = {**VALUES, "many": list(range(3000)), "texts by number": {number: str(number) for number in range(600)}}
    torch.save(values, tmp_path / "a", _use_new_zipfile_serialization=zipped)
    assert read_archive(tmp_path / "a") == torch.load(tmp_path / "a", weights_only=True)


@pytest.mark.parametrize("zipped", [True, False])
def test_tensors_are_read_as_by_torch(tmp_path: Path, zipped: bool) -> None:
    base = torch.randn(4, 6)
    tensors = {
        str(dtype): (base * 50).to(dtype)
        for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32)
    }
    tensors |= {str(dtype): (base > 0).to(dtype) for dtype in (torch.int16, torch.int8, torch.uint8, torch.bool)}
    tensors |= {"view": base[1:3, ::2], "transposed": base.T, "number": torch.tensor(7), "empty": torch.zeros(0, 3)}
    torch.save({"tensors": tensors}, tmp_path / "a", _use_new_zipfile_serialization=zipped)
    for name, value in read_archive(tmp_path / "a")["tensors"].items():
        assert value.dtype == tensors[name].dtype
        assert value.stride() == tensors[name].stride()
        assert torch.equal(value, tensors[name])


@pytest.mark.parametrize("zipped", [True, False])
def test_views_of_one_storage_keep_sharing_it(tmp_path: Path, zipped: bool) -> None:
    tensor = torch.zeros(5)
    torch.save([tensor, tensor[2:]], tmp_path / "a", _use_new_zipfile_serialization=zipped)
    tensor, view = read_archive(tmp_path / "a")
    view += 1
    assert tensor.tolist() == [0, 0, 1, 1, 1]


def test_anything_but_values_and_tensors_is_refused(tmp_path: Path) -> None:
    for value in (
        torch.nn.Linear(2, 2),
        {1, 2},
        b"bytes",
        Path("a"),
        torch.float32,
        complex(1, 2),
        torch.zeros(2).to_sparse(),
    ):
        torch.save(value, tmp_path / "a")
        with pytest.raises(ValueError, match=r"which is neither a value nor a tensor|torch.save never writes"):
            read_archive(tmp_path / "a")


def test_a_changed_byte_is_detected_by_the_checksum(tmp_path: Path) -> None:
    path = tmp_path / "a"
    torch.save({"w": torch.arange(100.0)}, path)
    check_archive(path)
    content = bytearray(path.read_bytes())
    content[content.index(torch.arange(100.0).numpy().tobytes()) + 9] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"the checksum of .*/data/0 is wrong"):
        check_archive(path)
    with pytest.raises(zipfile.BadZipFile, match="Bad CRC-32"):
        read_archive(path)
