"""Directories of TIFF, which EXIF consists of, too: read from untrusted files within bounds, written byte for byte."""

import struct
from array import array
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import IO, NamedTuple

BYTE = 1  # type of tags
CAMERA, PLACE, MAKER_NOTE = 0x8769, 0x8825, 0x927C

_INTEROPERABILITY, _USER_COMMENT, _PADDING = 0xA005, 0x9286, 0xEA1C
_PARTS: dict[int, tuple[int, ...]] = {CAMERA: (_INTEROPERABILITY,)}  # directories within directories
_UNKEPT = frozenset({MAKER_NOTE, _PADDING})  # the former points to places of the file that it was written for
_SIZES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    129: 1,
}  # bytes, by type
_ITEM_SIZES = _SIZES | {5: 4, 10: 4}  # of what has a byte order: fractions are two numbers
_LONG, _LONG8 = 4, 16  # the latter of BigTIFF
_POINTERS = {_LONG: "L", 13: "L", _LONG8: "Q", 18: "Q"}
_UTF16 = b"UNICODE\0"  # before a comment in the byte order of the file
_MOST_TAGS = 4096  # of a directory
_MOST_BYTES = 1 << 24  # of all values


class Tag(NamedTuple):
    """Type and value, in little-endian order."""

    type: int
    data: bytes


