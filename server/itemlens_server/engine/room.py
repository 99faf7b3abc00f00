"""How much may wait for an encoder."""

from __future__ import annotations

import math
from dataclasses import dataclass

# A call waits at most this many times as long as it runs: large calls cannot ask for the latency of small ones. So
# eight callers who take turns are all let in: seven calls go before the last, give or take what their texts differ.
PATIENCE = 7

# So many inputs may wait in any case: 64 callers of single texts who take turns are all let in, on a slow machine, too.
LEAST_INPUTS = 64

# Seconds of running after which what was measured before counts for a third.
MEMORY_SECONDS = 5.0


@dataclass
class Room:
    """The bounds of a queue, and how fast it empties, from which they follow.

    A call's size is the number of its inputs: by their tokens, long texts would be let in before short ones.

    queue_tokens: interactive tokens that may wait; 0: as many as are run in `queue_seconds`
    wait_seconds: how long a call may have to wait; or while LEAST_INPUTS run, or PATIENCE times as long as it runs
                  itself, if that is more
    tokens_per_second, inputs_per_second: measured beforehand, and from then on while it runs
    """

    queue_tokens: int = 0
    queue_seconds: float = math.inf
    wait_seconds: float = math.inf
    tokens_per_second: float = 1.0
    inputs_per_second: float = 1.0

    def bound(self) -> float:
        """Tokens of one priority that may wait."""
        return self.queue_tokens or self.queue_seconds * self.tokens_per_second

    def most_ahead(self, inputs: int) -> float:
        """Behind how many tokens a call of so many inputs may wait."""
        seconds = max(LEAST_INPUTS, PATIENCE * inputs) / self.inputs_per_second
        return min(self.bound(), max(self.wait_seconds, seconds) * self.tokens_per_second)

    def tokens(self, inputs: int) -> int:
        """About how many tokens so many inputs have."""
        return round(inputs * self.tokens_per_second / self.inputs_per_second)

    def seconds(self, tokens: float) -> float:
        """How long so many tokens take."""
        return tokens / self.tokens_per_second

    def observe(self, tokens: int, inputs: int, seconds: float) -> None:
        """All workers together ran so much in a while."""
        if seconds > 0:
            weight = 1 - math.exp(-seconds / MEMORY_SECONDS)
            self.tokens_per_second += weight * (tokens / seconds - self.tokens_per_second)
            self.inputs_per_second += weight * (inputs / seconds - self.inputs_per_second)
