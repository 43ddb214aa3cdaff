import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from torch.utils._python_dispatch import TorchDispatchMode

from sr.data.batches import Augment, Draw, TrainingPairs
from sr.data.pairs import load_pair
from sr.data.sources import Source, image_folder, isr_folders
from sr.data.stores import backends, kinds, store
from sr.data.stores.packed import Pair
from sr.data.stores.store import PairStore
from sr.data.variants import rotated_copies, shrunk_copies
from sr.errors import UserError
from sr.io.locks import hold
from sr.io.pixel_formats import RGB8, PixelFormat
from tests.support.runs import MakeFolder


@pytest.mark.parametrize("kind", ["memory", "disk", "none", "device", "auto"])
def test_every_kind_of_store_gives_the_same_pairs_and_fingerprint(
    make_folder: MakeFolder, tmp_path: Path, kind: str
) -> None:
    sources = isr_folders(make_folder(count=5))
    store = PairStore(sources, scale=2, shrink=2, kind=kind, folder=tmp_path / "cache")
    in_memory = PairStore(sources, scale=2, shrink=2, kind="memory")
    assert len(store) == 5
    assert store.fingerprint == in_memory.fingerprint
    assert store.sizes == in_memory.sizes == [(48, 64)] * 5
    for number, source in enumerate(sources):
        for stored, expected in zip(store[number], load_pair(source, 2, 2), strict=True):
            assert torch.equal(stored, expected)


def test_the_fingerprint_changes_with_a_pixel_and_with_a_name(make_folder: MakeFolder) -> None:
    def fingerprint(root: Path) -> str:
        return PairStore(isr_folders(root), scale=1, shrink=2, kind="none").fingerprint

    root = make_folder(count=3)
    before = fingerprint(root)
    (root / "high_res" / "2.png").rename(root / "high_res" / "9.png")
    renamed = fingerprint(root)
    (root / "high_res" / "9.png").write_bytes((root / "high_res" / "1.png").read_bytes())
    assert len({before, renamed, fingerprint(root)}) == 3


def test_the_fingerprint_ignores_augmentation(make_folder: MakeFolder) -> None:
    sources = isr_folders(make_folder(count=3))
    rotated = [replace(source, name=f"{source.name}@45", rotated=True) for source in sources]
    stores = [PairStore(listed, scale=1, shrink=2, kind="none") for listed in (sources, [*sources, *rotated])]
    assert stores[0].fingerprint == stores[1].fingerprint


def test_a_cache_without_a_readable_image_or_a_writable_folder_is_refused(
    make_folder: MakeFolder, tmp_path: Path
) -> None:
    root = make_folder(count=1)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write the image cache .*data\.cache_dir"):
        PairStore(isr_folders(root), scale=1, shrink=2, kind="disk", folder=tmp_path / "file" / "cache")
    (root / "high_res" / "0.png").write_text("no image")
    with pytest.raises(UserError, match="none of the images"):
        PairStore(isr_folders(root), scale=1, shrink=2, kind="disk", folder=tmp_path, on_bad_file="skip")


