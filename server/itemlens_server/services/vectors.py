"""Checks of vectors from callers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from itemlens_server.engine.repository import Space
from itemlens_server.errors import InvalidArgument, SpaceMismatch, quoted
from itemlens_server.fusion.head import Array

CHANNEL, ITEM, QUERY = "CHANNEL", "ITEM", "QUERY"
# The accepted lengths of callers' vectors. Lengths of real vectors are about 0.1 to 100.
SHORTEST, LONGEST = 1e-6, 1e6


@dataclass(frozen=True)
class VectorInput:
    """A vector as sent by the caller: packed little-endian float32 and its properties.

    role: CHANNEL, ITEM or QUERY, as in the proto's VectorRole; empty if unspecified.
    """

    data: bytes
    dimension: int
    role: str
    space_id: str
    channel: str = ""


def unpacked(vector: VectorInput, role: str, space: Space) -> Array:
    """The numbers of a vector of this role and space, float32 [dimension].

    Raises:
        InvalidArgument: the vector has another role, or its bytes do not fit its dimension.
        SpaceMismatch: the vector belongs to another space.
    """
    if vector.role != role:
        raise InvalidArgument(
            f"the role is {vector.role or 'unspecified'}; a vector of role {role} is required here", "role"
        )
    if vector.space_id != space.space_id:
        raise SpaceMismatch(
            f"the vector belongs to space {vector.space_id or '(none)'}, the request to {space.space_id}; vectors of "
            "different spaces are not comparable: compute the vector again in this space", "space_id",
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
            f"channel {vector.channel!r} has dimension {encoder.spec.dim}, not {v.size}", "dimension"
        )
    return check_finite(v)


def query_vector(vector: VectorInput, space: Space) -> Array:
    """The u of a QUERY vector, float32 [dimension of the space].

    Raises:
        InvalidArgument, SpaceMismatch: it cannot be one of this space.
    """
    u = unpacked(vector, QUERY, space)
    if len(u) != space.head.dimension:
        raise InvalidArgument(
            f"a QUERY vector has dimension {space.head.dimension}, not {len(u)}", "dimension"
        )
    return check_finite(u)


def check_finite(v: Array) -> Array:
    """Return `v` if it is finite, is not zero, and has a length that float32 arithmetic can handle.

    Raises:
        InvalidArgument: `v` contains NaN or infinity, is zero, or is far too short or too long.
    """
    if not np.isfinite(v).all():
        raise InvalidArgument("the vector contains NaN or infinity", "data")
    if not v.any():
        raise InvalidArgument("the vector is zero, so it has no direction", "data")
    length = float(np.linalg.norm(v.astype(np.float64)))
    if not SHORTEST <= length <= LONGEST:
        raise InvalidArgument(
            f"the vector has length {length:g}; it must be {SHORTEST:g} to {LONGEST:g}; send the vector unchanged",
            "data",
        )
    return v
