"""Decode AVIF by the decoder of Pillow (11.3 or later), without reading more of EXIF than it holds."""

import io
from typing import Any

from PIL import AvifImagePlugin, _avif

from sr.io.formats.heif import has_high_depth

if not AvifImagePlugin.SUPPORTED:
    raise ImportError("Pillow was built without AVIF")


class AvifImage(AvifImagePlugin.AvifImageFile):
    """The first picture of an AVIF file.

    Attributes:
        stored_orientation: that of its transformations, which count, whatever EXIF says (ISO/IEC 23000-22, MIAF).
        note: that only 8 of its bits are read.
    """

    def _open(self) -> None:
        assert self.fp is not None
        content = self.fp.read()
        self._decoder: Any = _avif.AvifDecoder(content, "auto", 1)  # one thread: files are read side by side
        self._size, self.n_frames, self._mode, icc, exif, orientation, xmp = self._decoder.get_info()
        self.is_animated = self.n_frames > 1
        self.stored_orientation = int(orientation)
        self.note = "10 or 12 bits: 8 are read" if has_high_depth(content) else ""
        self.info |= {key: value for key, value in (("icc_profile", icc), ("exif", exif), ("xmp", xmp)) if value}
        self.seek(0)

    def load(self) -> Any:
        """Decode the first picture."""
        if self.tile:
            data = self._decoder.get_frame(0)[0]
            self.fp = io.BytesIO(data)
        return super(AvifImagePlugin.AvifImageFile, self).load()
