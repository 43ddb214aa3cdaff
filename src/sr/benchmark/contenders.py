"""Pictures that another program made, as a contestant: which file is which, and what is wrong with them."""

import re
import shlex
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from sr.data.alignment import ALIASED, COLOURS, fault
from sr.data.folders.files import files_in, is_image
from sr.data.folders.named import FolderOptions
from sr.data.pairs import load_pair
from sr.data.sources import one_set
from sr.errors import UserError, listed, shortened
from sr.image import luma, preview, to_float
from sr.io.atomic import whole_file
from sr.io.bars import progress_bar
from sr.io.pictures import write_strips
from sr.io.pixel_formats import PixelFormat, read_pixels
from sr.metrics import psnr

SHRINK = 2  # at scale 1, of low resolution that no model says how to derive

_CLEARLY_BETTER = 3.0  # dB that the other order of colours gains
_BLOCKY = 1.15  # ratio of the steps at the borders of 8x8 blocks to those inside, against that of the target
_DARK = 4.0  # gray levels; brighter targets do not have outputs as dark as this

_MORE = re.compile(r"[^A-Za-z0-9/][^/]*")  # behind the name of an image, in the name of its picture

# Of the faults that `sr check-data` knows, those of an output: sharpness and tones are what is scored.
_NOT_FAULTS = (ALIASED, COLOURS)


@dataclass
class Contender:
    """The finished pictures of a program for one data set.

    Attributes:
        name: of the program, in tables.
        folder: of its pictures, named as the images of the data set, with anything behind the name.
        faults: what is wrong with the pictures, each with the names of the images.
    """

    name: str
    folder: Path
    faults: dict[str, list[str]] = field(default_factory=dict)
    _pictures: dict[str, Path] = field(default_factory=dict)

    def find(self, names: Sequence[str]) -> None:
        """Find the picture of each image.

        Raises:
            UserError: if there is no such folder, or an image has no picture or several.
        """
        if not self.folder.is_dir():
            raise UserError(f"{self.folder}: no such folder (--outputs)")
        files = {
            path: path.relative_to(self.folder).with_suffix("").as_posix()
            for path in files_in(self.folder, recursive=any("/" in name for name in names))
            if is_image(path)
        }
        missing = []
        of_images = _by_image(files, names)
        for name in names:
            matching = [path for path in of_images[name] if files[path] == name] or of_images[name]
            if len(matching) > 1:
                raise UserError(
                    f"{self.folder}: {matching[0].name} and {matching[1].name} are both of {name}: keep one"
                )
            if matching:
                self._pictures[name] = matching[0]
            else:
                missing.append(name)
        if missing:
            raise UserError(f"{self.folder}: has no picture of {listed(missing)}, such as {missing[0]}.png")

    def read(self, name: str, lr: Tensor, hr: Tensor) -> tuple[Tensor, list[str]]:
        """Read the picture of an image, ``(1, C, H, W)`` of the type of ``hr``, and find what is wrong with it.

        Args:
            name: of the image.
            lr: ``(1, C, h, w)``, what the program had to enlarge.
            hr: uint8 or uint16 ``(1, C, H, W)``, the target.

        Raises:
            UserError: if its size is not that of the target, or it cannot be read.
        """
        path = self._pictures[name]
        output = read_pixels(path, PixelFormat(hr.shape[1], 8 * hr.element_size()))[None]
        if output.shape != hr.shape:
            raise UserError(_wrong_size(path, output, lr, hr))
        faults = _faults(output, hr)
        if path.suffix.lower() in (".jpg", ".jpeg"):
            faults.append("are JPEG files: their compression is scored as well")
        return output, faults

    def note(self, name: str, faults: Sequence[str]) -> None:
        """Remember what is wrong with the picture of an image."""
        for text in faults:
            self.faults.setdefault(text, []).append(name)

    def warnings(self) -> list[str]:
        """A line for each kind of fault, with the images that have it."""
        return [f"{self.name}: {listed(names)} {text}" for text, names in self.faults.items()]


def _by_image(files: Mapping[Path, str], names: Sequence[str]) -> dict[str, list[Path]]:
    """The files of each image: a file is of the image with the longest name that its own begins with."""
    found: dict[str, list[Path]] = {name: [] for name in names}
    for path, own in files.items():
        beginnings = [
            name for name in names if own == name or (own.startswith(name) and _MORE.fullmatch(own[len(name) :]))
        ]
        if beginnings:
            found[max(beginnings, key=len)].append(path)
    return found


