"""Write degraded copies of the images of a folder, to look at."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from sr.data.degrade.base import Degradation, full_key, generator
from sr.data.folders.files import DEGRADED
from sr.data.pairs import load_pair
from sr.data.sources import Source
from sr.data.stores.fingerprint import content_hash, digests_of
from sr.errors import UserError, some_of
from sr.image import to_float, to_uint8
from sr.io.atomic import remove_leftovers, reporting_unwritable, whole_file, write_text
from sr.io.images import read_header, to_pil
from sr.io.pixel_formats import read_pixels

_IMAGES = "images"  # in the file: the hash of each image that a copy was made of


class DegradedCopies:
    """Copies of some images as PNG files in a folder, with a file that says how they were made.

    What exists in the folder is kept if it was made in the same way of the same images. A folder with copies that were
    made otherwise is refused: its ``degraded.json`` holds for all of them.
    """

    def __init__(
        self, sources: Sequence[Source], folder: Path, degradation: Degradation, *, scale: int, seed: int
    ) -> None:
        """Check the folder.

        Args:
            sources: the images; files of low resolution are not read.
            folder: is made if it does not exist.
            degradation: of whole images.
            scale: factor to shrink the sides by; with 1 the size stays.
            seed: of the random numbers, which depend on the name of an image as well. With that of
                `sr.data.pairs.load_pair`, the copies are the inputs that a model is scored on.

        Raises:
            UserError: if the folder holds the images themselves, copies that were made in another way or of other
                images, or something else under a name that would be written.
        """
        self.sources, self.folder, self.degradation = sources, folder, degradation
        self.scale, self.seed = scale, seed
        self.settings = {"degradation": full_key(degradation), "scale": scale, "seed": seed}
        if folder.exists() and not folder.is_dir():
            raise UserError(f"{folder}: is no folder: name another one with -o")
        if any(self.path_of(source).resolve().parent == source.hr.resolve().parent for source in sources):
            raise UserError(f"{folder}: holds the images themselves: name another folder with -o")
        digests = digests_of(sources)
        self.images = {source.name: content_hash(source, digests, hr_only=True) for source in sources}
        self.existing = [source for source in sources if self.path_of(source).exists()]
        wanted = f"{self.settings['degradation']} at x{scale} with seed {seed}"
        recorded = self._recorded()
        known = recorded.pop(_IMAGES, {})
        if (folder / DEGRADED).exists() and recorded != self.settings:
            raise UserError(
                f"{folder / DEGRADED}: does not say that the copies were made by {wanted}: name another folder with -o"
            )
        if self.existing and not (folder / DEGRADED).exists():
            raise UserError(
                f"{self.path_of(self.existing[0])}: exists, and no {DEGRADED} says that it was made by {wanted}: name "
                "another folder with -o"
            )
        for source in self.existing:
            if known.get(source.name, self.images[source.name]) != self.images[source.name]:
                raise UserError(
                    f"{self.path_of(source)}: was made of another image than {source.hr} is now: name another folder "
                    "with -o"
                )
        self.images = known | self.images

    def path_of(self, source: Source) -> Path:
        """The file of an image."""
        return self.folder / f"{source.name}.png"

    def _recorded(self) -> dict[str, Any]:
        try:
            recorded = json.loads((self.folder / DEGRADED).read_text())
        except (OSError, ValueError):
            return {}
        return recorded if isinstance(recorded, dict) and isinstance(recorded.get(_IMAGES, {}), dict) else {}

    def notes(self) -> list[str]:
        """What a user should know about the files, in a line each."""
        lines = []
        if self.existing:
            lines.append(f"{len(self.existing)} of {len(self.sources)} images exist in {self.folder} and are kept")
        deep = [source.hr.name for source in self.sources if (header := read_header(source.hr)) and header.is_deep]
        if deep:
            lines.append(f"{len(deep)} of {len(self.sources)} files have 16 bits, of which 8 are kept: {some_of(deep)}")
        return lines

    def write(self, done: Callable[[Source], None] = lambda source: None) -> list[str]:
        """Write the images that do not exist.

        Args:
            done: is called after each image.

        Returns:
            A line for each image that cannot be used.

        Raises:
            UserError: if the folder cannot be written to.
        """
        failures = []
        with reporting_unwritable(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            write_text(self.folder / DEGRADED, json.dumps({**self.settings, _IMAGES: self.images}, indent=2) + "\n")
            for source in self.sources:
                path = self.path_of(source)
                if not path.exists():
                    try:
                        self._write(path, degraded_copy(source, self.degradation, self.scale, self.seed))
                    except UserError as error:
                        failures.append(str(error))
                done(source)
        return failures

    @staticmethod
    def _write(path: Path, image: Tensor) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path.parent, path.name)
        with whole_file(path) as file:
            to_pil(image).save(file, "PNG")


def degraded_copy(source: Source, degradation: Degradation, scale: int, seed: int) -> Tensor:
    """A degraded image, uint8 RGB ``(3, H, W)``; above scale 1 as `sr.data.pairs.load_pair` makes it.

    Raises:
        ImageFileError: for a file that cannot be read.
        UserError: for an image that is too small.
    """
    if scale > 1:
        return load_pair(replace(source, lr=None), scale, 2, degradation=degradation, seed=seed)[0]
    image = to_float(read_pixels(source.hr)).double()
    return to_uint8(degradation(image, 1, generator(seed, source.name)))
