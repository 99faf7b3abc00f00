"""Parity check: the largest cosine distance of v between a graph and its checkpoint over varied inputs, single and in
batches."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from itemlens_exporter import graph
from itemlens_exporter.checkpoint import Feed, Samples
from itemlens_server.engine.manifest import Parity, Precision

LIMITS = {Precision.FP32: 1e-5, Precision.FP16: 1e-3, Precision.INT8: 2e-2}


@dataclass(frozen=True)
class Measured:
    """A row of the parity table, and the time of the single inputs, seconds."""

    parity: Parity
    seconds: float


def measure(path: Path, precision: Precision, samples: Samples, *, singly: bool = False) -> Measured:
    """Compare the graph at `path` with the checkpoint. `singly` leaves out the batches."""
    session = graph.session(path)
    session.run(["v"], samples.singles[0][1])
    start = time.perf_counter()
    distances = _distances(session, samples.singles, samples.reference)
    seconds = time.perf_counter() - start
    if not singly:
        distances = np.concatenate([distances, _distances(session, samples.batches, samples.reference)])
    worst, limit = float(distances.max()), LIMITS[precision]
    row = Parity(
        precision=precision,
        inputs=len(samples.reference),
        mean=float(distances.mean()),
        max=worst,
        limit=limit,
        passed=worst <= limit,
    )
    return Measured(row, seconds)


def _distances(
    session: onnxruntime.InferenceSession,
    feeds: Sequence[tuple[list[int], Feed]],
    reference: npt.NDArray[np.float32],
) -> npt.NDArray[np.float64]:
    distances = [cosine_distance(session.run(["v"], feed)[0], reference[rows]) for rows, feed in feeds]
    return np.concatenate(distances)


def cosine_distance(a: npt.NDArray[np.floating], b: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Return 1 - cos of matching rows of [N, dim], computed without cancellation; infinite if undefined."""
    units = []
    for rows in (a, b):
        exact = rows.astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            units.append(exact / np.linalg.norm(exact, axis=1, keepdims=True))
    distance = ((units[0] - units[1]) ** 2).sum(axis=1) / 2
    return np.where(np.isfinite(distance), distance, np.inf)
