"""Quotas: how much a key may use in a period, as a token bucket that holds one period's amount.

A call is let in while anything is left of each quota. What it uses may go below zero, because it is not known before
(such as its tokens) or larger than the amount, and is paid back before the next call.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

PERIODS = {"s": 1.0, "min": 60.0, "h": 3600.0, "day": 86400.0}
_QUOTA = re.compile(r"(\d+(?:\.\d+)?(?:[eE]\+?\d+)?)/(s|min|h|day)")


class Used(StrEnum):
    """What a quota bounds."""

    CALLS = "calls"
    """Calls, and messages on streams."""
    TOKENS = "tokens"
    """Tokens (or pictures) that encoders run; what comes from a cache costs nothing."""
    ITEMS = "items"
    """Items, events and other entries of the requests."""
    BYTES = "bytes"
    """Bytes of requests and responses."""


@dataclass(frozen=True)
class Quota:
    """amount: per `seconds`"""

    amount: float
    seconds: float

    @staticmethod
    def of(text: str) -> Quota:
        """Parse a quota such as "100/s", "5e6/h" or "1000/day".

        Raises:
            ValueError: it is none; the message says what to write.
        """
        parts = _QUOTA.fullmatch(text)
        if parts is None or not 0 < float(parts[1]) < 1e18:
            raise ValueError(
                f"{text!r} is not a quota; write an amount per {', '.join(PERIODS)}, such as 100/s"
            )
        return Quota(float(parts[1]), PERIODS[parts[2]])

    def __str__(self) -> str:
        period = next(name for name, seconds in PERIODS.items() if seconds == self.seconds)
        return f"{self.amount:.15g}/{period}"


class Meter:
    """What one key has left of its quotas. Thread-safe."""

    def __init__(self, quotas: Mapping[Used, Quota], clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: seconds that only grow."""
        self.quotas = dict(quotas)
        self._clock = clock
        self._lock = threading.Lock()
        now = clock()
        self._left = {used: (quota.amount, now) for used, quota in self.quotas.items()}

    def wait(self) -> tuple[Used, float] | None:
        """Return the quota of which nothing is left for the longest time, and the seconds until something is; None if
        something is left of each."""
        with self._lock:
            waits = [(self._seconds(used), used) for used in self.quotas]
        seconds, used = max(waits, default=(0.0, Used.CALLS))
        return (used, seconds) if seconds > 0 else None

    def spend(self, used: Used, amount: float) -> None:
        """Take what a call uses."""
        quota = self.quotas.get(used)
        if quota is not None:
            with self._lock:
                left = min(quota.amount, self._now(used) - amount)
                # Calls that were let in together may use any amount: no more than one period is paid back.
                self._left[used] = (max(left, -quota.amount), self._clock())

    def after(self, before: Meter) -> Meter:
        """Return this meter with the debts of an earlier one."""
        for used in self.quotas:
            if used in before.quotas and (left := before._now(used)) < self.quotas[used].amount:
                self._left[used] = (left, self._clock())
        return self

    def _seconds(self, used: Used) -> float:
        # A whole one must be there, which is what a call costs, or all where that is less.
        quota, least = self.quotas[used], min(1.0, self.quotas[used].amount)
        return (least - self._now(used)) * quota.seconds / quota.amount

    def _now(self, used: Used) -> float:
        quota, (left, at) = self.quotas[used], self._left[used]
        return min(quota.amount, left + (self._clock() - at) * quota.amount / quota.seconds)


class Meters:
    """The meters of all keys, which outlive a reload of the keys."""

    def __init__(self) -> None:
        self._meters: dict[str, Meter] = {}
        self._lock = threading.Lock()

    def of(self, key_id: str, quotas: Mapping[Used, Quota]) -> Meter:
        """The meter of a key. Where its quotas change, debts stay."""
        meter = self._meters.get(key_id)
        if meter is None or meter.quotas != quotas:
            with self._lock:
                meter = self._meters.get(key_id)
                if meter is None or meter.quotas != quotas:
                    new = Meter(quotas)
                    meter = self._meters[key_id] = new if meter is None else new.after(meter)
        return meter
