"""Every command of the README and the documentation runs, or is checked as far as it can be here."""

import re
import shlex
import shutil
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import tifffile
import torch

from sr.cli import make_parser
from sr.data.pairs import derive_lr
from sr.io.images import read_image, to_pil
from tests.support.community import edsr_state, spandrel
from tests.support.documents.blocks import Block, blocks, inline_code
from tests.support.documents.shell import ROOT, Shell
from tests.support.images import photograph

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [page for page in PAGES if page.name != "report.md"]  # written by sr report

# Pages that can be followed in an empty folder; the others need files of the reader, made below.
SELF_CONTAINED = {
    "README.md",
    *(f"docs/tutorials/{name}.md" for name in ("first_comparison", "notebook", "own_network")),
}

# Blocks that are output or files rather than commands.
SHOWN = {"text", "toml", "yaml", "json", "python"}
COMMAND = re.compile(r"^\s*(?:sr (?!=)|python |make |pip |docker )", re.MULTILINE)

# First words of commands that only blocks marked `skip` may have.
OUTSIDE = {"make", "pip", "docker", "python3", ".venv/bin/pip", ".", "optuna-dashboard", "sudo", "/usr/bin/time"}


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def folder_of_images(path: Path, count: int = 10, side: int = 72) -> None:
    path.mkdir(parents=True)
    first = sum(map(ord, path.parts[-2]))  # other pictures in every folder
    for number in range(count):
        photograph(side, side + 12, seed=first + number).save(path / f"{number}.png")


def clip(path: Path) -> None:
    writer: Any
    with av.open(str(path), "w") as writer:
        stream = writer.add_stream("libx264", rate=5)
        stream.height, stream.width, stream.pix_fmt = 32, 48, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.asarray(photograph(32, 48)), format="rgb24")
        writer.mux([*stream.encode(frame), *stream.encode(None)])


def pairs(path: Path) -> None:
    folder_of_images(path / "high_res", count=3)
    (path / "low_res").mkdir()
    for file in (path / "high_res").iterdir():
        to_pil(derive_lr(read_image(file), 2, 2)).save(path / "low_res" / file.name)


def scan(path: Path) -> None:
    path.mkdir()
    photograph(32, 48).save(path / "page.tif")


def fields(path: Path) -> None:
    """TIFF files of four bands with 16 bits."""
    path.mkdir()
    for number in range(10):
        rgb = np.asarray(photograph(72, 84, seed=number)).astype(np.uint16) * 257
        bands = np.dstack([rgb, rgb[..., 1]])
        tifffile.imwrite(path / f"{number}.tif", bands, photometric="minisblack", planarconfig="contig")


def weights_of_others(path: Path) -> None:
    spandrel()
    from spandrel.architectures.ESRGAN import ESRGAN

    torch.save({"params_ema": ESRGAN(num_filters=4, num_blocks=1, scale=4).state_dict()}, path)


def edsr_of_others(path: Path) -> None:
    torch.save({"params": edsr_state(16, (2,))}, path)


def onnx_of_others(path: Path) -> None:
    from tests.support.onnx_networks import enlargement, limited, write

    write(path, [*enlargement("in", "a", 4), *limited("a", "out", 255.0)])


def records(path: Path) -> None:
    """Records of the repository, where pages find them from its root."""
    shutil.copytree(ROOT / path.relative_to(path.parents[1]), path)


# The reader's files, by the names that pages use.
FILES: dict[str, Callable[[Path], None]] = {
    "DIR": lambda path: folder_of_images(path / "high_res"),
    "PAIRS": pairs,
    "MORE": lambda path: folder_of_images(path / "high_res"),
    "TRAINING": lambda path: folder_of_images(path / "high_res"),
    "Set5": lambda path: folder_of_images(path / "high_res", count=5),
    "photos": lambda path: folder_of_images(path / "."),
    "scans": scan,
    "fields": fields,
    "RealESRGAN_x4plus.pth": weights_of_others,
    "EDSR_Mx2.pth": edsr_of_others,
    "net.onnx": onnx_of_others,
    "photo.jpg": lambda path: photograph(48, 64).save(path),
    "clip.mp4": clip,
    "benchmarks/tournament": records,
}


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    with Shell(tmp_path_factory.mktemp("shell")) as started:
        yield started


def run_page(page: Path, folder: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    namespace: dict[str, Any] = {"__name__": "page"}
    monkeypatch.chdir(folder)
    for block in blocks(page):
        if block.title:
            (folder / block.title).parent.mkdir(parents=True, exist_ok=True)
            (folder / block.title).write_text(block.text)
        elif block.language == "python":
            exec(compile(block.text, f"{page}:{block.line}", "exec"), namespace)
        elif block.language == "bash" and block.mark != "skip":
            code, output = shell.run(block.text, folder, mode=block.mark or "run")
            assert code == 0, f"{name_of(page)}:{block.line}\n{block.text}\n{output}"


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_of_a_page_runs_in_reading_order(
    page: Path, tmp_path: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name_of(page) not in SELF_CONTAINED:
        text = "\n".join(block.text for block in blocks(page))
        for name, make in FILES.items():
            if re.search(rf"\b{re.escape(name)}\b", text):
                make(tmp_path / name)
    run_page(page, tmp_path, shell, monkeypatch)


def test_all_pages_are_found() -> None:
    commands = [block for page in PAGES for block in blocks(page) if block.language == "bash"]
    assert len(PAGES) > 20
    assert len(commands) > 50


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_block_hides_a_command(page: Path) -> None:
    for block in blocks(page):
        assert block.language in {"bash", *SHOWN}, (
            f"{name_of(page)}:{block.line}: name its language, or text for output"
        )
        if block.language == "text":
            assert not COMMAND.search(block.text), f"{name_of(page)}:{block.line}: commands belong into a bash block"


def make_targets() -> set[str]:
    return set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def check_skipped(block: Block, where: str) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for line in block.text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words:
            assert words[0] in OUTSIDE, f"{where}: {words[0]} could run in the test, or needs a rule"
        if words[:1] == ["make"]:
            assert words[1] in make_targets(), where
        for extra in re.findall(r"\.\[([\w,]+)\]", line):
            assert set(extra.split(",")) <= set(extras), where


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_skipped_blocks_need_what_a_test_does_not_have(page: Path) -> None:
    for block in blocks(page):
        if block.mark == "skip":
            check_skipped(block, f"{name_of(page)}:{block.line}")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_inside_sentences_and_tables_exist(page: Path) -> None:
    choices = next(action.choices for action in make_parser()._actions if action.choices)
    for code in inline_code(page):
        words = code.split()
        if words[0] == "sr" and len(words) > 1 and re.fullmatch(r"[a-z][a-z-]*", words[1]):
            assert words[1] in choices, code
        if words[0] == "make" and len(words) > 1 and not words[1].startswith("ARGS"):
            assert words[1] in make_targets(), code
        if words[:2] == ["python", "-m"] and words[2].startswith("scripts."):
            assert (ROOT / words[2].replace(".", "/")).with_suffix(".py").is_file(), code
