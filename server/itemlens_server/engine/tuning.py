"""The fastest plan of each encoder on this machine, measured once and stored."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import onnxruntime

from itemlens_server.engine.queue import Plan
from itemlens_server.hardware import processor, processor_count

log = logging.getLogger(__name__)

# A plan must be faster than an earlier one by this factor to be chosen. Smaller differences are noise.
WORTH = 1.03

# Range of possible rates, tokens per second.
RATES = (1e-3, 1e9)


@dataclass(frozen=True)
class Tuned:
    """A plan and its rate, tokens per second without padding."""

    plan: Plan
    tokens_per_second: float


class Tunings:
    """The plans measured on this machine, in a JSON file. `anew`: whether to measure all again."""

    def __init__(self, file: Path, threads: int, provider: str, anew: bool = False) -> None:
        self.anew = anew
        self._file = file
        self._machine = (
            f"{processor()}, {processor_count()} processors, {threads} threads, {provider}, "
            f"ONNX Runtime {onnxruntime.__version__}"
        )

    def get(self, encoder: str, plans: Sequence[Plan]) -> Tuned | None:
        """Return the stored plan of the encoder with this digest, or None unless it is one of `plans` with a possible
        rate. A damaged file, or one of another version, must not affect the server."""
        entry = self._of_machine(self._read()).get(encoder)
        if not isinstance(entry, dict):
            return None
        plan = next((p for p in plans if asdict(p) == entry.get("plan")), None)
        rate = entry.get("tokens_per_second")
        if plan is None or not isinstance(rate, float) or not RATES[0] <= rate <= RATES[1]:
            log.warning("%s: the entry of encoder %s is invalid and is not used", self._file, encoder)
            return None
        return Tuned(plan, rate)

    def put(self, encoder: str, tuned: Tuned) -> None:
        """Store the plan of an encoder."""
        known = self._read()
        known[self._machine] = {**self._of_machine(known), encoder: asdict(tuned)}
        work = self._file.with_suffix(".new")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            work.write_text(json.dumps(known, indent=1), encoding="utf-8")
            work.replace(self._file)
        except OSError as error:
            log.warning("%s cannot be written (%s): the next start cannot reuse the plan", self._file, error)

    def _of_machine(self, known: dict[str, Any]) -> dict[str, Any]:
        entries = known.get(self._machine)
        return entries if isinstance(entries, dict) else {}

    def _read(self) -> dict[str, Any]:
        try:
            known = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}  # it can be measured again
        return known if isinstance(known, dict) else {}


def fastest(name: str, plans: Sequence[Plan], measure: Callable[[Plan], float]) -> Tuned:
    """Return the fastest of `plans`, or the earliest of nearly equal ones. `measure` returns tokens per second."""
    best: Tuned | None = None
    for plan in plans:
        rate = measure(plan)
        log.info(
            "%s: %d x %d threads, batches of up to %d: %.0f tokens/s",
            name, plan.instances, plan.threads, plan.max_batch, rate,
        )  # fmt: skip
        if best is None or rate > WORTH * best.tokens_per_second:
            best = Tuned(plan, rate)
    assert best is not None
    return best
