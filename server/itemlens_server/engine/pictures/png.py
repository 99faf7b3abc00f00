"""The chunks of a PNG file, counted before Pillow reads them one by one."""

from __future__ import annotations

from PIL import PngImagePlugin

from itemlens_server.engine.pictures.errors import PictureError

MAX_CHUNKS = 2000  # without those of pixels
MAX_TEXT_BYTES = 4 << 20  # all texts, decompressed; a file of 60 KB can hold 60 MB

_SIGNATURE = b"\x89PNG\r\n\x1a\n"

PngImagePlugin.MAX_TEXT_MEMORY = MAX_TEXT_BYTES


def check(data: bytes) -> None:
    """Check the chunks of `data`, if it is a PNG.

    Raises:
        PictureError: it has more chunks than a picture needs.
    """
    if not data.startswith(_SIGNATURE):
        return
    at, others = len(_SIGNATURE), 0
    while at + 8 <= len(data):
        others += data[at + 4 : at + 8] != b"IDAT"
        if others > MAX_CHUNKS:
            raise PictureError(f"picture has more than {MAX_CHUNKS} PNG chunks: save it without metadata")
        at += 12 + int.from_bytes(data[at : at + 4], "big")
