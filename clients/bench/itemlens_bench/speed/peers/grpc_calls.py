"""Calls of peers that use gRPC."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence

import numpy as np

from itemlens_bench.speed.grpc_call import BytesCaller
from itemlens_bench.speed.target import Array


class TextsCaller(BytesCaller):
    """The call of `servers.grpc_texts`: the request is a JSON list of texts, the reply the vectors' bytes."""

    def __init__(self, address: str, dimension: int) -> None:
        super().__init__(address, "/bench.Texts/Encode")
        self._dimension = dimension

    def pack(self, texts: Sequence[str]) -> bytes:
        """See Caller."""
        return json.dumps(list(texts)).encode()

    def unpack(self, reply: bytes) -> Array:
        """See Caller."""
        return np.frombuffer(reply, np.float32).reshape(-1, self._dimension)


class TritonCaller(BytesCaller):
    """Triton's ModelInfer for the model `texts`: input texts BYTES [n, 1], output vectors FP32 [n, dimension].

    This class writes and reads the two messages field by field, so that the load processes do not need tritonclient.
    """

    def __init__(self, address: str, dimension: int) -> None:
        super().__init__(address, "/inference.GRPCInferenceService/ModelInfer")
        self._dimension = dimension

    def pack(self, texts: Sequence[str]) -> bytes:
        """See Caller."""
        contents = [text.encode() for text in texts]
        shape = _varint(len(texts)) + _varint(1)
        tensor = _field(1, b"texts") + _field(2, b"BYTES") + _field(3, shape)
        raw = b"".join(struct.pack("<I", len(content)) + content for content in contents)
        return _field(1, b"texts") + _field(5, tensor) + _field(6, _field(1, b"vectors")) + _field(7, raw)

    def unpack(self, reply: bytes) -> Array:
        """See Caller."""
        raw = next(content for number, content in _fields(reply) if number == 6)
        return np.frombuffer(raw, np.float32).reshape(-1, self._dimension)


def _varint(value: int) -> bytes:
    """A number in protobuf's encoding: 7 bits per byte, the lowest first."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited protobuf field: bytes, a string, a message or packed numbers."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and content of a message's fields, which are all length-delimited."""
    at = 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        length, at = _read_varint(message, at)
        yield tag >> 3, message[at : at + length]
        at += length


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    """The number at byte `at`, and the byte after it."""
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
