from collections.abc import Iterator
from pathlib import Path

import pytest

from sr.demo import uploads
from sr.demo.page import Page
from sr.demo.uploads import UploadFolder
from sr.errors import UserError


@pytest.fixture
def folder() -> Iterator[UploadFolder]:
    folder = UploadFolder()
    yield folder
    folder.close()


def test_every_new_file_has_its_own_folder(folder: UploadFolder) -> None:
    first, second = folder.new_file("big.png"), folder.new_file("big.png")
    assert first.name == second.name == "big.png"
    assert first.parent != second.parent
    assert first.parent.parent == second.parent.parent == folder.path


def test_files_within_the_size_limit_are_kept(folder: UploadFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "_KEPT_BYTES", 3 * (4096 + 100))
    for number in range(3):
        folder.new_file(f"{number}.png").write_bytes(bytes(100))
    folder.tidy()
    assert len(list(folder.path.iterdir())) == 3


def test_a_file_larger_than_the_limit_is_refused(
    folder: UploadFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sr.demo.page.MAX_UPLOAD", 2_000_000)
    page = Page(tmp_path, device="cpu")  # the shipped networks
    label = next(iter(page.models))
    upload = folder.new_file("large.png")
    upload.write_bytes(bytes(2_000_001))
    with pytest.raises(UserError, match="The picture has more than 2 MB"):
        page.enlarge([label], str(upload), None)
    upload.write_bytes(bytes(2_000_000))
    with pytest.raises(UserError, match="cannot be read as an image"):
        page.enlarge([label], str(upload), None)
    page.close()