@dataclass
class Directory:
    """Tags by number, and the directories that some of them point to."""

    tags: dict[int, Tag] = field(default_factory=dict)
    parts: "dict[int, Directory]" = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether there is anything in it."""
        return bool(self.tags or self.parts)


@dataclass(frozen=True)
class _Layout:
    """How numbers are stored: the byte order, ``<`` or ``>``, and whether as in BigTIFF."""

    order: str = "<"
    big: bool = False

    @classmethod
    def of(cls, head: bytes) -> "tuple[_Layout, int]":
        """The layout by the first 16 bytes of a file, and where its first directory is."""
        order = {b"II": "<", b"MM": ">"}.get(head[:2], "")
        version = struct.unpack_from(f"{order}H", head, 2)[0] if order and len(head) >= 8 else 0
        if version not in (42, 43) or (version == 43 and len(head) < 16):
            raise ValueError("is neither TIFF nor EXIF")
        layout = cls(order, version == 43)
        return layout, struct.unpack_from(layout.place, head, layout.size)[0]

    @property
    def count(self) -> str:
        """Format of the number of tags."""
        return f"{self.order}{'Q' if self.big else 'H'}"

    @property
    def place(self) -> str:
        """Format of a place in the file."""
        return f"{self.order}{'Q' if self.big else 'L'}"

    @property
    def size(self) -> int:
        """Bytes of a place in the file; the first place is that far from the beginning."""
        return 8 if self.big else 4

    @property
    def entry(self) -> struct.Struct:
        """Number, type, number of values, and the value or its place."""
        return struct.Struct(f"{self.order}HHQ8s" if self.big else f"{self.order}HHL4s")


class DirectoryReader:
    """Reads TIFF or EXIF in memory; of all values together, no more than the file is long.

    Attributes:
        is_damaged: whether something was left out that is damaged, or claims more than there is.
        is_big: whether it is laid out as BigTIFF.
        unkept: numbers of the tags that were left out on purpose.
    """

    def __init__(self, content: bytes) -> None:
        """Read the head.

        Raises:
            ValueError: if it is neither TIFF nor EXIF.
        """
        self._content = content
        self._layout, self._first = _Layout.of(content[:16])
        self.is_big = self._layout.big
        self._left = min(len(content), _MOST_BYTES)
        self.is_damaged = False
        self.unkept = set[int]()

    def first(self, wanted: Collection[int] | None = None) -> Directory:
        """Those of ``wanted`` of the first directory, all if None, with what is said of the camera and the place."""
        return self._directory(self._first, (CAMERA, PLACE), wanted)

    def _directory(self, place: int, parts: Collection[int], wanted: Collection[int] | None = None) -> Directory:
        directory, layout, entry = Directory(), self._layout, self._layout.entry
        start = place + struct.calcsize(layout.count)
        if start > len(self._content):
            self.is_damaged = True
            return directory
        (claimed,) = struct.unpack_from(layout.count, self._content, place)
        count = min(claimed, _MOST_TAGS, (len(self._content) - start) // entry.size)
        self.is_damaged |= count < claimed
        for at in range(start, start + count * entry.size, entry.size):
            code, kind, length, value = entry.unpack_from(self._content, at)
            if code in directory.tags or code in directory.parts:
                continue
            if code in parts:
                part = self._part(code, kind, length, value)
                directory.parts |= {code: part} if part else {}
            elif code in _UNKEPT or (wanted is not None and code not in wanted):
                self.unkept.add(code)
            elif (data := self._value(kind, length, value)) is None:
                self.is_damaged = True
            elif data:
                directory.tags[code] = _as_in_exif(Tag(kind, _in_order(code, kind, data, layout.order)))
        return directory

    def _part(self, code: int, kind: int, length: int, value: bytes) -> Directory:
        form = self._layout.order + _POINTERS.get(kind, "")
        if not 0 < struct.calcsize(form) <= len(value) or length != 1:
            self.is_damaged = True
            return Directory()
        (place,) = struct.unpack_from(form, value)
        return self._directory(place, _PARTS.get(code, ()))

    def _value(self, kind: int, length: int, value: bytes) -> bytes | None:
        """The bytes of a value; None if they are not there."""
        size = length * _SIZES.get(kind, 0)
        if kind not in _SIZES or size > self._left:
            return None
        self._left -= size
        if size <= len(value):
            return value[:size]
        (place,) = struct.unpack(self._layout.place, value)
        data = self._content[place : place + size]
        return data if len(data) == size else None


def without_tags(exif: bytes, first: Collection[int], camera: Collection[int]) -> bytes:
    """Intact EXIF without some tags of the first directory and of the camera's, and without a thumbnail.

    All that remains stays at its place, to which maker notes may point.
    """
    data = bytearray(exif)
    layout, place = _Layout.of(exif[:16])
    for code, kind, length, value in _cut(data, layout, place, first):
        if code == CAMERA and kind in _POINTERS and length == 1:
            _cut(data, layout, struct.unpack_from(layout.order + _POINTERS[kind], value)[0], camera)
    struct.pack_into(layout.place, data, _end_of_table(data, layout, place), 0)  # the directory of the thumbnail
    return bytes(data)


def _cut(data: bytearray, layout: _Layout, place: int, codes: Collection[int]) -> list[tuple[int, int, int, bytes]]:
    """Take entries out of a table, and return the others."""
    end, entry = _end_of_table(data, layout, place), layout.entry
    start = place + struct.calcsize(layout.count)
    following = bytes(data[end : end + layout.size]).ljust(layout.size, b"\0")  # some programs leave it out
    entries = list(entry.iter_unpack(bytes(data[start:end])))
    kept = [values for values in entries if values[0] not in codes]
    if len(kept) < len(entries) or end + layout.size > len(data):
        struct.pack_into(layout.count, data, place, len(kept))
        table = b"".join(entry.pack(*values) for values in kept) + following
        data[start : start + len(table)] = table
    return kept


def _end_of_table(data: bytes | bytearray, layout: _Layout, place: int) -> int:
    """Where the place of the following directory is."""
    (count,) = struct.unpack_from(layout.count, data, place)
    return place + struct.calcsize(layout.count) + int(count) * layout.entry.size


def exif_block(directory: Directory) -> bytes:
    """A directory as EXIF, without the prefix of JPEG."""
    return b"II*\0" + struct.pack("<L", 8) + _table(directory, {}, 8, 0, _Layout())


def add_to_tiff(file: IO[bytes], directory: Directory) -> None:
    """Add tags to the first page of a TIFF file: a directory at its end takes the place of the first.

    Args:
        file: intact, readable and writable.
        directory: replaces tags of the same numbers.

    Raises:
        struct.error: if the file becomes too large for its kind.
    """
    file.seek(0)
    layout, first = _Layout.of(file.read(16))
    file.seek(first)
    (count,) = struct.unpack(layout.count, file.read(struct.calcsize(layout.count)))
    entries = file.read(count * layout.entry.size)
    stored = {entry[0]: layout.entry.pack(*entry) for entry in layout.entry.iter_unpack(entries)}
    (following,) = struct.unpack(layout.place, file.read(layout.size))
    end = file.seek(0, 2)
    start = end + end % 2
    place = struct.pack(layout.place, start)
    file.write(bytes(end % 2) + _table(directory, stored, start, following, layout))
    file.seek(layout.size)
    file.write(place)
    file.seek(0, 2)


def _table(directory: Directory, stored: Mapping[int, bytes], start: int, following: int, layout: _Layout) -> bytes:
    """A directory at this place, with entries that are stored as they are; behind it are the values of the others."""
    codes = sorted({*stored, *directory.tags, *directory.parts})
    values_start = start + struct.calcsize(layout.count) + len(codes) * layout.entry.size + layout.size
    entries, values = [], bytearray()
    for code in codes:
        place = values_start + len(values)
        if (part := directory.parts.get(code)) is not None:
            kind = _LONG8 if layout.big else _LONG
            entries.append(layout.entry.pack(code, kind, 1, struct.pack(layout.place, place)))
            values += _table(part, {}, place, 0, layout)
        elif (tag := directory.tags.get(code)) is not None:
            data = _in_order(code, tag.type, tag.data, layout.order)
            is_short = len(data) <= layout.size
            value = data if is_short else struct.pack(layout.place, place)
            entries.append(layout.entry.pack(code, tag.type, len(data) // _SIZES[tag.type], value))
            values += b"" if is_short else data + bytes(len(data) % 2)
        else:
            entries.append(stored[code])
    return b"".join(
        [struct.pack(layout.count, len(codes)), *entries, struct.pack(layout.place, following), bytes(values)]
    )


def _as_in_exif(tag: Tag) -> Tag:
    """A tag with a type that files of less than 4 GB have, if its values fit."""
    values = array("Q", tag.data) if tag.type == _LONG8 else ()
    if not values or max(values) >> 32:
        return tag
    return Tag(_LONG, array("I", values).tobytes())


def _in_order(code: int, kind: int, data: bytes, order: str) -> bytes:
    """A value between little-endian order and that of a file, either way."""
    if order == "<":
        return data
    if code == _USER_COMMENT and data.startswith(_UTF16):
        return _UTF16 + _swapped(data[len(_UTF16) :], 2)
    return _swapped(data, _ITEM_SIZES[kind])


def _swapped(data: bytes, size: int) -> bytes:
    if size == 1:
        return data
    whole = len(data) // size * size
    items = array({2: "H", 4: "I", 8: "Q"}[size], data[:whole])
    items.byteswap()
    return items.tobytes() + data[whole:]
