"""What is kept of a video beside its frames, and what is said to be lost."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.codec import Codec
from av.error import FFmpegError
from av.stream import Disposition

from sr.errors import UserError
from sr.inference.enlarger import Enlarger
from sr.inference.video.convert import enlarge_video
from sr.inference.video.encoding import VideoOptions
from sr.inference.video.frames import EXACT, frame_of, pixels_of_frame
from sr.weights.model import Model
from tests.support.clips import moving_square, remuxed, write_clip

SUBTITLES = "1\n00:00:00,100 --> 00:00:00,400\nbonjour\n\n"
CHAPTERS = [
    {"id": 0, "start": 0, "end": 250, "time_base": Fraction(1, 1000), "metadata": {"title": "one"}},
    {"id": 1, "start": 250, "end": 500, "time_base": Fraction(1, 1000), "metadata": {"title": "two"}},
]


def needs(codec: str) -> None:
    try:
        Codec(codec, "w")
    except (ValueError, FFmpegError):
        pytest.skip(f"this FFmpeg lacks {codec}")


def enlarged(source: Path, target: Path, *, options: VideoOptions | None = None) -> list[str]:
    enlarger = Enlarger(Model("bicubic", 2), device="cpu")
    return enlarge_video(source, target, enlarger, max_pixels=10**6, options=options or VideoOptions())


def frames_of(path: Path, layout: str = "rgb24", decoder: str = "") -> list[Any]:
    with av.open(str(path)) as reader:
        stream = reader.streams.video[0]
        if not decoder:
            return [frame.to_ndarray(format=layout, **EXACT) for frame in reader.decode(stream)]
        context: Any = av.CodecContext.create(decoder, "r")
        frames = (frame for packet in reader.demux(stream) for frame in context.decode(packet))
        return [frame.to_ndarray(format=layout, **EXACT) for frame in frames]


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_pixels_that_are_not_square_stay_so(tmp_path: Path, suffix: str) -> None:
    source = write_clip(tmp_path / "a.mp4", moving_square(4), ratio=Fraction(16, 11))
    assert enlarged(source, tmp_path / f"big{suffix}") == []
    with av.open(str(tmp_path / f"big{suffix}")) as reader:
        stream = reader.streams.video[0]
        assert stream.sample_aspect_ratio == Fraction(16, 11)
        assert (stream.width, stream.height) == (92, 68)


def test_pixels_are_made_square_where_the_codec_cannot_say_their_shape(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mp4", moving_square(4), ratio=Fraction(16, 11))
    assert enlarged(source, tmp_path / "big.webm") == ["pixels of 16:11 made square (libvpx-vp9 keeps none)"]
    outs = frames_of(tmp_path / "big.webm")
    assert [out.shape for out in outs] == [(68, 134, 3)] * 4  # 92 * 16 / 11 = 133.8


@pytest.mark.skipif(not hasattr(av.container.OutputContainer, "set_chapters"), reason="this PyAV writes no chapters")
def test_subtitles_chapters_and_titles_are_kept(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", moving_square(12))
    source = remuxed(tmp_path / "b.mkv", clip, SUBTITLES, chapters=CHAPTERS, title="A film")
    assert enlarged(source, tmp_path / "big.mkv") == []
    with av.open(str(tmp_path / "big.mkv")) as reader:
        assert [chapter["metadata"]["title"] for chapter in reader.chapters()] == ["one", "two"]
        assert reader.metadata["title"] == "A film"
        (subtitles,) = reader.streams.subtitles
        assert subtitles.metadata["language"] == "fra"
        packets = [bytes(packet) for packet in reader.demux(subtitles) if packet.size]
    assert packets == [b"bonjour"]
    assert enlarged(source, tmp_path / "big.mp4") == ["subtitles left out (mp4 cannot hold srt: .mkv can)"]
    with av.open(str(tmp_path / "big.mp4")) as reader:
        assert [chapter["metadata"]["title"] for chapter in reader.chapters()] == ["one", "two"]


def test_the_title_of_the_video_stream_and_what_streams_are_for_are_kept(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", moving_square(6))
    source = remuxed(tmp_path / "b.mkv", clip, SUBTITLES, stream_title="Angle 2")
    assert enlarged(source, tmp_path / "big.mkv") == []
    with av.open(str(tmp_path / "big.mkv")) as reader:
        assert reader.streams.video[0].metadata["title"] == "Angle 2"
        assert Disposition.forced in reader.streams.subtitles[0].disposition
        assert Disposition.forced not in reader.streams.video[0].disposition


@pytest.mark.skipif(not hasattr(av.container.OutputContainer, "add_attachment"), reason="this PyAV attaches nothing")
def test_attachments_are_kept_by_matroska_and_said_elsewhere(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", moving_square(3))
    source = remuxed(tmp_path / "b.mkv", clip, attachment=b"letters")
    assert enlarged(source, tmp_path / "big.mkv") == []
    with av.open(str(tmp_path / "big.mkv")) as reader:
        (attachment,) = reader.streams.attachments
        assert (attachment.name, attachment.mimetype, attachment.data) == ("font.ttf", "font/ttf", b"letters")
    assert enlarged(source, tmp_path / "big.mp4") == ["1 attachments left out (mp4 holds none: .mkv does)"]


@pytest.mark.parametrize(("suffix", "decoder"), [(".webm", "libvpx-vp9"), (".mkv", "libvpx-vp9"), (".mov", "")])
def test_transparency_is_kept_where_the_container_has_a_codec_for_it(tmp_path: Path, suffix: str, decoder: str) -> None:
    needs("libvpx-vp9")
    if suffix == ".mov" and int(av.__version__.partition(".")[0]) < 17:
        pytest.skip("before PyAV 17, encoded ProRes cannot be copied into another file")
    frames = [np.dstack([image, np.full(image.shape[:2], 255, np.uint8)]) for image in moving_square(4)]
    for frame in frames:
        frame[:, :20, 3] = 0
    source = write_clip(
        tmp_path / "a.webm", frames, codec="libvpx-vp9", pix_fmt="yuva420p", options={"crf": "4", "b:v": "0"}
    )
    assert enlarged(source, tmp_path / f"big{suffix}") == []
    outs = frames_of(tmp_path / f"big{suffix}", "rgba", decoder)
    assert len(outs) == 4
    for out in outs:
        assert out.shape == (68, 92, 4)
        assert out[:, :36, 3].max() < 10
        assert out[:, 44:, 3].min() > 245
    notes = enlarged(source, tmp_path / "big.mp4")
    assert notes == ["alpha left out (libx264 in mp4 has none: .webm and .mov keep it)"]


@pytest.mark.parametrize(("width", "height"), [(92, 68), (98, 90), (100, 90), (50, 50), (46, 34)])
def test_transparency_of_every_width_is_read_as_it_is(width: int, height: int) -> None:
    """FFmpeg's fast conversion has what is behind the end of a row."""
    rgba = np.full((height, width, 4), 7, np.uint8)
    frame = av.VideoFrame.from_ndarray(rgba, format="rgba").reformat(format="yuva420p")
    for _ in range(100):
        assert set(pixels_of_frame(frame, alpha=True, deep=False)[..., 3].ravel()) == {7}


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize(("width", "height"), [(98, 90), (100, 90), (50, 50)])
def test_frames_for_an_encoder_do_not_depend_on_threads(width: int, height: int, channels: int) -> None:
    """FFmpeg's threads write beyond the ends of rows."""
    pix_fmt = "yuva444p10le" if channels == 4 else "yuv420p10le"
    pixels = np.random.default_rng(0).integers(0, 2**16, (height, width, channels)).astype(np.uint16)
    original = av.VideoFrame(width, height, "rgb24")
    frames = [frame_of(pixels, pix_fmt, original) for _ in range(100)]
    rows = [
        [np.frombuffer(plane, np.uint8).reshape(plane.height, -1)[:, : 2 * plane.width] for plane in frame.planes]
        for frame in frames
    ]
    assert all(np.array_equal(plane, first) for planes in rows for plane, first in zip(planes, rows[0], strict=True))


