"""Runs the graph of the fusion head: raw vectors to h."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from itemlens_server.engine.batcher import Batcher
from itemlens_server.engine.call_context import CallContext
from itemlens_server.engine.entry import Input
from itemlens_server.engine.queue import Plan
from itemlens_server.engine.session import Session
from itemlens_server.fusion.head import Head

Array = np.ndarray[Any, np.dtype[np.float32]]
Raw = Mapping[str, Sequence[Array]]


class HeadRunner:
    """Runs the head's graph in batches. An unfitted space has no graph; its head is the identity."""

    def __init__(self, head: Head, session: Session | None) -> None:
        self.head = head
        self._session = session
        self._batcher = Batcher([self._run], plan=Plan(max_batch=256), name="head")

    def fuse(self, items: Sequence[Raw], call: CallContext | None = None) -> Array:
        """Return h of items given as raw vectors by channel, float32 [len(items), dimension]."""
        if not items:
            return np.zeros((0, self.head.dimension), np.float32)
        return np.stack(
            self._batcher.submit([Input(item) for item in items], call or CallContext()).results()
        )

    def close(self) -> None:
        """Run all queued items, then stop."""
        self._batcher.close()

    def _run(self, items: list[Raw]) -> Sequence[Array]:
        inputs: dict[str, np.ndarray[Any, Any]] = {}
        for i, channel in enumerate(self.head.channels):
            owned = [(row, v) for row, item in enumerate(items) for v in item.get(channel.name, ())]
            member = np.zeros((len(items), len(owned)), np.float32)
            for column, (row, _) in enumerate(owned):
                member[row, column] = 1.0
            inputs[f"member_{i}"] = member
            vectors = [v for _, v in owned]
            inputs[f"v_{i}"] = np.stack(vectors) if vectors else np.zeros((0, len(channel.mean)), np.float32)
        h: Array = self._identity(inputs) if self._session is None else self._session.run(["h"], inputs)[0]
        return list(h)

    def _identity(self, inputs: dict[str, np.ndarray[Any, Any]]) -> Array:
        blocks = []
        for i in range(len(self.head.channels)):
            v, member = inputs[f"v_{i}"], inputs[f"member_{i}"]
            e = v / np.sqrt((v * v).sum(-1, keepdims=True) + 1e-20)
            s = member @ e
            has = np.minimum(member.sum(1, keepdims=True), 1.0)
            blocks += [s / np.sqrt((s * s).sum(-1, keepdims=True) + 1e-20), has, has * 0]
        return np.concatenate(blocks, axis=1).astype(np.float32)
