"""What a video file holds beside its pictures: sound, subtitles, chapters, attachments and tags, copied unchanged."""

from typing import Any

from av.error import FFmpegError

from sr.errors import UserError

_ABOUT_THE_FILE = frozenset({"encoder", "major_brand", "minor_version", "compatible_brands", "duration"})
_STREAM_TAGS = ("language", "title", "handler_name")


class Copied:
    """The streams that a container can hold, added to it; what it cannot is said.

    Attributes:
        targets: the new stream of each that is copied.
        notes: what was left out, each in a few words.
    """

    def __init__(self, reader: Any, writer: Any, container: str, video: Any) -> None:
        """Add what can be copied to a new file.

        Raises:
            UserError: if the container cannot hold the sound.
        """
        self.targets: dict[Any, Any] = {}
        self.notes: list[str] = []
        for stream in reader.streams.audio:
            self._add(writer, stream, container)
        for stream in reader.streams.subtitles:
            self._add(writer, stream, container)
        left_out = {
            "data": reader.streams.data,
            "all but the first video stream": [stream for stream in reader.streams.video if stream is not video],
        }
        self.notes += [f"{name} left out" for name, streams in left_out.items() if streams]
        self._attach(reader, writer, container)
        tags = {key: value for key, value in reader.metadata.items() if key.lower() not in _ABOUT_THE_FILE}
        writer.metadata.update(tags)
        chapters = reader.chapters() if hasattr(reader, "chapters") else []
        if chapters and hasattr(writer, "set_chapters"):
            writer.set_chapters(chapters)
        elif chapters:
            self.notes.append(f"{len(chapters)} chapters left out (this PyAV writes none)")

    def _add(self, writer: Any, stream: Any, container: str) -> None:
        codec = stream.codec_context.name if stream.codec_context else "unknown"
        try:
            target = writer.add_stream_from_template(stream)
        except (ValueError, FFmpegError) as error:
            if stream.type == "audio":
                raise UserError(f"{container} cannot hold {codec} audio: write to .mkv") from error
            self.notes.append(f"subtitles left out ({container} cannot hold {codec}: .mkv can)")
            return
        keep_tags(stream, target)
        self.targets[stream] = target

    def _attach(self, reader: Any, writer: Any, container: str) -> None:
        attachments = list(getattr(reader.streams, "attachments", ()))
        if not attachments:
            return
        if container != "matroska" or not hasattr(writer, "add_attachment"):
            self.notes.append(f"{len(attachments)} attachments left out ({container} holds none: .mkv does)")
            return
        for attachment in attachments:
            writer.add_attachment(attachment.name or "attachment", attachment.mimetype or "", attachment.data)


def keep_tags(stream: Any, target: Any) -> None:
    """Give a new stream the title and language of another, and what it is for: the default, forced, ..."""
    target.metadata.update({key: stream.metadata[key] for key in _STREAM_TAGS if key in stream.metadata})
    target.disposition = stream.disposition.value  # a flag itself is refused by PyAV 17
