"""Events of all users in memory, read while a writer changes them."""

from __future__ import annotations

import numpy as np

from itemlens_server.fusion.counts.events import Events
from itemlens_server.fusion.counts.histories import Histories
from itemlens_server.fusion.event_log import Times


class Growing(Histories):
    """Histories whose writer adds so many users after each read of their times that the array is replaced."""

    _now: Times

    @property
    def _spans(self) -> Times:
        spans = self._now
        self._now = np.concatenate([spans, np.full_like(spans, np.nan)])
        return spans

    @_spans.setter
    def _spans(self, spans: Times) -> None:
        self._now = spans


def test_whether_times_are_an_order_may_be_asked_while_users_are_added() -> None:
    ones = np.ones(3, np.int64)
    histories = Growing()
    events = Events.of(ones, ones.astype(np.float64), ones, ones.astype(np.int32), ones.astype(np.int8))
    histories._spans = Histories.of(["u", "v", "w"], events)._spans
    assert histories.times_are_an_order