def run_program(
    command: str,
    folder: Path,
    data: Path,
    scale: int,
    seconds: float,
    bits: int = 8,
    options: FolderOptions | None = None,
) -> None:
    """Run a program on every low-resolution image of a data set that has no output yet.

    Args:
        command: without a shell; ``{input}``, ``{output}`` and ``{scale}`` are replaced.
        folder: gets the outputs as ``NAME.png``.
        data: folder of images.
        scale: factor of the sides.
        seconds: that it may take for one image.
        bits: of the images that it is given.
        options: how to read the folder of images.

    Raises:
        UserError: if the command names no input or output, fails, takes too long, or writes nothing.
    """
    words = shlex.split(command)
    if not any("{input}" in word for word in words) or not any("{output}" in word for word in words):
        raise UserError("--command needs {input} and {output}: 'waifu2x -i {input} -o {output} -s {scale}'")
    folder.mkdir(parents=True, exist_ok=True)
    sources = one_set(data, replace(options or FolderOptions(), scale=scale))
    waiting = [source for source in sources if not (folder / f"{source.name}.png").exists()]
    with progress_bar() as progress:
        for source in progress.track(waiting, description=words[0]):
            with tempfile.TemporaryDirectory() as place:
                image_file, output = Path(place, f"{source.name}.png"), Path(place, "output", f"{source.name}.png")
                image_file.parent.mkdir(parents=True, exist_ok=True)
                output.parent.mkdir(parents=True)
                lr, _ = load_pair(source, scale, SHRINK, PixelFormat(bits=bits))
                rows = lr.permute(1, 2, 0).numpy()
                with image_file.open("wb") as file:
                    write_strips(file, image_file.suffix, [rows], rows.shape, deep=bits == 16)
                values = {"{input}": str(image_file), "{output}": str(output), "{scale}": str(scale)}
                _run_on(words, values, source.name, seconds)
                target = folder / f"{source.name}.png"
                target.parent.mkdir(parents=True, exist_ok=True)
                with whole_file(target) as file:
                    file.write(output.read_bytes())


def _run_on(words: Sequence[str], values: dict[str, str], name: str, seconds: float) -> None:
    filled = [_filled(word, values) for word in words]
    try:
        done = subprocess.run(filled, capture_output=True, text=True, timeout=seconds, check=False, errors="replace")
    except (FileNotFoundError, PermissionError) as error:
        raise UserError(f"--command: {filled[0]} cannot be started ({error.strerror})") from error
    except subprocess.TimeoutExpired as error:
        raise UserError(f"--command: took more than {seconds:g} s for {name} (--timeout)") from error
    if done.returncode or not Path(values["{output}"]).is_file():
        lines = (done.stderr or done.stdout).strip().splitlines()
        said = f": {shortened(lines[-1])}" if lines else ""
        what = f"ended with exit code {done.returncode}" if done.returncode else "wrote no {output}"
        raise UserError(f"--command: {words[0]} {what} for {name}{said}")


def _filled(word: str, values: dict[str, str]) -> str:
    for placeholder, value in values.items():
        word = word.replace(placeholder, value)
    return word


def _wrong_size(path: Path, output: Tensor, lr: Tensor, hr: Tensor) -> str:
    (height, width), (lr_height, lr_width) = output.shape[-2:], lr.shape[-2:]
    expected = f"{hr.shape[-1]}x{hr.shape[-2]}"
    text = f"{path}: has {width}x{height} pixels, its target {expected}"
    if height % lr_height == 0 and width / lr_width == height / lr_height:
        return f"{text}: it was enlarged by {height // lr_height}, not by {hr.shape[-2] // lr_height}"
    lost = hr.shape[-2] - height
    if lost == hr.shape[-1] - width and 0 < lost <= hr.shape[-2] // 4:
        return f"{text}: a border of {lost / 2:g} pixels was cut off"
    return text


def _faults(output: Tensor, hr: Tensor) -> list[str]:
    """What is wrong with an output ``(1, C, H, W)``: lines that follow the names of images."""
    if torch.equal(output, hr):
        return ["are the targets themselves, pixel by pixel"]
    output, hr = preview(output[0])[None], preview(hr[0])[None]
    if float(output.float().mean()) < _DARK < float(hr.float().mean()):
        return ["are nearly black: values from 0 to 1 were saved as if they were from 0 to 255"]
    texts = []
    straight, swapped = (float(psnr(to_float(image), to_float(hr))[0]) for image in (output, output.flip(1)))
    if swapped > straight + _CLEARLY_BETTER:
        texts.append("have red and blue swapped")
        output = output.flip(1)
    found = fault(output[0], hr[0])
    if found and found.kind not in _NOT_FAULTS:
        texts.append(f"do not lie on their targets: {found.kind}")
    if _blockiness(output) > _BLOCKY * max(1.0, _blockiness(hr)):
        texts.append("show the 8x8 blocks of JPEG compression")
    return texts


def _blockiness(image: Tensor) -> float:
    """Mean step between neighbours across the borders of 8x8 blocks, relative to those in the middle of the blocks.

    Interpolation by 2 or 4 gives steps a period of its own, in which borders and middles are alike.
    """
    values = luma(to_float(image))
    ratios = []
    for dim in (-1, -2):
        steps = values.diff(dim=dim).abs().movedim(dim, 0).flatten(1).mean(dim=1)
        if len(steps) > 8:
            ratios.append(float(steps[7::8].mean() / steps[3::8].mean().clamp(min=1e-6)))
    return sum(ratios) / max(1, len(ratios))
