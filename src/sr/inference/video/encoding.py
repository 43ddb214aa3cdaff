"""How an enlarged video is encoded: codec, quality and pixel format, by the user's options or the container."""

from dataclasses import dataclass, replace
from typing import Any

import av
from av.codec import Codec
from av.error import FFmpegError

from sr.errors import UserError, check_at_least


@dataclass(frozen=True)
class VideoOptions:
    """What the user says; None where the container decides.

    Attributes:
        codec: as FFmpeg or people call it: ``h264``, ``libx265``, ``vp9``, ``av1``, ``prores``.
        crf: constant quality: lower is better; the range depends on the codec.
        pix_fmt: as FFmpeg calls it: ``yuv420p10le``.
    """

    codec: str | None = None
    crf: int | None = None
    pix_fmt: str | None = None


@dataclass(frozen=True)
class Encoding:
    """How to encode.

    Attributes:
        codec: the name of FFmpeg's encoder.
        settings: its options.
        pix_fmt: its pixel format.
        note: what is lost, in a few words.
        alpha_note: what is lost of frames that are partly transparent.
    """

    codec: str
    settings: dict[str, str]
    pix_fmt: str
    note: str = ""
    alpha_note: str = ""

    @property
    def has_alpha(self) -> bool:
        """Whether it keeps transparency."""
        return has_alpha(av.VideoFormat(self.pix_fmt))

    @property
    def keeps_shape_of_pixels(self) -> bool:
        """Whether its stream says how wide a pixel is; PyAV writes it nowhere else."""
        return self.codec in ("libx264", "libx265")

    @property
    def is_deep(self) -> bool:
        """Whether it has more than 8 bits."""
        return depth(av.VideoFormat(self.pix_fmt)) > 8


_SHORT = {
    "h264": "libx264",
    "h265": "libx265",
    "hevc": "libx265",
    "vp9": "libvpx-vp9",
    "vp8": "libvpx",
    "av1": "libsvtav1",
    "prores": "prores_ks",
}
# Visually lossless; slower presets gain little.
_SETTINGS = {
    "libx264": {"crf": "16", "preset": "medium"},
    "libx265": {"crf": "18", "preset": "medium", "x265-params": "log-level=error"},
    "libvpx-vp9": {"crf": "24", "b:v": "0", "row-mt": "1"},
    "libvpx": {"crf": "10", "b:v": "8M"},
    "libsvtav1": {"crf": "24", "preset": "8"},
    "prores_ks": {},
}
_WITH_ALPHA = {"libvpx-vp9": "yuva420p", "prores_ks": "yuva444p10le", "ffv1": "yuva444p"}
_WITHOUT_ALPHA = {"prores_ks": "yuv422p10le"}
_ALPHA_IN = {"webm": "libvpx-vp9", "matroska": "libvpx-vp9", "mov": "prores_ks"}  # by container
_MOST_CRF = {"libx264": 51, "libx265": 51, "libvpx-vp9": 63, "libvpx": 63, "libsvtav1": 63}


def chosen_encoding(container: str, source: Any, options: VideoOptions) -> Encoding:
    """Choose how to encode.

    VP9 in WebM, H.264 elsewhere; where the source is partly transparent, a codec that keeps that, if the container has
    one: VP9 in WebM and Matroska, ProRes 4444 in QuickTime.

    Args:
        container: FFmpeg's name of the output format.
        source: an ``av.VideoFormat``, that of the decoded frames.
        options: what the user says.

    Raises:
        UserError: for a codec, quality or pixel format that is not there.
    """
    transparent = has_alpha(source)
    default = "libvpx-vp9" if container == "webm" else "libx264"
    if transparent:
        default = _ALPHA_IN.get(container, default)
    name = _SHORT.get(options.codec or "", options.codec) or default
    encoding = Encoding(name, dict(_SETTINGS.get(name, {})), _pix_fmt(name, options.pix_fmt, transparent))
    if options.crf is not None:
        check_at_least("--crf", options.crf, 0)
        most = _MOST_CRF.get(name, 63)
        if "crf" in encoding.settings and options.crf > most:
            raise UserError(f"--crf {options.crf}: that of {name} ends at {most}")
        if "crf" not in encoding.settings:
            raise UserError(f"--crf {options.crf}: {name} has no such quality: leave it out, or choose another --codec")
        encoding.settings["crf"] = str(options.crf)
    if name == "prores_ks":
        encoding.settings["profile"] = "4444" if encoding.pix_fmt.startswith(("yuva", "yuv444")) else "hq"
    note, alpha_note, bits = "", "", depth(source)
    if transparent and not encoding.has_alpha:
        alpha_note = f"alpha left out ({name} in {container} has none: .webm and .mov keep it)"
    if bits > 8 and not encoding.is_deep:
        note = f"{bits} bits reduced to 8 (--pix-fmt yuv420p10le keeps 10)"
    return replace(encoding, note=note, alpha_note=alpha_note)


def _pix_fmt(name: str, wanted: str | None, transparent: bool) -> str:
    try:
        codec = Codec(name, "w")
    except (ValueError, FFmpegError) as error:
        raise UserError(f"--codec {name}: no such encoder here: h264, h265, vp9, av1 and prores usually are") from error
    if codec.type != "video":
        raise UserError(f"--codec {name}: is for {codec.type}, not for video")
    known = [entry.name for entry in codec.video_formats or []]
    if wanted is None:
        usual = _WITH_ALPHA.get(name) if transparent else None
        return usual or _WITHOUT_ALPHA.get(name) or ("yuv420p" if "yuv420p" in known or not known else known[0])
    if known and wanted not in known:
        raise UserError(f"--pix-fmt {wanted}: {name} has {', '.join(known)}")
    return wanted


def has_alpha(pixel_format: Any) -> bool:
    """Whether an ``av.VideoFormat`` has transparency."""
    return any(component.is_alpha for component in pixel_format.components)


def depth(pixel_format: Any) -> int:
    """The bits of the first component of an ``av.VideoFormat``."""
    return int(pixel_format.components[0].bits) if pixel_format.components else 8
