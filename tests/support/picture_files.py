"""Picture files of all formats, including unusual ones, and mutations of them."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image, features


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """The bytes of a picture file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def bitmap(image: Image.Image) -> bytes:
    """A 32-bit BMP of an RGBA picture, with a mask for each channel (BITMAPV4HEADER)."""
    width, height = image.size
    bgra = np.asarray(image)[::-1, :, [2, 1, 0, 3]].tobytes()
    head = struct.pack("<IiiHHIIiiII", 108, width, height, 1, 32, 3, len(bgra), 2835, 2835, 0, 0)
    head += struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + b"BGRs" + bytes(48)
    start = 14 + len(head)
    return b"BM" + struct.pack("<IHHI", start + len(bgra), 0, 0, start) + head + bgra


def bitmap_without_alpha(image: Image.Image) -> bytes:
    """A 32-bit BMP of an RGB picture, as written by programs that leave the fourth byte at 0."""
    image = image.copy()
    image.putalpha(0)
    return bitmap(image)


def run_length_bitmap(width: int, height: int) -> bytes:
    """An 8-bit BMP in run-length encoding."""
    row = b"".join(bytes([min(200, width - x), x % 251]) for x in range(0, width, 200)) + b"\0\0"
    data = row * height + b"\0\1"
    palette = b"".join(bytes([n, n, 255 - n, 0]) for n in range(256))
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(data), 0, 0, 256, 0)
    start = 14 + len(head) + len(palette)
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + head + palette + data


def png(depth: int, rows: list[list[Any]], transparent: Any = None) -> bytes:
    """A PNG of `depth` bits per sample with a transparent colour. A pixel is a grey value or (red, green, blue)."""
    samples = [np.atleast_1d(value) for row in rows for value in row]
    width, colour = len(rows[0]), 2 if len(samples[0]) == 3 else 0
    data = b""
    for row in rows:
        values = np.concatenate([np.atleast_1d(value) for value in row])
        bits = "".join(format(value, f"0{depth}b") for value in values)
        bits += "0" * (-len(bits) % 8)
        data += b"\0" + int(bits, 2).to_bytes(len(bits) // 8, "big")
    trns = b"" if transparent is None else np.atleast_1d(transparent).astype(">u2").tobytes()
    return _png(struct.pack(">IIBBBBB", width, len(rows), depth, colour, 0, 0, 0), trns, zlib.compress(data))


def claiming(width: int, height: int, depth: int = 1, colour: int = 0) -> bytes:
    """A PNG whose header claims this size, with `depth` bits per sample and PNG's colour type `colour`."""
    return _png(struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0), b"", zlib.compress(bytes(9)))


def with_texts(data: bytes, count: int, text: bytes) -> bytes:
    """A PNG with `count` compressed texts added."""
    chunks = (_chunk(b"zTXt", b"%d\0\0" % n + zlib.compress(text)) for n in range(count))
    return data[:33] + b"".join(chunks) + data[33:]


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _png(header: bytes, trns: bytes, data: bytes) -> bytes:
    chunks = [(b"IHDR", header), *([(b"tRNS", trns)] if trns else []), (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, body) for name, body in chunks)


