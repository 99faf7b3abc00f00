"""The directory of a TIFF file, checked before Pillow creates Python objects for it."""

from __future__ import annotations

import struct

from itemlens_server.engine.pictures.errors import PictureError

# Numbers in one tag, such as the offsets of strips or tiles. Pillow decodes each strip as a separate picture. 65,535
# rows in strips of one row are within the limit.
MAX_NUMBERS = 1 << 16

_BYTES = {1, 2, 6, 7}  # types whose values stay bytes
_ORDERS = {b"II": "<", b"MM": ">"}


def check(data: bytes) -> None:
    """Check the first directory of `data`, if it is a TIFF.

    Raises:
        PictureError: a tag has more numbers than a picture needs.
    """
    order = _ORDERS.get(data[:2])
    if order is None or len(data) < 16:
        return
    if struct.unpack_from(order + "H", data, 2)[0] == 43:  # BigTIFF
        start, head, entry = struct.unpack_from(order + "Q", data, 8)[0], order + "Q", order + "HHQ8x"
    else:
        start, head, entry = struct.unpack_from(order + "L", data, 4)[0], order + "H", order + "HHL4x"
    if start + struct.calcsize(head) > len(data):
        return
    first, size = start + struct.calcsize(head), struct.calcsize(entry)
    entries = min(struct.unpack_from(head, data, start)[0], (len(data) - first) // size)
    for _, kind, count in struct.iter_unpack(entry, data[first : first + entries * size]):
        if kind not in _BYTES and count > MAX_NUMBERS:
            raise PictureError(
                f"picture has a TIFF tag of {count} numbers: save it with fewer, larger strips"
            )
