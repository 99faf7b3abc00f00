"""The size of the frames that an AVIF file codes.

libavif decodes a frame at its coded size and then scales it to the size that the file's header states, so the header
alone bounds nothing. The boxes are those of ISO/IEC 14496-12 and 23008-12, the sequence header that of the AV1
specification, section 5.5.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from itemlens_server.engine.pictures.errors import PictureError

_CODED, _SEQUENCE_HEADER = b"av01", 1
_DAMAGED = "picture is a damaged AVIF ({}): save it again"


def coded_pixels(data: bytes) -> int:
    """Return the pixels of the largest frame that a still AVIF codes.

    Raises:
        PictureError: animated, or its boxes or frames cannot be read.
    """
    try:
        boxes = list(_boxes(data, 0, len(data)))
        if any(kind == b"moov" for kind, *_ in boxes):
            raise PictureError("picture is an animated AVIF: send a still one")
        sizes = [
            size
            for kind, start, end in boxes
            if kind == b"meta"
            for content in _coded_items(data, start + 4, end)
            for size in _frame_sizes(content)
        ]
    except PictureError:
        raise
    except (IndexError, struct.error, ValueError) as error:
        raise PictureError(_DAMAGED.format(error)) from error
    if not sizes:
        raise PictureError(_DAMAGED.format("no coded frame"))
    return max(width * height for width, height in sizes)


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield the type of each box with the start and end of its content."""
    while start + 8 <= end:
        size, kind = struct.unpack_from(">L4s", data, start)
        head = 8
        if size == 1:
            size, head = struct.unpack_from(">Q", data, start + 8)[0], 16
        stop = end if size == 0 else start + size
        if stop > end or stop < start + head:
            raise ValueError("a box that is too large or too small")
        yield kind, start + head, stop
        start = stop


def _coded_items(data: bytes, start: int, end: int) -> Iterator[bytes]:
    """Yield the content of each item of a `meta` box that is an AV1 frame."""
    boxes = {kind: (first, last) for kind, first, last in _boxes(data, start, end)}
    coded = set(_item_ids(data, *boxes[b"iinf"])) if b"iinf" in boxes else set()
    seen = set()
    for number, method, extents in _locations(data, *boxes[b"iloc"]) if b"iloc" in boxes else ():
        if number not in coded:
            continue
        seen.add(number)
        if method > 1 or (method == 1 and b"idat" not in boxes):
            raise ValueError("a frame in another item")
        base, last = boxes[b"idat"] if method == 1 else (0, len(data))
        if any(base + offset + length > last for offset, length in extents):
            raise ValueError("cut short")
        yield b"".join(
            data[base + offset : base + offset + length if length else last] for offset, length in extents
        )
    if seen != coded:
        raise ValueError("a frame without a place")


def _item_ids(data: bytes, start: int, end: int) -> Iterator[int]:
    """Yield the numbers of the items of an `iinf` box that are AV1 frames."""
    start += 6 if data[start] == 0 else 8
    for kind, first, last in _boxes(data, start, end):
        version = data[first]
        if kind == b"infe" and version >= 2 and last - first >= 12:
            number, _, item_type = struct.unpack_from(">HH4s" if version == 2 else ">LH4s", data, first + 4)
            if item_type == _CODED:
                yield number


def _locations(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, list[tuple[int, int]]]]:
    """Yield number, construction method and (offset, length) of the extents of each item of an `iloc` box."""
    version = data[start]
    sizes = struct.unpack_from(">H", data, start + 4)[0]
    offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_size = sizes & 15 if version else 0
    at = start + 6

    def read(size: int) -> int:
        nonlocal at
        if size not in (0, 2, 4, 8) or at + size > end:
            raise ValueError("a location that is cut short")
        at += size
        return int.from_bytes(data[at - size : at], "big")

    number_size = 4 if version == 2 else 2
    for _ in range(read(number_size)):
        number = read(number_size)
        method = read(2) & 15 if version else 0
        read(2)  # the data reference
        base, extents = read(base_size), []
        for _ in range(read(2)):
            read(index_size)
            offset = base + read(offset_size)
            extents.append((offset, read(length_size)))
        yield number, method, extents


def _frame_sizes(content: bytes) -> list[tuple[int, int]]:
    """Return width and height of each sequence header among the OBUs of a frame."""
    sizes, at = [], 0
    while at < len(content):
        head = content[at]
        at += 2 if head & 4 else 1
        size = len(content) - at
        if head & 2:
            size, shift = 0, 0
            while True:
                byte = content[at]
                at += 1
                size |= (byte & 127) << shift
                shift += 7
                if byte < 128 or shift > 56:
                    break
        if head >> 3 & 15 == _SEQUENCE_HEADER:
            sizes.append(_sequence_size(content[at : at + min(size, 1024)]))
        at += size
    if not sizes:
        raise ValueError("a frame without sequence header")
    return sizes


def _sequence_size(header: bytes) -> tuple[int, int]:
    bits, left = int.from_bytes(header, "big"), 8 * len(header)

    def read(count: int) -> int:
        nonlocal left
        left -= count
        if left < 0:
            raise ValueError("a sequence header that is cut short")
        return bits >> left & ((1 << count) - 1)

    read(4)  # profile, still picture
    if read(1):  # reduced header
        read(5)
    else:
        delay_bits = _read_timing(read)
        display_delay = read(1)
        for _ in range(read(5) + 1):
            read(12)
            if read(5) > 7:
                read(1)
            if delay_bits and read(1):
                read(2 * delay_bits + 1)
            if display_delay and read(1):
                read(4)
    width_bits, height_bits = read(4) + 1, read(4) + 1
    return read(width_bits) + 1, read(height_bits) + 1


def _read_timing(read: Callable[[int], int]) -> int:
    """Read the timing of a sequence; return the bits of a buffer delay, 0 without a decoder model."""
    if not read(1):
        return 0
    read(64)
    if read(1):  # equal intervals: a number in Exp-Golomb code
        zeros = 0
        while not read(1):
            zeros += 1
        read(zeros)
    if not read(1):
        return 0
    delay_bits = read(5) + 1
    read(32 + 5 + 5)
    return delay_bits