def test_interlaced_frames_are_deinterlaced_and_that_is_said(tmp_path: Path) -> None:
    """Two fields of different moments comb at a vertical edge; what is deinterlaced does not."""
    moments = moving_square(16)
    woven = []
    for first, second in zip(moments[::2], moments[1::2], strict=True):
        frame = first.copy()
        frame[1::2] = second[1::2]
        woven.append(frame[:32])  # interlaced H.264 needs a multiple of four rows
    source = write_clip(tmp_path / "a.mkv", woven, options={"crf": "1", "x264-params": "tff=1"})
    notes = enlarged(source, tmp_path / "big.mkv", options=VideoOptions(crf=1))
    assert notes == ["interlaced: deinterlaced by bwdif, a frame for each two fields"]
    outs = frames_of(tmp_path / "big.mkv")
    assert len(outs) == len(woven)

    def combing(image: Any) -> float:
        gray = image[..., 1].astype(float)
        return float(np.abs(2 * gray[1:-1] - gray[:-2] - gray[2:]).mean())

    plain = Enlarger(Model("bicubic", 2), device="cpu")(woven[3])
    assert combing(outs[3]) < 0.6 * combing(plain)


def test_progressive_frames_are_not_touched(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mkv", moving_square(3))
    assert enlarged(source, tmp_path / "big.mkv") == []


def test_codec_quality_and_pixel_format_are_those_of_the_options(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mkv", moving_square(6))
    sizes = []
    for crf in (4, 40):
        assert enlarged(source, tmp_path / "big.mp4", options=VideoOptions(crf=crf)) == []
        sizes.append((tmp_path / "big.mp4").stat().st_size)
    assert sizes[0] > 1.5 * sizes[1]
    for suffix, options, expected in (
        (".mkv", VideoOptions("vp9", pix_fmt="yuv444p"), ("vp9", "yuv444p")),
        (".mov", VideoOptions("prores"), ("prores", "yuv422p10le")),
        (".mkv", VideoOptions("ffv1"), ("ffv1", "yuv420p")),
        (".mkv", VideoOptions(pix_fmt="yuv420p10le"), ("h264", "yuv420p10le")),
    ):
        needs({"vp9": "libvpx-vp9", "prores": "prores_ks"}.get(options.codec or "", "libx264"))
        assert enlarged(source, tmp_path / f"big{suffix}", options=options) == []
        with av.open(str(tmp_path / f"big{suffix}")) as reader:
            context = reader.streams.video[0].codec_context
            assert (context.name, context.pix_fmt) == expected


def test_more_than_8_bits_are_kept_or_said_to_be_reduced(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mkv", moving_square(3), pix_fmt="yuv420p10le")
    assert enlarged(source, tmp_path / "b.mkv") == ["10 bits reduced to 8 (--pix-fmt yuv420p10le keeps 10)"]
    assert enlarged(source, tmp_path / "c.mkv", options=VideoOptions(pix_fmt="yuv420p10le")) == []


@pytest.mark.parametrize(
    ("suffix", "options", "message"),
    [
        (".mp4", VideoOptions("nothing"), "--codec nothing: no such encoder here"),
        (".mp4", VideoOptions("aac"), "--codec aac: is for audio, not for video"),
        (".webm", VideoOptions("h264"), r"--codec libx264: webm cannot hold it: write to \.mkv"),
        (".mp4", VideoOptions(pix_fmt="rgb9"), "--pix-fmt rgb9: libx264 has yuv420p, "),
        (".mov", VideoOptions("prores", crf=3), "--crf 3: prores_ks has no such quality"),
        (".mp4", VideoOptions(crf=52), "--crf 52: that of libx264 ends at 51"),
        (".mkv", VideoOptions("gif"), "--codec gif: matroska cannot hold it: choose another"),
        (".mp4", VideoOptions(crf=-1), "--crf must be an integer of 0 or more"),
    ],
)
def test_options_that_cannot_be_met_are_refused_before_anything_is_enlarged(
    tmp_path: Path, suffix: str, options: VideoOptions, message: str
) -> None:
    source = write_clip(tmp_path / "a.mkv", moving_square(2))
    with pytest.raises(UserError, match=message):
        enlarged(source, tmp_path / f"big{suffix}", options=options)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mkv"]
