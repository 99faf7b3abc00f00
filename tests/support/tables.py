"""Tables of events."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from itemlens_server.fusion.tables import Provenance, Tables
from itemlens_server.fusion.weights import TableRules


def random_tables(rng: np.random.Generator, item_ids: Sequence[str], density: float = 0.2) -> Tables:
    """Tables over `item_ids` with random entries, and random numbers of takers."""
    takers = rng.integers(1, 50, len(item_ids)).astype(np.float32)
    recent = np.floor(takers * rng.random(len(item_ids))).astype(np.float32)
    return Tables(
        tuple(item_ids), random_table(rng, len(item_ids), density), random_table(rng, len(item_ids), density),
        takers, recent, np.floor(recent / 2), TableRules(5.0), Provenance(7, 90, mark="of the events"),
    )  # fmt: skip


def random_table(rng: np.random.Generator, n: int, density: float) -> sparse.csr_matrix:
    """Positive entries off the diagonal."""
    table = rng.uniform(0.01, 0.5, (n, n)) * (rng.random((n, n)) < density)
    np.fill_diagonal(table, 0)
    return sparse.csr_matrix(table.astype(np.float32))


def entry(table: sparse.csr_matrix, tables: Tables, past: str, item_id: str) -> float:
    """What having taken `past` says for `item_id`; 0 where one of them has no events."""
    rows = tables.rows
    return float(table[rows[past], rows[item_id]]) if past in rows and item_id in rows else 0.0