def test_the_disk_cache_is_read_instead_of_decoding_again(
    make_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = isr_folders(make_folder(count=3))
    settings = {"scale": 1, "shrink": 2, "kind": "disk", "folder": tmp_path / "cache"}
    first = PairStore(sources, **settings)  # type: ignore[arg-type]
    monkeypatch.setattr(store, "load_pair", lambda *args, **kwargs: pytest.fail("decoded again"))
    second = PairStore(sources, **settings)  # type: ignore[arg-type]
    assert torch.equal(first[2][1], second[2][1])
    assert sorted(path.suffix for path in (tmp_path / "cache").iterdir()) == [".bin", ".json", ".lock"]


@pytest.mark.parametrize("damage", ["cut", "flipped", "index"])
def test_a_damaged_cache_is_detected_named_and_rebuilt(
    make_folder: MakeFolder, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    sources = isr_folders(make_folder(count=3))
    PairStore(sources, scale=1, shrink=2, kind="disk", folder=tmp_path / "cache")
    data = next((tmp_path / "cache").glob("*.bin"))
    content = bytearray(data.read_bytes())
    content[1234] ^= 1
    if damage == "index":
        data.with_suffix(".json").write_text("{")
    else:
        data.write_bytes(content[:-1] if damage == "cut" else content)
    (tmp_path / "cache" / f".{data.name}.77.tmp").touch()  # left by a killed process
    rebuilt = PairStore(sources, scale=1, shrink=2, kind="disk", folder=tmp_path / "cache")
    assert torch.equal(rebuilt[2][1], load_pair(sources[2], 1, 2)[1])
    assert "the image cache is damaged, decoding the images again" in caplog.text
    assert not list((tmp_path / "cache").glob(".*.tmp"))


def test_a_process_waits_while_another_fills_the_cache(
    make_folder: MakeFolder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sources = isr_folders(make_folder(count=3))
    settings = {"scale": 1, "shrink": 2, "kind": "disk", "folder": tmp_path / "cache"}
    PairStore(sources, **settings)  # type: ignore[arg-type]
    lock = next((tmp_path / "cache").glob("*.lock"))
    with caplog.at_level(logging.INFO), ThreadPoolExecutor() as pool:
        with hold(lock):
            waiting = pool.submit(PairStore, sources, **settings)  # type: ignore[arg-type]
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.5)
        assert len(waiting.result(timeout=10)) == 3
    assert "another process is decoding these images" in caplog.text


@pytest.mark.parametrize("kind", ["memory", "disk", "none"])
def test_bad_files_are_an_error_or_are_skipped_and_listed(
    make_folder: MakeFolder, tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    root = make_folder(count=4)
    (root / "high_res" / "1.png").write_text("not an image")
    sources = isr_folders(root)
    with pytest.raises(UserError, match=r"1\.png: cannot be read as an image .*data\.on_bad_file=skip"):
        PairStore(sources, scale=1, shrink=2, kind=kind, folder=tmp_path / "cache")
    with caplog.at_level(logging.WARNING):
        store = PairStore(sources, scale=1, shrink=2, kind=kind, folder=tmp_path / "cache", on_bad_file="skip")
    assert [source.name for source in store.sources] == ["0", "2", "3"]
    assert "skipped" in caplog.text
    assert "1.png" in caplog.text


def test_a_disk_cache_made_with_skipped_files_does_not_hide_them_from_other_runs(
    make_folder: MakeFolder, tmp_path: Path
) -> None:
    root = make_folder(count=4)
    (root / "high_res" / "1.png").write_text("not an image")
    settings = {"scale": 1, "shrink": 2, "kind": "disk", "folder": tmp_path / "cache"}
    PairStore(isr_folders(root), **settings, on_bad_file="skip")  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"1\.png: cannot be read"):
        PairStore(isr_folders(root), **settings)  # type: ignore[arg-type]


def test_unknown_kinds_are_refused() -> None:
    with pytest.raises(UserError, match=r"data\.cache must be one of auto"):
        PairStore([], scale=1, shrink=2, kind="ram")
    with pytest.raises(UserError, match=r"data\.on_bad_file must be one of error, skip"):
        PairStore([], scale=1, shrink=2, on_bad_file="ignore")


def test_auto_chooses_the_disk_when_memory_is_too_small(
    make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = isr_folders(make_folder(count=2))
    device = torch.device("cpu")
    assert kinds.choose_kind(sources, 1, device) == "memory"
    monkeypatch.setattr(kinds, "_MEMORY_SHARE", 1e-12)
    assert kinds.choose_kind(sources, 1, device) == "disk"


def on_gpu(monkeypatch: pytest.MonkeyPatch, free_bytes: int, workers: int) -> torch.device:
    """A device that says it is a GPU with this much free memory, in one of several workers of a sweep."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free_bytes, 2 * free_bytes))
    monkeypatch.setattr(kinds, "workers_of_sweep", lambda: workers)
    return torch.device("cuda")


@pytest.mark.parametrize(
    ("workers", "free_bytes", "expected"),
    [(1, 46080 * 10, "device"), (2, 46080 * 10, "disk"), (2, 46080 * 11, "device"), (4, 46080 * 11, "disk")],
)
def test_parallel_workers_share_four_tenths_of_the_free_memory_of_a_gpu(
    workers: int, free_bytes: int, expected: str, make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = isr_folders(make_folder(count=4))
    assert kinds.decoded_values(sources, 2, RGB8) == 3 * (4 * 48 * 64 * 5 // 4 + 1) == 46083
    monkeypatch.setattr(kinds, "_DEVICE_SHARE", 0.2)
    device = on_gpu(monkeypatch, free_bytes, workers)
    assert kinds.choose_kind(sources, 2, device, is_shared=workers > 1) == expected


def test_copies_count_with_their_own_sizes(make_folder: MakeFolder) -> None:
    whole = isr_folders(make_folder(count=1, size=(120, 160)))
    copies = [*shrunk_copies(whole, [0.9, 0.33]), *rotated_copies(whole)]
    for source, least in zip(copies, (0.97, 0.92, 0.85), strict=True):  # what rounding and margins leave
        decoded = sum(image.numel() for image in load_pair(source, 2, 2))
        assert least * kinds.decoded_values([source], 2, RGB8) < decoded <= kinds.decoded_values([source], 2, RGB8)


def test_pairs_on_a_device_are_allocated_once_and_filled_in_large_blocks(
    make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = isr_folders(make_folder(count=5))
    sizes: list[int] = []

    class Allocations(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func in (torch.ops.aten.empty.memory_format, torch.ops.aten.cat.default):
                sizes.append(sum(args[0]) if isinstance(args[0][0], int) else -1)
            return func(*args, **(kwargs or {}))

    pairs = [(source, load_pair(source, 2, 2)) for source in sources]
    values = sum(image.numel() for _, pair in pairs for image in pair)
    monkeypatch.setattr(backends, "_BLOCK", 5000)  # less than an image, and no divisor of one
    with Allocations():  # type: ignore[no-untyped-call]
        held = backends.DevicePairs(pairs, torch.device("cpu"), torch.uint8, values + 7)
    assert sizes == [values + 7, 5000]
    for number, (_, expected) in enumerate(pairs):
        assert all(torch.equal(*images) for images in zip(held[number], expected, strict=True))


def test_pairs_that_are_larger_than_their_headers_say_are_held_all_the_same(make_folder: MakeFolder) -> None:
    sources = isr_folders(make_folder(count=3))
    pairs = [(source, load_pair(source, 2, 2)) for source in sources]
    held = backends.DevicePairs(pairs, torch.device("cpu"), torch.uint8, 100)
    for number, (_, expected) in enumerate(pairs):
        assert all(torch.equal(*images) for images in zip(held[number], expected, strict=True))


@pytest.mark.parametrize("kind", ["auto", "device"])
def test_only_one_of_several_processes_of_a_run_decodes(
    kind: str, make_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = isr_folders(make_folder(count=3))
    decoded: list[str] = []

    def load(source: Source, *args: Any, **options: Any) -> Pair:
        decoded.append(source.name)
        return load_pair(source, *args, **options)

    monkeypatch.setattr(store, "load_pair", load)
    stores = [PairStore(sources, scale=2, shrink=2, kind=kind, folder=tmp_path, ranks=2) for _ in range(2)]
    assert sorted(decoded) == ["0", "1", "2"]
    assert [each.kind for each in stores] == ["disk" if kind == "auto" else "device"] * 2
    for number, source in enumerate(sources):
        for stored, expected in zip(stores[1][number], load_pair(source, 2, 2), strict=True):
            assert torch.equal(stored, expected)


@pytest.mark.parametrize(("first", "second"), [((1, 2), (1, 4)), ((1, 2), (2, 2)), ((2, 2), (3, 2))])
def test_a_disk_cache_is_not_read_by_a_run_with_other_settings(
    make_folder: MakeFolder, tmp_path: Path, first: tuple[int, int], second: tuple[int, int]
) -> None:
    sources = isr_folders(make_folder(count=2))
    for scale, shrink in (first, second):
        cached = PairStore(sources, scale=scale, shrink=shrink, kind="disk", folder=tmp_path / "cache")
        for number, source in enumerate(sources):
            for stored, expected in zip(cached[number], load_pair(source, scale, shrink), strict=True):
                assert torch.equal(stored, expected)
    assert len(list((tmp_path / "cache").glob("*.bin"))) == 2


def test_replaced_low_resolution_files_change_the_fingerprint_and_are_read(
    make_folder: MakeFolder, tmp_path: Path
) -> None:
    root = make_folder(count=2, low_scale=2)
    before = PairStore(isr_folders(root), scale=2, shrink=2, kind="disk", folder=tmp_path / "cache")
    fingerprint, lr = before.fingerprint, before[0][0].clone()
    before.close()
    Image.fromarray(255 - lr.permute(1, 2, 0).numpy()).save(root / "low_res" / "0.png")
    after = PairStore(isr_folders(root), scale=2, shrink=2, kind="disk", folder=tmp_path / "cache")
    assert after.fingerprint != fingerprint
    assert torch.equal(after[0][0], 255 - lr)


@pytest.mark.parametrize("kind", ["memory", "disk", "none", "device"])
@pytest.mark.parametrize("pixels", [PixelFormat(1), PixelFormat(4, 16), PixelFormat(6, 8)], ids=str)
def test_every_kind_of_store_keeps_channels_and_bits_and_cuts_the_same_crops(
    tmp_path: Path, kind: str, pixels: PixelFormat
) -> None:
    for number in range(3):
        values = np.random.default_rng(number).integers(0, 65536, (32, 40, pixels.channels), dtype=np.uint16)
        layout = "contig" if pixels.channels > 1 else None
        tifffile.imwrite(tmp_path / f"{number}.tif", values.squeeze(), photometric="minisblack", planarconfig=layout)
    sources = image_folder(tmp_path)
    store = PairStore(sources, scale=2, shrink=2, kind=kind, folder=tmp_path / "cache", pixels=pixels)
    for number, source in enumerate(sources):
        for stored, expected in zip(store[number], load_pair(source, 2, 2, pixels), strict=True):
            assert stored.dtype == (torch.uint8 if pixels.bits == 8 else torch.uint16)
            assert torch.equal(stored, expected)
    crops = TrainingPairs(store, [0, 1, 2], scale=2, patch=16, augment=Augment(), seed=1)
    batch = crops[[Draw(image, 0, repeat) for image in (0, 1, 2) for repeat in range(8)]]
    in_memory = PairStore(sources, scale=2, shrink=2, kind="memory", pixels=pixels)
    expected_crops = TrainingPairs(in_memory, [0, 1, 2], scale=2, patch=16, augment=Augment(), seed=1)
    expected_batch = expected_crops[[Draw(image, 0, repeat) for image in (0, 1, 2) for repeat in range(8)]]
    assert batch["hr"].shape == (24, pixels.channels, 16, 16)
    assert torch.equal(batch["lr"], expected_batch["lr"])
    assert torch.equal(batch["hr"], expected_batch["hr"])


def test_the_fingerprint_and_the_cache_tell_formats_apart(make_folder: MakeFolder, tmp_path: Path) -> None:
    sources = isr_folders(make_folder(count=2))
    settings = {"scale": 2, "shrink": 2, "kind": "disk", "folder": tmp_path / "cache"}
    formats = [PixelFormat(), PixelFormat(1), PixelFormat(3, 16)]
    stores = [PairStore(sources, **settings, pixels=pixels) for pixels in formats]  # type: ignore[arg-type]
    assert len({store.fingerprint for store in stores}) == 3
    assert [store[0][1].shape[0] for store in stores] == [3, 1, 3]
    assert len([*(tmp_path / "cache").glob("*.bin")]) == 3
