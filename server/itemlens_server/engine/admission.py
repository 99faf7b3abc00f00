"""Admission control: which calls may wait for an encoder."""

from __future__ import annotations

import math
from dataclasses import dataclass

# Time constant of the running means of the rates, seconds of run time.
MEMORY_SECONDS = 5.0


@dataclass
class AdmissionControl:
    """The limits of a queue, and the measured rates that they depend on.

    The queue ahead of a call is counted in inputs. A limit in tokens would favour calls of long texts.

    queue_tokens: interactive tokens that may wait; 0: as many as run in `queue_seconds`
    wait_seconds: expected wait of a call, seconds; the two numbers below may allow a longer one
    min_admitted_inputs: any call may wait behind this number of inputs, however slow the machine is
    large_call_patience: a call of n inputs may wait behind this number times n: large calls cannot expect the latency
                of small ones
    tokens_per_second, inputs_per_second: measured at the start and updated while the queue runs
    """

    queue_tokens: int = 0
    queue_seconds: float = math.inf
    wait_seconds: float = math.inf
    min_admitted_inputs: int = 0
    large_call_patience: int = 0
    tokens_per_second: float = 1.0
    inputs_per_second: float = 1.0

    def max_tokens(self) -> float:
        """Return the number of tokens of one priority that may wait."""
        return self.queue_tokens or self.queue_seconds * self.tokens_per_second

    def max_inputs_ahead(self, inputs: int) -> float:
        """Return the number of inputs that a call of `inputs` may wait behind."""
        return max(
            self.wait_seconds * self.inputs_per_second,
            self.min_admitted_inputs,
            self.large_call_patience * inputs,
        )

    def seconds(self, tokens: float) -> float:
        """Return the run time of `tokens`, seconds."""
        return tokens / self.tokens_per_second

    def observe(self, tokens: int, inputs: int, seconds: float) -> None:
        """Update the rates: all workers together ran this in `seconds`."""
        if seconds > 0:
            weight = 1 - math.exp(-seconds / MEMORY_SECONDS)
            self.tokens_per_second += weight * (tokens / seconds - self.tokens_per_second)
            self.inputs_per_second += weight * (inputs / seconds - self.inputs_per_second)
