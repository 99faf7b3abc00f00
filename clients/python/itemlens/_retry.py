"""When to try a call again, and until when."""

from __future__ import annotations

import math
import random
import time
from dataclasses import dataclass

from ._errors import RETRYABLE, ItemlensError, Unavailable


@dataclass(frozen=True)
class Retry:
    """Tries again on UNAVAILABLE and RESOURCE_EXHAUSTED, with exponential backoff and jitter.

    The wait before try n + 1 is drawn from [0.5, 1] x `initial` x `multiplier`^(n - 1), at most `maximum`.
    Where the server says how long to wait (google.rpc.RetryInfo), it is that and half the drawn wait, so that
    callers who were turned away together do not come back together. A call never outlives its timeout: if the
    wait would, the error is raised at once.
    """

    attempts: int = 6
    """Tries in all; 1: no retries."""
    initial: float = 0.2
    """Seconds."""
    multiplier: float = 2.0
    maximum: float = 10.0
    """Seconds."""

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.initial < 0 or self.maximum < 0 or self.multiplier < 1:
            raise ValueError("Retry needs attempts >= 1, initial >= 0, maximum >= 0 and multiplier >= 1")

    def wait(self, failures: int, error: ItemlensError, *, repeatable: bool = True) -> float | None:
        """Seconds to wait after so many failures in a row, the last of which was `error`. None: give up.

        repeatable: whether the call can safely happen twice. One that cannot is tried again only where the
        server turned it away.
        """
        if failures >= self.attempts or not isinstance(error, RETRYABLE):
            return None
        if "message larger than max" in error.message:  # gRPC's own RESOURCE_EXHAUSTED; waiting does not help
            return None
        if not repeatable and isinstance(error, Unavailable):
            return None
        # The exponent is bounded: past 60 doublings `maximum` has long been reached, and floats overflow.
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
        """Seconds from now, at least 0; None where there is no deadline."""
        return None if math.isinf(self._at) else max(self._at - time.monotonic(), 0.0)

    def allows(self, seconds: float) -> bool:
        """Whether so many seconds are left."""
        left = self.left()
        return left is None or seconds < left
