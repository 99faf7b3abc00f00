"""What is known of an item to h; what is asked for to u."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from itemlens_server.engine.repository import Space
from itemlens_server.errors import InvalidArgument
from itemlens_server.fusion.head import Array, KindWeights, search_kind, unit

# Lengths of vectors that callers may send: real ones have some 0.1 to 100.
SHORTEST, LONGEST = 1e-6, 1e6


def check_raw(space: Space, channel: str, v: Array) -> Array:
    """`v`, if it can be a raw vector of `channel`.

    Raises:
        InvalidArgument: unknown channel, wrong dimension, not finite, or zero.
    """
    encoder = space.encoders.get(channel)
    if encoder is None:
        raise InvalidArgument(f"no channel {channel!r}; the space has {', '.join(space.encoders)}", "channel")
    if v.shape != (encoder.spec.dim,):
        raise InvalidArgument(
            f"channel {channel!r} has {encoder.spec.dim} numbers, not {v.size}", "dimension"
        )
    return check_finite(v)


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


def fuse_items(space: Space, items: Sequence[Mapping[str, Sequence[Array]]]) -> Array:
    """h of items given as raw vectors by channel (several for several pictures): float32 [n, dimension]."""
    return space.head_runner.fuse(items)


def query_parts(space: Space, raw: Mapping[str, Sequence[Array]]) -> dict[str, Array]:
    """q_c = e_c of a query's raw vectors, unit length; several pictures of a channel are averaged."""
    q = {}
    for name, vectors in raw.items():
        e = unit(unit(space.head.channel(name).project(np.stack(vectors))).sum(0))
        if not e.any():
            raise InvalidArgument(
                f"the content of channel {name!r} is the catalogue's mean: it asks for nothing"
            )
        q[name] = e
    return q


def query_vector(
    space: Space, raw: Mapping[str, Sequence[Array]], weights: KindWeights | None = None
) -> Array:
    """u of a query's raw vectors, float32 [dimension], under the fitted or the given weights."""
    q = query_parts(space, raw)
    return space.head.query(q, weights or space.head.weights(search_kind(q)))
