"""Retries and deadlines."""

from __future__ import annotations

import math
import random
import time
from dataclasses import dataclass

from ._errors import RETRYABLE, ItemlensError, Unavailable


@dataclass(frozen=True)
class Retry:
    """Retry policy for UNAVAILABLE and RESOURCE_EXHAUSTED: exponential backoff with jitter.

    The wait before try n + 1 is drawn from [0.5, 1] x min(`initial` x `multiplier`^(n - 1), `maximum`). If the
    server sends a wait (google.rpc.RetryInfo), half the drawn wait is added to it, so that callers that were
    refused together do not return together. A call never exceeds its timeout: if the wait would exceed it, the
    error is raised at once.
    """

    attempts: int = 6
    """Tries in all, the first included; 1 turns retries off."""
    initial: float = 0.2
    """Seconds."""
    multiplier: float = 2.0
    maximum: float = 10.0
    """Seconds."""

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.initial < 0 or self.maximum < 0 or self.multiplier < 1:
            raise ValueError("Retry needs attempts >= 1, initial >= 0, maximum >= 0 and multiplier >= 1")

    def wait(self, failures: int, error: ItemlensError, *, repeatable: bool = True) -> float | None:
        """Seconds to wait after `failures` failures in a row, the last of them `error`; None to give up.

        repeatable: whether the call can safely be executed twice. Otherwise it is repeated only after a
        refusal by the server.
        """
        if failures >= self.attempts or not isinstance(error, RETRYABLE):
            return None
        if "message larger than max" in error.message:  # gRPC's own RESOURCE_EXHAUSTED; waiting does not help
            return None
        if error.details.reason == "STORAGE_FULL":  # RESOURCE_EXHAUSTED, too; somebody must free disk space
            return None
        if not repeatable and isinstance(error, Unavailable):
            return None
        # The bound on the exponent prevents a float overflow.
        drawn = min(self.initial * self.multiplier ** min(failures - 1, 60), self.maximum)
        drawn *= random.uniform(0.5, 1)
        hint = error.details.retry_seconds
        return drawn if hint is None else hint + drawn / 2


class Deadline:
    """A moment on the monotonic clock, `seconds` from now."""

    def __init__(self, seconds: float) -> None:
        if math.isnan(seconds) or seconds < 0:
            raise ValueError(f"timeout must be 0 or more seconds, not {seconds}")
        self._at = time.monotonic() + seconds

    def left(self) -> float | None:
        """Seconds from now, at least 0; None without a deadline."""
        return None if math.isinf(self._at) else max(self._at - time.monotonic(), 0.0)

    def allows(self, seconds: float) -> bool:
        """Whether more than `seconds` seconds are left."""
        left = self.left()
        return left is None or seconds < left
