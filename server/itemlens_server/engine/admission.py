"""Which calls may wait for an encoder."""

from __future__ import annotations

import math
from dataclasses import dataclass

# Seconds of running after which what was measured before counts for a third.
MEMORY_SECONDS = 5.0


@dataclass
class AdmissionControl:
    """The bounds of a queue, and how fast it empties, from which they follow.

    What a call waits behind is counted in inputs: by tokens, calls of long texts would be let in before others.

    queue_tokens: interactive tokens that may wait; 0: as many as are run in `queue_seconds`
    wait_seconds: how long a call may have to wait, if that is behind more inputs than the two numbers below allow
    min_admitted_inputs: any call may wait behind so many inputs, however slow the machine is
    large_call_patience: a call may wait behind so many times as many inputs as it has: large calls cannot ask for the
                latency of small ones
    tokens_per_second, inputs_per_second: measured beforehand, and from then on while it runs
    """

    queue_tokens: int = 0
    queue_seconds: float = math.inf
    wait_seconds: float = math.inf
    min_admitted_inputs: int = 0
    large_call_patience: int = 0
    tokens_per_second: float = 1.0
    inputs_per_second: float = 1.0

    def max_tokens(self) -> float:
        """Tokens of one priority that may wait."""
        return self.queue_tokens or self.queue_seconds * self.tokens_per_second

    def max_inputs_ahead(self, inputs: int) -> float:
        """Behind how many inputs a call of so many may wait."""
        return max(
            self.wait_seconds * self.inputs_per_second,
            self.min_admitted_inputs,
            self.large_call_patience * inputs,
        )

    def seconds(self, tokens: float) -> float:
        """How long so many tokens take."""
        return tokens / self.tokens_per_second

    def observe(self, tokens: int, inputs: int, seconds: float) -> None:
        """All workers together ran so much in a while."""
        if seconds > 0:
            weight = 1 - math.exp(-seconds / MEMORY_SECONDS)
            self.tokens_per_second += weight * (tokens / seconds - self.tokens_per_second)
            self.inputs_per_second += weight * (inputs / seconds - self.inputs_per_second)
