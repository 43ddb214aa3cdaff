"""Decode image files to a number of channels and bits: gray, RGB, or the bands of a multi-band TIFF."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sr.errors import UserError, check_at_least, check_choice, counted, line_of
from sr.io.bounded import BoundedReader, Pixels, UnreadKindError
from sr.io.decoders import upright
from sr.io.images import MAX_PIXELS, ImageFileError, read_header, read_image, regular_file
from sr.io.pictures import Picture, read_picture
from sr.io.tiffs import MOST_CHANNELS, check_kind, read_page
from sr.terms import pixel_format_name

if TYPE_CHECKING:  # pictures are read without torch
    from torch import Tensor

BITS = (8, 16)

_TIFF = frozenset({".tif", ".tiff"})
_EIGHT_TO_SIXTEEN = 257  # 65535 / 255
_ORIENTATION = 274  # TIFF tag


@dataclass(frozen=True)
class PixelFormat:
    """What images are decoded to.

    Attributes:
        channels: 1 for gray, 3 for RGB; any other number needs files with exactly as many.
        bits: of a value, 8 or 16.
    """

    channels: int = 3
    bits: int = 8

    @property
    def settings(self) -> tuple[int, ...]:
        """What distinguishes the pixels of a file from those of `RGB8`; empty for the latter."""
        return () if self == RGB8 else (self.channels, self.bits)

    def __str__(self) -> str:
        """The format in words; empty for RGB of 8 bits."""
        return pixel_format_name(self.channels, self.bits)


RGB8 = PixelFormat()


class BandsError(ImageFileError):
    """A file of several bands, read as gray or RGB."""


def read_pixels(path: Path, pixels: PixelFormat = RGB8) -> "Tensor":
    """Decode a file to ``(C, H, W)``, upright: uint8, or uint16 for 16 bits.

    RGB of 8 bits is decoded by `sr.io.images.read_image`. For gray, colours are weighted by ITU-R BT.601; alpha is
    dropped from gray and RGB. Files of 8 bits are multiplied by 257 to fill 16, and files of 16 bits are divided by it.

    Raises:
        ImageFileError: for a file that cannot be read, or has not the number of channels that was asked for.
    """
    if pixels == RGB8:
        with number_of_bands_said(path, pixels.channels):
            return read_image(path)
    if pixels.channels in (1, 3):
        with number_of_bands_said(path, pixels.channels):
            bands = read_picture(path).pixels
    else:
        bands = _read_all_channels(path, pixels.channels)
    import torch

    image = torch.from_numpy(np.ascontiguousarray(_of_bits(bands, pixels.bits))).permute(2, 0, 1)
    return _of_channels(image, pixels.channels, path).contiguous()


@contextmanager
def number_of_bands_said(path: Path, channels: int) -> Iterator[None]:
    """Say how many bands a TIFF file has that cannot be read as gray or RGB."""
    try:
        yield
    except ImageFileError:
        bands = 0
        if path.suffix.lower() in _TIFF:
            with suppress(ImageFileError):
                bands = _read_tiff(path).shape[2]
        if bands < 2 or bands == channels:  # then their number is not what is wrong
            raise
        raise BandsError(f"{path}: holds {bands} bands, not {channels}: data.channels={bands} trains on them") from None


def read_bands(path: Path, channels: int, max_pixels: int = MAX_PIXELS, advice: str = "") -> Picture:
    """Decode a file of exactly this many channels, of which none is transparency, with the bits that it has.

    Raises:
        ImageFileError: for a file that cannot be read, is too large, or has another number of channels.
    """
    picture = Picture(_read_all_channels(path, channels, max_pixels, advice), has_bands=True)
    if picture.channels != channels:
        found = counted(picture.channels, "channel")
        raise ImageFileError(f"{path}: has {found}, and the model was trained for {channels}")
    return picture


def checked_format(channels: int, bits: int) -> PixelFormat:
    """The format that ``data.channels`` and ``data.bits`` describe.

    Raises:
        UserError: if there is no such format.
    """
    check_at_least("data.channels", channels, 1)
    if channels > MOST_CHANNELS:
        raise UserError(f"data.channels must be at most {MOST_CHANNELS}, got {channels}")
    check_choice("data.bits", bits, BITS)
    return PixelFormat(channels, bits)


def conversions(paths: Sequence[Path], pixels: PixelFormat) -> list[str]:
    """What decoding files to a format changes or cannot give, in a line each; empty for `RGB8`."""
    if pixels == RGB8:
        return []
    headers = [header for path in dict.fromkeys(paths) if (header := read_header(path))]
    lines = []
    if pixels.channels == 1 and (coloured := sum(not header.is_gray for header in headers)):
        lines.append(f"data.channels=1: {coloured} of {len(headers)} files are in colour and are converted to gray")
    if pixels.channels in (1, 3) and (several := sum(header.has_frames for header in headers)):
        lines.append(f"{several} of {len(headers)} files have several pages or frames, of which the first is used")
    if pixels.bits == 16 and (shallow := sum(not header.is_deep for header in headers)):
        lines.append(f"data.bits=16: {shallow} of {len(headers)} files have only 8 bits")
    return lines


def _read_all_channels(path: Path, channels: int, max_pixels: int = MAX_PIXELS, advice: str = "") -> Pixels:
    """The channels of a file as they are stored, alpha included, ``(H, W, C)`` of uint8 or uint16."""
    if path.suffix.lower() not in _TIFF:
        return read_picture(path, None, max_pixels, advice).pixels
    try:
        return _read_tiff(path, max_pixels, advice, pages=channels)
    except ImageFileError as error:  # a compression that needs more packages, which Pillow may know
        try:
            pixels = read_picture(path, None, max_pixels, advice).pixels
        except ImageFileError:
            raise error from None
        if pixels.shape[2] != channels:
            raise
        return pixels


def _of_bits(bands: Pixels, bits: int) -> Pixels:
    if bits == 16 and bands.dtype == np.uint8:
        return bands.astype(np.uint16) * _EIGHT_TO_SIXTEEN
    if bits == 8 and bands.dtype == np.uint16:
        rounded: Pixels = ((bands.astype(np.uint32) + _EIGHT_TO_SIXTEEN // 2) // _EIGHT_TO_SIXTEEN).astype(np.uint8)
        return rounded
    return bands


def _of_channels(image: "Tensor", channels: int, path: Path) -> "Tensor":
    """Convert ``(C, H, W)`` to the number of channels."""
    stored = image.shape[0]
    if stored == channels:
        return image
    if stored <= 4 and channels == 1:  # drop alpha, weight colours
        if stored == 2:
            return image[:1]
        import torch

        from sr.image import gray, to_float

        most = torch.iinfo(image.dtype).max
        return gray(to_float(image[:3]).double()[None])[0].mul(most).round().to(image.dtype)
    if stored <= 4 and channels == 3:
        return image[:3] if stored == 4 else image[:1].expand(3, -1, -1)
    found = counted(stored, "channel")
    raise ImageFileError(f"{path}: has {found}, not {channels}: data.channels={stored} trains on it")


def _read_tiff(path: Path, max_pixels: int = MAX_PIXELS, advice: str = "", pages: int = 1) -> Pixels:
    """The bands of a TIFF file, ``(H, W, C)`` of uint8 or uint16: of its first page, or one of each of ``pages``."""
    import tifffile

    with regular_file(path, str(path)) as file:
        try:
            bounded = BoundedReader(file)
            with tifffile.TiffFile(bounded) as tiff:
                page: Any = tiff.pages.first
                width, height, samples = page.imagewidth, page.imagelength, page.samplesperpixel
                if not 0 < width * height <= max_pixels or samples > MOST_CHANNELS:
                    raise ImageFileError(
                        f"{path}: has {width}x{height} pixels of {samples} channels, more than the {max_pixels} pixels "
                        f"of {MOST_CHANNELS} channels allowed{advice}"
                    )
                has_page_per_band = samples == 1 and pages > 1 and len(tiff.pages) == pages
                read: list[Any] = list(tiff.pages) if has_page_per_band else [page]
                if len({other.shape for other in read}) > 1:
                    raise ImageFileError(f"{path}: its {pages} pages have different sizes: save the bands in one page")
                bounded.lift()
                for other in read:
                    check_kind(other, bands=True)
                bands = np.concatenate([read_page(other) for other in read], axis=2)
                orientation = page.tags.valueof(_ORIENTATION, 1)
        except ImageFileError:
            raise
        except UnreadKindError as error:
            raise ImageFileError(f"{path}: {error}") from error
        except Exception as error:  # decoders raise all kinds of errors on damaged files
            raise ImageFileError(
                f"{path}: cannot be read as a TIFF image ({line_of(error)}): save it uncompressed or with deflate"
            ) from error
    return upright(bands, orientation if orientation in range(1, 9) else 1)