def many_scans(width: int, height: int, scans: int) -> bytes:
    """A grey progressive JPEG with `scans` further scans, which change nothing."""

    def segment(marker: int, body: bytes) -> bytes:
        return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body

    blocks = -(-width // 8) * -(-height // 8)
    head = b"\xff\xd8" + segment(0xDB, b"\0" + b"\1" * 64)
    head += segment(0xC2, struct.pack(">BHHB", 8, height, width, 1) + b"\1\x11\0")
    # One code each: of the direct current, category 0; of the rest, a run of 16,384 empty blocks and more.
    head += segment(0xC4, b"\0\1" + bytes(15) + b"\0") + segment(0xC4, b"\x10\1" + bytes(15) + b"\xe0")
    head += segment(0xDA, b"\1\1\0\0\0\0") + bytes(-(-blocks // 8))
    bits = ""
    while blocks > 0:
        run = max(16384, min(blocks, 32767))
        bits += "0" + format(run - 16384, "014b")
        blocks -= run
    bits += "1" * (-len(bits) % 8)
    data = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    return head + (segment(0xDA, b"\1\1\0\1\x3f\0") + data) * (scans - 1) + b"\xff\xd9"


def tiff(width: int, height: int, strips: int) -> bytes:
    """A grey, uncompressed TIFF that refers to its one strip `strips` times."""
    pixels = bytes(range(64)) * (width * height // 64 + 1)
    offsets = struct.pack("<L", 8) * strips
    at = 8 + len(pixels)
    tags = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1),
        (273, 4, strips, at), (277, 3, 1, 1), (278, 4, 1, height - 1), (279, 4, 1, width * height),
    ]  # fmt: skip
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHLL", *tag) for tag in tags) + bytes(4)
    return b"II*\0" + struct.pack("<L", at + len(offsets)) + pixels + offsets + directory


def kinds(width: int, height: int) -> dict[str, Callable[[], bytes]]:
    """A picture of each kind that a decoder treats differently, by name."""
    rng = np.random.default_rng(0)
    colours = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
    rgb = colours.resize((width, height), Image.Resampling.BICUBIC)
    grey = rgb.convert("L")
    rgba = Image.merge("RGBA", (*rgb.split(), grey))
    palette = rgb.quantize(32)
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    real = Image.fromarray(np.asarray(grey).astype(np.float32) / 255)
    turned = Image.Exif()
    turned[0x0112] = 6
    found: dict[str, Callable[[], bytes]] = {
        "png": lambda: encoded(rgb, compress_level=1),
        "png, turned": lambda: encoded(rgb, compress_level=1, exif=turned),
        "png, alpha": lambda: encoded(rgba, compress_level=1),
        "png, grey": lambda: encoded(grey, compress_level=1),
        "png, grey and alpha": lambda: encoded(rgba.convert("LA"), compress_level=1),
        "png, 16 bits": lambda: encoded(deep, compress_level=1),
        "png, palette with transparency": lambda: encoded(palette, transparency=bytes(range(0, 256, 8))),
        "png, bilevel": lambda: encoded(grey.convert("1")),
        "jpeg": lambda: encoded(rgb, "JPEG"),
        "jpeg, turned": lambda: encoded(rgb, "JPEG", exif=turned),
        "jpeg, cut": lambda: encoded(rgb, "JPEG")[:-2],
        "jpeg, grey": lambda: encoded(grey, "JPEG"),
        "jpeg, progressive": lambda: encoded(rgb, "JPEG", progressive=True, subsampling=0),
        "jpeg, progressive, cmyk": lambda: encoded(rgb.convert("CMYK"), "JPEG", progressive=True),
        "webp": lambda: encoded(rgb, "WEBP", method=0),
        "webp, alpha": lambda: encoded(rgba, "WEBP", method=0),
        "webp, lossless": lambda: encoded(rgba, "WEBP", method=0, quality=0, lossless=True),
        "gif": lambda: encoded(palette, "GIF", transparency=3),
        "gif, animated": lambda: encoded(palette, "GIF", save_all=True, append_images=[palette.rotate(180)]),
        "bmp": lambda: encoded(rgb, "BMP"),
        "bmp, alpha": lambda: bitmap(rgba),
        "bmp, run-length": lambda: run_length_bitmap(width, height),
        "tiff": lambda: encoded(rgb, "TIFF"),
        "tiff, one strip": lambda: encoded(rgb, "TIFF", compression="tiff_adobe_deflate", strip_size=1 << 30),
        "tiff, turned": lambda: encoded(rgb, "TIFF", compression="tiff_lzw", tiffinfo={0x0112: 6}),
        "tiff, cmyk": lambda: encoded(rgb.convert("CMYK"), "TIFF", compression="tiff_lzw"),
        "tiff, 16 bits": lambda: encoded(deep, "TIFF", compression="tiff_lzw"),
        "tiff, 32 bits": lambda: encoded(grey.convert("I"), "TIFF", compression="tiff_lzw"),
        "tiff, float": lambda: encoded(real, "TIFF", compression="tiff_lzw"),
        "tiff, jpeg": lambda: encoded(rgb, "TIFF", compression="jpeg"),
    }  # fmt: skip
    if features.check("avif"):
        found["avif"] = lambda: encoded(rgb, "AVIF", speed=10)
        found["avif, alpha"] = lambda: encoded(rgba, "AVIF", speed=10, subsampling="4:4:4")
    return found


def mutated(rng: np.random.Generator, data: bytes) -> bytes:
    """`data` with one to four changes: bits, bytes put in, pieces cut out or repeated, sizes in the header."""
    changed = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        # Half of the changes hit the header, where they have most effect.
        end = len(changed) if rng.integers(2) else min(len(changed), 200)
        at = int(rng.integers(0, max(1, end)))
        length = int(rng.integers(1, 40))
        match rng.integers(6):
            case 0:
                changed[at : at + 1] = bytes(
                    [(changed[at] if at < len(changed) else 0) ^ (1 << int(rng.integers(8)))]
                )
            case 1:
                changed[at:at] = rng.bytes(length)
            case 2:
                del changed[at : at + length]
            case 3:
                changed[at:at] = changed[at : at + length] * int(rng.integers(1, 50))
            case 4:
                del changed[max(at, 1) :]
            case 5:
                number = int(rng.choice([0, 1, 255, 65_535, 1 << 20, (1 << 31) - 1, (1 << 32) - 1]))
                changed[at : at + 4] = struct.pack(str(rng.choice(["<I", ">I"])), number)
    return bytes(changed)
