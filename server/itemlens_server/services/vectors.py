"""Vectors that callers send."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from itemlens_server.engine.repository import Space
from itemlens_server.errors import InvalidArgument, SpaceMismatch, quoted
from itemlens_server.fusion.head import Array

CHANNEL, ITEM, QUERY = "CHANNEL", "ITEM", "QUERY"
# Lengths of vectors that callers may send: real ones have some 0.1 to 100.
SHORTEST, LONGEST = 1e-6, 1e6


@dataclass(frozen=True)
class VectorInput:
    """A vector as the caller sent it: packed little-endian float32 and what is said of it.

    role: CHANNEL, ITEM or QUERY, as the contract's VectorRole; empty if unspecified.
    """

    data: bytes
    dimension: int
    role: str
    space_id: str
    channel: str = ""


def unpacked(vector: VectorInput, role: str, space: Space) -> Array:
    """Its numbers, if it has this role and is of this space: float32 [dimension].

    Raises:
        InvalidArgument: another role, or a length that is not the dimension's.
        SpaceMismatch: another space.
    """
    if vector.role != role:
        raise InvalidArgument(
            f"a vector of role {role} is needed here, this one's is {vector.role or 'unspecified'}", "role"
        )
    if vector.space_id != space.space_id:
        raise SpaceMismatch(
            f"the vector is of space {vector.space_id or '(none)'}, the answer of {space.space_id}; vectors of two "
            "spaces are never compared: make it again with this space", "space_id",
        )  # fmt: skip
    if len(vector.data) != 4 * vector.dimension:
        raise InvalidArgument(
            f"data has {len(vector.data)} bytes; {vector.dimension} numbers need {4 * vector.dimension}",
            "data",
        )
    return np.frombuffer(vector.data, "<f4")


def channel_vector(vector: VectorInput, space: Space) -> Array:
    """A raw vector v_c, float32 [dim of the channel].

    Raises:
        InvalidArgument, SpaceMismatch: it cannot be one of this space.
    """
    v = unpacked(vector, CHANNEL, space)
    encoder = space.encoders.get(vector.channel)
    if encoder is None:
        raise InvalidArgument(
            f"no channel {quoted(vector.channel)}; the space has {', '.join(space.encoders)}", "channel"
        )
    if v.shape != (encoder.spec.dim,):
        raise InvalidArgument(
            f"channel {vector.channel!r} has {encoder.spec.dim} numbers, not {v.size}", "dimension"
        )
    return check_finite(v)


def query_vector(vector: VectorInput, space: Space) -> Array:
    """A ready u, float32 [dimension of the space].

    Raises:
        InvalidArgument, SpaceMismatch: it cannot be one of this space.
    """
    u = unpacked(vector, QUERY, space)
    if len(u) != space.head.dimension:
        raise InvalidArgument(f"a QUERY vector has {space.head.dimension} numbers, not {len(u)}", "dimension")
    return check_finite(u)


def check_finite(v: Array) -> Array:
    """`v`, if it has a direction, and a length with which float32 can reckon.

    Raises:
        InvalidArgument: NaN, infinity, nothing but zeros, far too short or far too long.
    """
    if not np.isfinite(v).all():
        raise InvalidArgument("the vector holds NaN or infinity", "data")
    if not v.any():
        raise InvalidArgument("the vector is zero: it has no direction", "data")
    length = float(np.linalg.norm(v.astype(np.float64)))
    if not SHORTEST <= length <= LONGEST:
        raise InvalidArgument(
            f"the vector has length {length:g}; it must be {SHORTEST:g} to {LONGEST:g}: send it as it was given",
            "data",
        )
    return v
