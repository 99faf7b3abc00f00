"""The structure of a JPEG file, checked before decoding, because libjpeg does not limit its time or memory."""

from __future__ import annotations

import re
from dataclasses import dataclass

from itemlens_server.engine.pictures.errors import PictureError

# A progressive file of 1.4 MB can hold 20,000 scans. Each goes over all pixels, which takes minutes in all. Encoders
# write about 10.
MAX_SCANS = 100
MAX_SEGMENTS = 2000  # each is kept as a Python object
MAX_GAP = 1 << 10  # bytes between two segments of the header, which Pillow skips one by one

_END, _SCAN = 0xD9, 0xDA
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}
# Any marker except FF00 (a byte FF of the data), TEM and the restart markers.
_MARKER = re.compile(rb"\xff[\x02-\xcf\xd8-\xfe]")


@dataclass(frozen=True)
class JpegStructure:
    """coefficient_bytes: memory of libjpeg besides the pixels, which files of several scans need
    ended: whether the end mark is present"""

    coefficient_bytes: int
    ended: bool


def structure(data: bytes) -> JpegStructure:
    """Walk over the segments of `data`.

    Raises:
        PictureError: more scans or segments than a picture needs.
    """
    at = 2
    scans = segments = frame_bytes = 0
    progressive = ended = False
    while match := _MARKER.search(data, at):
        code = data[match.end() - 1]
        if not scans and match.start() - at > MAX_GAP:
            raise PictureError("picture is damaged (a marker is missing): send the whole file")
        if code == _END:
            ended = True
            break
        scans += code == _SCAN
        segments += 1
        if scans > MAX_SCANS:
            raise PictureError(f"picture has more than {MAX_SCANS} JPEG scans: save it as a baseline JPEG")
        if segments > MAX_SEGMENTS:
            raise PictureError(
                f"picture has more than {MAX_SEGMENTS} JPEG segments: save it without metadata"
            )
        length = int.from_bytes(data[match.end() : match.end() + 2], "big")
        if code in _FRAMES:
            progressive |= code in _PROGRESSIVE
            frame_bytes = max(frame_bytes, _coefficient_bytes(data[match.end() + 2 : match.end() + length]))
        at = match.end() + length
    return JpegStructure(frame_bytes if progressive or scans > 1 else 0, ended)


def _coefficient_bytes(frame: bytes) -> int:
    """Return the size of all 16-bit coefficients of a frame, from its header: precision, height, width, components."""
    height, width = int.from_bytes(frame[1:3], "big"), int.from_bytes(frame[3:5], "big")
    factors = [(value >> 4, value & 15) for value in frame[7::3]]
    across, down = (max((f[n] for f in factors), default=1) or 1 for n in (0, 1))
    units = -(-width // (8 * across)) * -(-height // (8 * down))
    return 128 * units * sum(h * v for h, v in factors)
