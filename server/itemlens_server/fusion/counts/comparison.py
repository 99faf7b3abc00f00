"""Whether two counts are equal, and a digest that is equal exactly if they are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
from scipy import sparse

from itemlens_server.fusion.counts.counted import Counted
from itemlens_server.fusion.rows import Ints

_BLOCK = 256


def differences(one: Counted, other: Counted) -> list[str]:
    """Return what differs, in words; nothing if all counts are equal."""
    if tuple(one.item_ids) != tuple(other.item_ids):
        few = sorted(set(one.item_ids) ^ set(other.item_ids))[:3]
        return [f"the items differ, such as {', '.join(map(repr, few))}"]
    found = []
    if one.last_day != other.last_day or one.times_are_an_order != other.times_are_an_order:
        found.append("the times differ")
    for what, a, b in (
        ("takers", [one.takers], [other.takers]),
        ("takers by day", one.by_day, other.by_day),
        ("pairs", _blocks(one, "pairs"), _blocks(other, "pairs")),
        ("ordered pairs", _blocks(one, "ordered"), _blocks(other, "ordered")),
    ):
        differing = sum(_differing(x, y) for x, y in zip(a, b, strict=True))
        if differing:
            found.append(f"{what}: {differing} counts differ")
    return found


def digest(counted: Counted) -> str:
    """Return a SHA-256 of all counts, in hexadecimal digits."""
    hashed = hashlib.sha256(repr((tuple(counted.item_ids), counted.last_day)).encode())
    for values in (counted.takers, *counted.by_day):
        hashed.update(values.tobytes())
    for name in ("pairs", "ordered"):
        for block in _blocks(counted, name):
            for array in (np.diff(block.indptr).astype(np.int64), block.indices.astype(np.int64)):
                hashed.update(array.tobytes())
            hashed.update(block.data.astype(np.int64).tobytes())
    return hashed.hexdigest()


def _blocks(counted: Counted, name: str) -> Iterator[sparse.csr_matrix]:
    for start in range(0, len(counted.item_ids), _BLOCK):
        block = getattr(counted, name)(slice(start, min(start + _BLOCK, len(counted.item_ids))))
        block.sort_indices()
        yield block


def _differing(one: Ints | sparse.csr_matrix, other: Ints | sparse.csr_matrix) -> int:
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return int((one != other).sum()) if one.shape == other.shape else max(len(one), len(other))
    return int((one != other).nnz)
